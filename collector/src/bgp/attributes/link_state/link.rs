//! Attributes of links (RFC 9552, 5.3.2; RFC 9085, 2.2; RFC 9086, 5; RFC 8571;
//! RFC 9104; RFC 9294).

use prost::bytes::Bytes;
use ribstream_proto::v1;

use super::{Inside, node, segment, srv6};
use crate::{
    bgp::link_state::{self as tlv, Tlv, fixed, once, once_bytes},
    wire::Reader,
};

const WHAT: &str = "BGP-LS link attribute";

pub(super) fn take(
    tlv: Tlv<'_>,
    inside: &mut Inside,
    into: &mut v1::LinkStateAttribute,
) -> Option<()> {
    let value = tlv.value;
    match tlv.kind {
        258 => tlv::link_identifiers(&mut into.link_local_id, &mut into.link_remote_id, value),
        267 => node::depths(&mut into.link_msds, value),
        1030 => tlv::exactly::<4>(value).map(|id| into.remote_router_ids.push(id)),
        1031 => tlv::exactly::<16>(value).map(|id| into.remote_router_ids.push(id)),
        1088 => once(&mut into.admin_group, tlv::u32(value)?),
        1089 => once(&mut into.max_bandwidth, bandwidth(value)?),
        1090 => once(&mut into.max_reservable_bandwidth, bandwidth(value)?),
        1091 => unreserved(&mut into.unreserved_bandwidth, value),
        1092 => once(&mut into.te_metric, te_metric(value)?),
        1093 => once(&mut into.link_protection, protection(value)?),
        1094 => once(&mut into.mpls_protocols, tlv::u8(value)?),
        1095 => once(&mut into.igp_metric, igp_metric(value)?),
        1096 => tlv::members(&mut into.srlgs, value, u32::from_be_bytes),
        1097 => tlv::some(value).map(|opaque| into.opaque_link.push(opaque)),
        1098 => once_bytes(&mut into.link_name, tlv::some(value)?),
        1099 => segment::adjacency(value).map(|sid| into.adjacency_sids.push(sid)),
        1100 => segment::lan_adjacency(value).map(|sid| into.lan_adjacency_sids.push(sid)),
        1101 => segment::adjacency(value).map(|sid| into.peer_node_sids.push(sid)),
        1102 => segment::adjacency(value).map(|sid| into.peer_adjacency_sids.push(sid)),
        1103 => segment::adjacency(value).map(|sid| into.peer_set_sids.push(sid)),
        1106 => srv6::end_x::<0>(value, inside).map(|sid| into.srv6_end_x_sids.push(sid)),
        1107 => srv6::end_x::<6>(value, inside).map(|sid| into.srv6_lan_end_x_sids.push(sid)),
        1108 => srv6::end_x::<4>(value, inside).map(|sid| into.srv6_lan_end_x_sids.push(sid)),
        1114 => once(&mut into.delay, measure(value)?),
        1115 => once(&mut into.delay_range, delay_range(value)?),
        1116 => once(&mut into.delay_variation, measure(value)?.value),
        1117 => once(&mut into.loss, measure(value)?),
        1118 => once(&mut into.residual_bandwidth, bandwidth(value)?),
        1119 => once(&mut into.available_bandwidth, bandwidth(value)?),
        1120 => once(&mut into.utilized_bandwidth, bandwidth(value)?),
        1121 if value.is_empty() && !into.graceful_link_shutdown => {
            into.graceful_link_shutdown = true;
            Some(())
        }
        1122 => application(value, inside).map(|some| into.application_attributes.push(some)),
        1172 => bundle_member(value, inside).map(|member| into.bundle_members.push(member)),
        1173 => tlv::members(&mut into.extended_admin_group, value, u32::from_be_bytes),
        _ => None,
    }
}

/// Bytes per second, in IEEE floating point.
fn bandwidth(value: &[u8]) -> Option<f32> {
    fixed(value).map(f32::from_be_bytes)
}

/// One for each priority.
fn unreserved(list: &mut Vec<f32>, value: &[u8]) -> Option<()> {
    if !list.is_empty() || value.len() != 32 {
        return None;
    }
    tlv::members(list, value, f32::from_be_bytes)
}

/// 4 octets, but 3 from routers that follow drafts of RFC 7752.
fn te_metric(value: &[u8]) -> Option<u32> {
    tlv::u32(value).or_else(|| fixed(value).map(u24))
}

/// Capabilities, then a reserved octet.
fn protection(value: &[u8]) -> Option<u32> {
    fixed(value).map(|[capabilities, _]| capabilities.into())
}

/// As wide as the protocol has it: 6 bits (IS-IS), 16 (OSPF) or 24 (IS-IS wide).
fn igp_metric(value: &[u8]) -> Option<u32> {
    match *value {
        [small] => Some((small & 0x3f).into()),
        [high, low] => Some(u16::from_be_bytes([high, low]).into()),
        [high, middle, low] => Some(u24([high, middle, low])),
        _ => None,
    }
}

fn u24([high, middle, low]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, high, middle, low])
}

/// A (1 bit), reserved (7), value (24). Delay variation has no A.
fn measure(value: &[u8]) -> Option<v1::LinkStateMeasure> {
    let [flags, high, middle, low] = fixed(value)?;
    Some(v1::LinkStateMeasure { anomalous: flags & 0x80 != 0, value: u24([high, middle, low]) })
}

/// A (1 bit), reserved (7), minimum (24), reserved (8), maximum (24).
fn delay_range(value: &[u8]) -> Option<v1::LinkStateDelayRange> {
    let (minimum, maximum) = value.split_at_checked(4)?;
    let (minimum, maximum) = (measure(minimum)?, measure(maximum)?);
    Some(v1::LinkStateDelayRange {
        anomalous: minimum.anomalous,
        minimum: minimum.value,
        maximum: maximum.value,
    })
}

