//! Segment identifiers of MPLS (RFC 9085, RFC 9086).

use prost::bytes::Bytes;
use ribstream_proto::v1;

use super::Inside;
use crate::{
    bgp::link_state::{self as tlv, Tlv, fixed},
    wire::Reader,
};

const WHAT: &str = "BGP-LS segment identifier";
/// The SID/Label TLV (RFC 9085, 2.1.1).
const SID_LABEL: u16 = 1161;
const PREFIX_SID: u16 = 1158;

/// The length tells which it is: a label of 20 bits in 3 octets, an index in 4.
fn sid(value: &[u8]) -> Option<v1::LinkStateSid> {
    if let Some([high, middle, low]) = fixed(value) {
        let label = u32::from_be_bytes([0, high & 0x0f, middle, low]);
        return Some(v1::LinkStateSid { label: Some(label), index: None });
    }
    Some(v1::LinkStateSid { label: None, index: Some(tlv::u32(value)?) })
}

/// Flags (1), reserved (1), then of each range its size (3) and its first SID.
pub(super) fn block(value: &[u8], inside: &mut Inside) -> Option<v1::LinkStateSidBlock> {
    let mut reader = Reader::new(value);
    let [flags, _] = reader.array(WHAT).ok()?;
    let mut ranges = Vec::new();
    while reader.any_left() {
        let [high, middle, low] = reader.array(WHAT).ok()?;
        let Tlv { kind: SID_LABEL, value } = inside.whole(tlv::next(&mut reader))? else {
            return None;
        };
        ranges.push(v1::LinkStateLabelRange {
            size: u32::from_be_bytes([0, high, middle, low]),
            first: Some(sid(value)?),
        });
    }
    Some(v1::LinkStateSidBlock { flags: flags.into(), ranges })
}

/// Flags (1), weight (1), reserved (2), SID (3 or 4).
pub(super) fn adjacency(value: &[u8]) -> Option<v1::LinkStateAdjacencySid> {
    adjacency_of(value, 0)
}

/// Flags (1), weight (1), reserved (2), neighbour (6 with IS-IS, 4 with OSPF), SID
/// (3 or 4): the length tells.
pub(super) fn lan_adjacency(value: &[u8]) -> Option<v1::LinkStateAdjacencySid> {
    adjacency_of(value, if value.len() < 13 { 4 } else { 6 })
}

fn adjacency_of(value: &[u8], neighbor: usize) -> Option<v1::LinkStateAdjacencySid> {
    let mut reader = Reader::new(value);
    let [flags, weight, _, _] = reader.array(WHAT).ok()?;
    let neighbor = reader.take(neighbor, WHAT).ok()?;
    Some(v1::LinkStateAdjacencySid {
        flags: flags.into(),
        weight: weight.into(),
        sid: Some(sid(reader.take_rest())?),
        neighbor_id: Bytes::copy_from_slice(neighbor),
    })
}

/// Flags (1), algorithm (1), reserved (2), SID (3 or 4).
pub(super) fn prefix(value: &[u8]) -> Option<v1::LinkStatePrefixSid> {
    let mut reader = Reader::new(value);
    let [flags, algorithm, _, _] = reader.array(WHAT).ok()?;
    Some(v1::LinkStatePrefixSid {
        flags: flags.into(),
        algorithm: algorithm.into(),
        sid: Some(sid(reader.take_rest())?),
    })
}

