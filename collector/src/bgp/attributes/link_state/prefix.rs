//! Attributes of prefixes (RFC 9552, 5.3.3; RFC 9085, 2.3; RFC 9351, 4).

use ribstream_proto::v1;

use super::{Inside, flexible_algorithm, segment};
use crate::bgp::link_state::{self as tlv, Tlv, once, once_bytes};

pub(super) fn take(
    tlv: Tlv<'_>,
    inside: &mut Inside,
    into: &mut v1::LinkStateAttribute,
) -> Option<()> {
    let value = tlv.value;
    match tlv.kind {
        1044 => {
            into.flexible_algorithm_metrics.push(flexible_algorithm::prefix_metric(value)?);
            Some(())
        }
        1152 => once(&mut into.igp_flags, tlv::u8(value)?),
        1153 => tlv::members(&mut into.route_tags, value, u32::from_be_bytes),
        1154 => tlv::members(&mut into.extended_route_tags, value, u64::from_be_bytes),
        1155 => once(&mut into.prefix_metric, tlv::u32(value)?),
        1156 => once_bytes(&mut into.ospf_forwarding_address, tlv::address(value)?),
        1157 => tlv::some(value).map(|opaque| into.opaque_prefix.push(opaque)),
        1158 => segment::prefix(value).map(|sid| into.prefix_sids.push(sid)),
        1159 => segment::range(value, inside).map(|range| into.sid_ranges.push(range)),
        1170 => once_bytes(&mut into.prefix_attribute_flags, tlv::some(value)?),
        1171 => once_bytes(&mut into.source_router_id, tlv::address(value)?),
        1174 => once_bytes(&mut into.source_ospf_router_id, tlv::exactly::<4>(value)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::of;

    #[test]
    fn a_prefix_has_flags_tags_metric_and_origin() {
        assert_eq!(of(1152, &[0x80]).igp_flags, Some(0x80));
        assert_eq!(of(1153, &[0, 0, 0, 1, 0, 0, 0, 2]).route_tags, [1, 2]);
        assert_eq!(of(1154, &[0, 0, 0, 0, 0, 0, 0, 3]).extended_route_tags, [3]);
        assert_eq!(of(1155, &[0, 0, 0, 100]).prefix_metric, Some(100));
        assert_eq!(of(1156, &[192, 0, 2, 1]).ospf_forwarding_address[..], [192, 0, 2, 1]);
        assert_eq!(of(1157, &[1]).opaque_prefix, [&[1][..]]);
        assert_eq!(of(1170, &[0x20]).prefix_attribute_flags[..], [0x20]);
        assert_eq!(of(1171, &[0; 16]).source_router_id.len(), 16);
        assert_eq!(of(1174, &[10, 0, 0, 1]).source_ospf_router_id[..], [10, 0, 0, 1]);
    }
}
