//! Flexible algorithms (RFC 9351).

use ribstream_proto::v1;

use super::Inside;
use crate::{
    bgp::link_state::{self as tlv, Tlv, once_bytes},
    wire::Reader,
};

const WHAT: &str = "BGP-LS flexible algorithm";
/// Protocol-IDs whose TLVs have types of one octet, and of two.
const ISIS: [u8; 2] = [1, 2];
const OSPF: [u8; 2] = [3, 6];

/// Algorithm (1), metric type (1), calculation type (1), priority (1), TLVs.
pub(super) fn definition(
    value: &[u8],
    inside: &mut Inside,
) -> Option<v1::LinkStateFlexibleAlgorithm> {
    let mut reader = Reader::new(value);
    let [algorithm, metric_type, calculation_type, priority] =
        reader.array(WHAT).ok()?.map(u8::into);
    let mut into = v1::LinkStateFlexibleAlgorithm {
        algorithm,
        metric_type,
        calculation_type,
        priority,
        ..v1::LinkStateFlexibleAlgorithm::default()
    };
    let other = tlv::each(reader.take_rest(), |Tlv { kind, value }| match kind {
        1040 => tlv::members(&mut into.exclude_any, value, u32::from_be_bytes),
        1041 => tlv::members(&mut into.include_any, value, u32::from_be_bytes),
        1042 => tlv::members(&mut into.include_all, value, u32::from_be_bytes),
        1043 => once_bytes(&mut into.flags, tlv::some(value)?),
        1045 => tlv::members(&mut into.exclude_srlgs, value, u32::from_be_bytes),
        1046 if into.unsupported_protocol_id.is_none() => unsupported(&mut into, value),
        _ => None,
    });
    into.other = inside.whole(other)?;
    Some(into)
}

/// Protocol-ID (1), then types as wide as the protocol's are.
fn unsupported(into: &mut v1::LinkStateFlexibleAlgorithm, value: &[u8]) -> Option<()> {
    let (&protocol, types) = value.split_first()?;
    let list = &mut into.unsupported_types;
    if ISIS.contains(&protocol) {
        tlv::members(list, types, |[kind]| kind.into())?;
    } else if OSPF.contains(&protocol) {
        tlv::members(list, types, |kind| u16::from_be_bytes(kind).into())?;
    } else {
        return None;
    }
    into.unsupported_protocol_id = Some(protocol.into());
    Some(())
}

/// Algorithm (1), flags (1), reserved (2), metric (4).
pub(super) fn prefix_metric(value: &[u8]) -> Option<v1::LinkStateFlexibleAlgorithmMetric> {
    let mut reader = Reader::new(value);
    let [algorithm, flags, _, _] = reader.array(WHAT).ok()?;
    Some(v1::LinkStateFlexibleAlgorithmMetric {
        algorithm: algorithm.into(),
        flags: flags.into(),
        metric: tlv::u32(reader.take_rest())?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{of, tlv};

    #[test]
    fn a_definition_has_its_constraints() {
        let value = [
            &[128, 1, 0, 200][..],
            &tlv(1040, &[0, 0, 0, 1]),
            &tlv(1041, &[0, 0, 0, 2]),
            &tlv(1042, &[0, 0, 0, 3, 0, 0, 0, 4]),
            &tlv(1043, &[0x80]),
            &tlv(1045, &[0, 0, 0, 5]),
            &tlv(1046, &[2, 6, 7]),
            &tlv(1046, &[2, 8]),
        ];
        let definition = of(1039, &value.concat()).flexible_algorithms.remove(0);
        assert_eq!((definition.algorithm, definition.metric_type), (128, 1));
        assert_eq!((definition.calculation_type, definition.priority), (0, 200));
        assert_eq!((definition.exclude_any, definition.include_any), (vec![1], vec![2]));
        assert_eq!((definition.include_all, &definition.flags[..]), (vec![3, 4], &[0x80][..]));
        assert_eq!(definition.exclude_srlgs, [5]);
        assert_eq!(definition.unsupported_protocol_id, Some(2));
        assert_eq!((definition.unsupported_types, definition.other.len()), (vec![6, 7], 1));
    }

    #[test]
    fn types_that_bgp_ls_cannot_carry_are_as_wide_as_in_their_protocol() {
        let value = [&[128, 0, 0, 0][..], &tlv(1046, &[3, 0, 6, 1, 0])].concat();
        let definition = of(1039, &value).flexible_algorithms.remove(0);
        assert_eq!(definition.unsupported_types, [6, 256]);
    }

    #[test]
    fn a_prefix_has_a_metric_for_an_algorithm() {
        let metric = of(1044, &[128, 0x80, 0, 0, 0, 0, 0, 10]).flexible_algorithm_metrics.remove(0);
        assert_eq!((metric.algorithm, metric.flags, metric.metric), (128, 0x80, 10));
    }
}
