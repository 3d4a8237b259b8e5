//! Attributes of nodes (RFC 9552, 5.3.1; RFC 9085, 2.1), and those of nodes and links.

use ribstream_proto::v1;

use super::{Inside, flexible_algorithm, segment, srv6};
use crate::bgp::link_state::{self as tlv, Tlv, once, once_bytes};

pub(super) fn take(
    tlv: Tlv<'_>,
    inside: &mut Inside,
    into: &mut v1::LinkStateAttribute,
) -> Option<()> {
    let value = tlv.value;
    match tlv.kind {
        263 => tlv::topologies(&mut into.multi_topology_ids, value),
        266 => depths(&mut into.node_msds, value),
        1024 => once(&mut into.node_flags, tlv::u8(value)?),
        1025 => tlv::some(value).map(|opaque| into.opaque_node.push(opaque)),
        1026 => once_bytes(&mut into.node_name, tlv::some(value)?),
        1027 => tlv::some(value).map(|area| into.isis_areas.push(area)),
        1028 => tlv::exactly::<4>(value).map(|id| into.local_router_ids.push(id)),
        1029 => tlv::exactly::<16>(value).map(|id| into.local_router_ids.push(id)),
        1032 => tlv::members(&mut into.sbfd_discriminators, value, u32::from_be_bytes),
        1034 => once(&mut into.sr_capabilities, segment::block(value, inside)?),
        1035 => tlv::members(&mut into.sr_algorithms, value, |[algorithm]| algorithm.into()),
        1036 => once(&mut into.sr_local_block, segment::block(value, inside)?),
        1037 => once(&mut into.srms_preference, tlv::u8(value)?),
        1038 => once(&mut into.srv6_capabilities, srv6::capabilities(value)?),
        1039 => {
            into.flexible_algorithms.push(flexible_algorithm::definition(value, inside)?);
            Some(())
        }
        _ => None,
    }
}

/// MSD-Type and MSD-Value, an octet each (RFC 8814, 3 and 4).
pub(super) fn depths(list: &mut Vec<v1::LinkStateMsd>, value: &[u8]) -> Option<()> {
    tlv::members(list, value, |[kind, depth]| v1::LinkStateMsd {
        r#type: kind.into(),
        value: depth.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::of;

    #[test]
    fn a_node_has_flags_a_name_areas_and_identifiers() {
        assert_eq!(of(1024, &[0xc0]).node_flags, Some(0xc0));
        assert_eq!(of(1025, &[1, 2]).opaque_node, [&[1, 2][..]]);
        assert_eq!(of(1026, b"router").node_name, "router");
        assert_eq!(of(1027, &[0x49, 0, 1]).isis_areas, [&[0x49, 0, 1][..]]);
        assert_eq!(of(1028, &[192, 0, 2, 1]).local_router_ids, [&[192, 0, 2, 1][..]]);
        assert_eq!(of(263, &[0, 0, 0xf0, 2]).multi_topology_ids, [0, 2]);
        assert_eq!(of(1032, &[0, 0, 0, 1, 0, 0, 0, 2]).sbfd_discriminators, [1, 2]);
    }

    #[test]
    fn a_node_has_its_algorithms_and_how_many_sids_it_can_bear() {
        assert_eq!(of(1035, &[0, 1, 128]).sr_algorithms, [0, 1, 128]);
        assert_eq!(of(1037, &[200]).srms_preference, Some(200));
        let depths = of(266, &[1, 10, 41, 8]).node_msds;
        let depths: Vec<_> = depths.iter().map(|depth| (depth.r#type, depth.value)).collect();
        assert_eq!(depths, [(1, 10), (41, 8)]);
    }
}