/// Member descriptor (4), then its attributes (RFC 9085, 2.2.3).
fn bundle_member(value: &[u8], inside: &mut Inside) -> Option<v1::LinkStateBundleMember> {
    let mut reader = Reader::new(value);
    let descriptor = reader.u32(WHAT).ok()?;
    let attributes = inside.attributes(reader.take_rest())?;
    Some(v1::LinkStateBundleMember { descriptor, attributes: Some(attributes) })
}

/// Lengths of the two masks (1 each), reserved (2), the masks, the attributes (RFC
/// 9294, 2).
fn application(value: &[u8], inside: &mut Inside) -> Option<v1::LinkStateApplicationAttributes> {
    let mut reader = Reader::new(value);
    let [standard, user, _, _] = reader.array(WHAT).ok()?;
    let standard = reader.take(standard.into(), WHAT).ok()?;
    let user = reader.take(user.into(), WHAT).ok()?;
    let attributes = inside.attributes(reader.take_rest())?;
    Some(v1::LinkStateApplicationAttributes {
        standard_applications: Bytes::copy_from_slice(standard),
        user_applications: Bytes::copy_from_slice(user),
        attributes: Some(attributes),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{of, tlv};
    use super::*;

    #[test]
    fn bandwidths_are_floats_in_bytes_per_second() {
        // 1 Gbit/s and, of eight priorities, 10 Gbit/s.
        let gigabit = [0x4c, 0xee, 0x6b, 0x28];
        let ten = [0x4e, 0x95, 0x02, 0xf9];
        assert_eq!(of(1089, &gigabit).max_bandwidth, Some(125e6));
        assert_eq!(of(1090, &gigabit).max_reservable_bandwidth, Some(125e6));
        assert_eq!(of(1091, &ten.repeat(8)).unreserved_bandwidth, [1.25e9; 8]);
        assert_eq!(of(1118, &gigabit).residual_bandwidth, Some(125e6));
        assert_eq!(of(1119, &gigabit).available_bandwidth, Some(125e6));
        assert_eq!(of(1120, &gigabit).utilized_bandwidth, Some(125e6));
    }

    #[test]
    fn an_igp_metric_is_as_wide_as_its_protocol_has_it() {
        assert_eq!(of(1095, &[0xca]).igp_metric, Some(10));
        assert_eq!(of(1095, &[1, 0]).igp_metric, Some(256));
        assert_eq!(of(1095, &[1, 0, 0]).igp_metric, Some(65536));
        assert_eq!(of(1092, &[0, 0, 0, 20]).te_metric, Some(20));
        assert_eq!(of(1092, &[0, 0, 20]).te_metric, Some(20));
    }

    #[test]
    fn a_link_has_groups_protection_protocols_and_risks() {
        assert_eq!(of(258, &[0, 0, 1, 0x72, 0, 0, 1, 0xbb]).link_local_id, Some(370));
        assert_eq!(of(258, &[0, 0, 1, 0x72, 0, 0, 1, 0xbb]).link_remote_id, Some(443));
        assert_eq!(of(1088, &[0, 0, 0, 5]).admin_group, Some(5));
        assert_eq!(of(1173, &[0, 0, 0, 5, 0, 0, 0, 1]).extended_admin_group, [5, 1]);
        assert_eq!(of(1093, &[0x20, 0]).link_protection, Some(0x20));
        assert_eq!(of(1094, &[0x80]).mpls_protocols, Some(0x80));
        assert_eq!(of(1096, &[0, 0, 0, 7, 0, 0, 0, 8]).srlgs, [7, 8]);
        assert_eq!(of(1097, &[1]).opaque_link, [&[1][..]]);
        assert_eq!(of(1098, b"to the north").link_name, "to the north");
        assert_eq!(of(1030, &[192, 0, 2, 1]).remote_router_ids, [&[192, 0, 2, 1][..]]);
        assert_eq!(of(267, &[1, 10]).link_msds.len(), 1);
        assert!(of(1121, &[]).graceful_link_shutdown);
    }

    #[test]
    fn measures_have_24_bits_and_say_when_they_are_out_of_bounds() {
        let delay = Some(v1::LinkStateMeasure { anomalous: true, value: 1000 });
        assert_eq!(of(1114, &[0x80, 0, 3, 0xe8]).delay, delay);
        assert_eq!(of(1117, &[0x80, 0, 3, 0xe8]).loss, delay);
        assert_eq!(of(1116, &[0x80, 0, 3, 0xe8]).delay_variation, Some(1000));
        let range = of(1115, &[0, 0, 0, 10, 0xff, 0, 0, 20]).delay_range.unwrap();
        assert_eq!((range.anomalous, range.minimum, range.maximum), (false, 10, 20));
    }

    #[test]
    fn the_member_of_a_bundle_has_attributes_of_its_own() {
        let value = [&[0, 0, 0, 9][..], &tlv(1095, &[10]), &tlv(9999, &[])].concat();
        let member = of(1172, &value).bundle_members.remove(0);
        let attributes = member.attributes.unwrap();
        assert_eq!((member.descriptor, attributes.igp_metric), (9, Some(10)));
        assert_eq!(attributes.other.len(), 1);
    }

    #[test]
    fn attributes_may_be_for_some_applications_alone() {
        let value = [&[4, 0, 0, 0, 0x10, 0, 0, 0][..], &tlv(1092, &[0, 0, 0, 10])].concat();
        let some = of(1122, &value).application_attributes.remove(0);
        assert_eq!(some.standard_applications[..], [0x10, 0, 0, 0]);
        assert_eq!(some.attributes.unwrap().te_metric, Some(10));
        assert!(some.user_applications.is_empty());
    }
}
