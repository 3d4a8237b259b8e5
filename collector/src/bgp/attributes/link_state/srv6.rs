//! Segment identifiers of SRv6 (RFC 9514).

use prost::bytes::Bytes;
use ribstream_proto::v1;

use super::Inside;
use crate::{
    bgp::link_state::{self as tlv, Tlv, fixed, once},
    wire::Reader,
};

const WHAT: &str = "BGP-LS SRv6";
const SID_OCTETS: usize = 16;
const SID_STRUCTURE: u16 = 1252;

/// Attributes of prefixes and of SRv6 SIDs.
pub(super) fn take(
    tlv: Tlv<'_>,
    inside: &mut Inside,
    into: &mut v1::LinkStateAttribute,
) -> Option<()> {
    let value = tlv.value;
    match tlv.kind {
        1162 => once(&mut into.srv6_locator, locator(value, inside)?),
        1250 => once(&mut into.srv6_endpoint_behavior, behavior(value)?),
        1251 => once(&mut into.srv6_peer_node_sid, peer_node(value)?),
        SID_STRUCTURE => once(&mut into.srv6_sid_structure, structure(value)?),
        _ => None,
    }
}

/// Flags (2), reserved (2).
pub(super) fn capabilities(value: &[u8]) -> Option<u32> {
    let [high, low, _, _] = fixed(value)?;
    Some(u16::from_be_bytes([high, low]).into())
}

/// Behavior (2), flags (1), algorithm (1), weight (1), reserved (1), neighbour (on
/// a LAN 6 with IS-IS, 4 with OSPFv3), SID (16), TLVs.
pub(super) fn end_x<const NEIGHBOR: usize>(
    value: &[u8],
    inside: &mut Inside,
) -> Option<v1::LinkStateSrv6EndXSid> {
    let mut reader = Reader::new(value);
    let behavior = reader.u16(WHAT).ok()?;
    let [flags, algorithm, weight, _] = reader.array(WHAT).ok()?;
    let neighbor = reader.take(NEIGHBOR, WHAT).ok()?;
    let sid = reader.take(SID_OCTETS, WHAT).ok()?;
    let mut parts = None;
    let other = tlv::each(reader.take_rest(), |Tlv { kind, value }| match kind {
        SID_STRUCTURE => once(&mut parts, structure(value)?),
        _ => None,
    });
    Some(v1::LinkStateSrv6EndXSid {
        behavior: behavior.into(),
        flags: flags.into(),
        algorithm: algorithm.into(),
        weight: weight.into(),
        neighbor_id: Bytes::copy_from_slice(neighbor),
        sid: Bytes::copy_from_slice(sid),
        structure: parts,
        other: inside.whole(other)?,
    })
}

/// Flags (1), algorithm (1), reserved (2), metric (4), TLVs.
fn locator(value: &[u8], inside: &mut Inside) -> Option<v1::LinkStateSrv6Locator> {
    let mut reader = Reader::new(value);
    let [flags, algorithm, _, _] = reader.array(WHAT).ok()?;
    let metric = reader.u32(WHAT).ok()?;
    let other = inside.whole(tlv::each(reader.take_rest(), |_| None))?;
    Some(v1::LinkStateSrv6Locator {
        flags: flags.into(),
        algorithm: algorithm.into(),
        metric,
        other,
    })
}

/// Behavior (2), flags (1), algorithm (1).
fn behavior(value: &[u8]) -> Option<v1::LinkStateSrv6Behavior> {
    let [high, low, flags, algorithm] = fixed(value)?;
    Some(v1::LinkStateSrv6Behavior {
        behavior: u16::from_be_bytes([high, low]).into(),
        flags: flags.into(),
        algorithm: algorithm.into(),
    })
}

/// Flags (1), weight (1), reserved (2), AS (4), BGP identifier (4).
fn peer_node(value: &[u8]) -> Option<v1::LinkStateSrv6PeerNodeSid> {
    let mut reader = Reader::new(value);
    let [flags, weight, _, _] = reader.array(WHAT).ok()?;
    Some(v1::LinkStateSrv6PeerNodeSid {
        flags: flags.into(),
        weight: weight.into(),
        peer_asn: reader.u32(WHAT).ok()?,
        peer_bgp_id: tlv::exactly::<4>(reader.take_rest())?,
    })
}

/// Lengths of locator block, locator node, function and argument, an octet each.
fn structure(value: &[u8]) -> Option<v1::LinkStateSrv6SidStructure> {
    let [locator_block, locator_node, function, argument] = fixed(value)?.map(u8::into);
    Some(v1::LinkStateSrv6SidStructure { locator_block, locator_node, function, argument })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{of, tlv};
    use super::*;

    const SID: [u8; 16] = [0xfc, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    const STRUCTURE: v1::LinkStateSrv6SidStructure = v1::LinkStateSrv6SidStructure {
        locator_block: 32,
        locator_node: 16,
        function: 16,
        argument: 64,
    };

    #[test]
    fn adjacencies_have_sids_with_a_behavior_and_a_structure() {
        let head = [0, 57, 0x80, 128, 9, 0];
        let tail = [&SID[..], &tlv(1252, &[32, 16, 16, 64]), &tlv(7, &[])].concat();
        let cases: [(u16, &[u8]); 3] =
            [(1106, &[]), (1107, &[0, 0, 0, 0, 0, 1]), (1108, &[10, 0, 0, 1])];
        for (kind, neighbor) in cases {
            let attribute = of(kind, &[&head, neighbor, &tail].concat());
            let sids = [attribute.srv6_end_x_sids, attribute.srv6_lan_end_x_sids].concat();
            let [sid] = &sids[..] else { panic!("{sids:?}") };
            assert_eq!((sid.behavior, sid.flags, sid.algorithm, sid.weight), (57, 0x80, 128, 9));
            assert_eq!((&sid.neighbor_id[..], &sid.sid[..]), (neighbor, &SID[..]));
            assert_eq!((sid.structure, sid.other.len()), (Some(STRUCTURE), 1));
        }
    }

    #[test]
    fn nodes_have_capabilities_and_prefixes_locators() {
        assert_eq!(of(1038, &[0x40, 0, 0, 0]).srv6_capabilities, Some(0x4000));
        let locator = of(1162, &[0x80, 128, 0, 0, 0, 0, 0, 10]).srv6_locator.unwrap();
        assert_eq!((locator.flags, locator.algorithm, locator.metric), (0x80, 128, 10));
    }

    #[test]
    fn sids_have_a_behavior_a_structure_and_the_peer_that_they_lead_to() {
        let behavior = of(1250, &[0, 48, 1, 128]).srv6_endpoint_behavior.unwrap();
        assert_eq!((behavior.behavior, behavior.flags, behavior.algorithm), (48, 1, 128));
        assert_eq!(of(1252, &[32, 16, 16, 64]).srv6_sid_structure, Some(STRUCTURE));
        let value = [0x20, 3, 0, 0, 0, 0, 0xfd, 0xe9, 192, 0, 2, 1];
        let peer = of(1251, &value).srv6_peer_node_sid.unwrap();
        assert_eq!((peer.flags, peer.weight, peer.peer_asn), (0x20, 3, 65001));
        assert_eq!(peer.peer_bgp_id[..], [192, 0, 2, 1]);
    }
}