/// Flags (1), reserved (1), size (2), TLVs.
pub(super) fn range(value: &[u8], inside: &mut Inside) -> Option<v1::LinkStateSidRange> {
    let mut reader = Reader::new(value);
    let [flags, _] = reader.array(WHAT).ok()?;
    let size = reader.u16(WHAT).ok()?;
    let mut prefix_sids = Vec::new();
    let other = tlv::each(reader.take_rest(), |Tlv { kind, value }| match kind {
        PREFIX_SID => prefix(value).map(|sid| prefix_sids.push(sid)),
        _ => None,
    });
    Some(v1::LinkStateSidRange {
        flags: flags.into(),
        size: size.into(),
        prefix_sids,
        other: inside.whole(other)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{
        parse,
        tests::{of, tlv},
    };
    use super::*;

    fn label(label: u32) -> v1::LinkStateSid {
        v1::LinkStateSid { label: Some(label), index: None }
    }

    fn index(index: u32) -> v1::LinkStateSid {
        v1::LinkStateSid { label: None, index: Some(index) }
    }

    #[test]
    fn a_block_has_as_many_ranges_as_it_likes() {
        let value = [
            &[0x80, 0, 0, 0x1f, 0x40][..],
            &tlv(1161, &[0, 0x3e, 0x80]),
            &[0, 0, 9],
            &tlv(1161, &[0, 0, 0, 7]),
        ];
        for kind in [1034, 1036] {
            let attribute = of(kind, &value.concat());
            let block = attribute.sr_capabilities.or(attribute.sr_local_block).unwrap();
            let ranges: Vec<_> = block.ranges.iter().map(|r| (r.size, r.first)).collect();
            assert_eq!(
                (block.flags, ranges),
                (0x80, vec![(8000, Some(label(16000))), (9, Some(index(7)))])
            );
        }
    }

    #[test]
    fn an_adjacency_has_a_label_or_an_index_by_its_length() {
        let sid = of(1099, &[0x30, 5, 0, 0, 0xf4, 0x93, 0x10]).adjacency_sids.remove(0);
        assert_eq!((sid.flags, sid.weight, sid.sid), (0x30, 5, Some(label(299_792))));
        let peers = of(1101, &[0, 0, 0, 0, 0, 0, 0, 7]).peer_node_sids;
        assert_eq!((peers[0].sid, peers[0].neighbor_id.len()), (Some(index(7)), 0));
        assert_eq!(of(1102, &[0xc0, 0, 0, 0, 0, 0, 7]).peer_adjacency_sids[0].sid, Some(label(7)));
        assert_eq!(of(1103, &[0xc0, 0, 0, 0, 0, 0, 7]).peer_set_sids[0].flags, 0xc0);
    }

    #[test]
    fn the_neighbour_on_a_lan_is_known_by_system_or_router_identifier() {
        let lan = |value: &[u8]| of(1100, value).lan_adjacency_sids.remove(0);
        let ospf = lan(&[0, 0, 0, 0, 10, 0, 0, 1, 0, 0, 7]);
        assert_eq!((&ospf.neighbor_id[..], ospf.sid), (&[10, 0, 0, 1][..], Some(label(7))));
        let ospf = lan(&[0, 0, 0, 0, 10, 0, 0, 1, 0, 0, 0, 7]);
        assert_eq!((&ospf.neighbor_id[..], ospf.sid), (&[10, 0, 0, 1][..], Some(index(7))));
        let isis = lan(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 7]);
        assert_eq!((&isis.neighbor_id[..], isis.sid), (&[0, 0, 0, 0, 0, 1][..], Some(label(7))));
        let isis = lan(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7]);
        assert_eq!((&isis.neighbor_id[..], isis.sid), (&[0, 0, 0, 0, 0, 1][..], Some(index(7))));
    }

    #[test]
    fn prefixes_have_sids_one_by_one_or_in_a_range() {
        let sid = of(1158, &[0x40, 128, 0, 0, 0, 0, 0, 5]).prefix_sids.remove(0);
        assert_eq!((sid.flags, sid.algorithm, sid.sid), (0x40, 128, Some(index(5))));
        let value = [&[0x80, 0, 1, 0][..], &tlv(1158, &[0, 0, 0, 0, 0, 0, 0, 5]), &tlv(7, &[])];
        let range = of(1159, &value.concat()).sid_ranges.remove(0);
        assert_eq!((range.flags, range.size, range.other.len()), (0x80, 256, 1));
        assert_eq!(range.prefix_sids[0].sid, Some(index(5)));
    }

    #[test]
    fn a_block_with_anything_but_sids_stays_as_sent() {
        let value = [&[0, 0, 0, 0, 9][..], &tlv(1160, &[0, 0, 7])].concat();
        let attribute = parse(&tlv(1034, &value)).unwrap();
        assert_eq!((attribute.sr_capabilities, attribute.other.len()), (None, 1));
    }

    #[test]
    fn a_block_whose_last_sid_ends_too_early_breaks_the_attribute() {
        for kind in [1034, 1036] {
            assert!(parse(&tlv(kind, &[0, 0, 0, 0, 9, 4, 137, 0, 3, 1])).is_err());
        }
    }
}
