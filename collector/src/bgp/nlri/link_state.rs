//! BGP-LS (RFC 9552, 5.2; RFC 9514, 6; RFC 9857, 4).
//!
//! ```text
//! | NLRI Type (2) | Length (2) | Route Distinguisher (8: SAFI 72) |
//! | Protocol-ID (1) | Identifier (8) | Local Node Descriptors | other descriptors |
//! ```

use prost::bytes::Bytes;
use ribstream_proto::{family::AfiSafi, v1};

use crate::{
    bgp::link_state::{self as tlv, Tlv, once, once_bytes},
    wire::{Malformed, Reader},
};

const SAFI_BGP_LS_VPN: u8 = 72;

/// NLRI types (IANA, BGP-LS NLRI Types).
const RESERVED: u16 = 0;
const NODE: u16 = 1;
const IPV6_PREFIX: u16 = 4;
const SRV6_SID: u16 = 6;

/// Decodes one NLRI. Descriptors are taken in any order and as many as there are:
/// what RFC 9552, 8.2.2 makes of others is for its consumers.
pub(super) fn decode(
    nlri: &[u8],
    family: AfiSafi,
    route: &mut v1::OtherRoute,
) -> Result<(), Malformed> {
    const WHAT: &str = "BGP-LS NLRI";
    let mut reader = Reader::new(nlri);
    let kind = reader.u16(WHAT)?;
    let length = reader.u16(WHAT)?;
    let mut body = reader.sub(length.into(), WHAT)?;
    reader.finish(WHAT)?;
    if family.safi == SAFI_BGP_LS_VPN {
        let distinguisher = body.array::<8>("route distinguisher")?;
        route.route_distinguisher = Bytes::copy_from_slice(&distinguisher);
    }
    let mut link_state =
        v1::LinkStateNlri { nlri_type: kind.into(), ..v1::LinkStateNlri::default() };
    match kind {
        RESERVED => return Err(Malformed::Value { what: "BGP-LS NLRI type", value: 0 }),
        NODE..=SRV6_SID => {
            link_state.protocol_id = body.u8("BGP-LS Protocol-ID")?.into();
            link_state.identifier = body.u64("BGP-LS Identifier")?;
            let other = tlv::each(body.take_rest(), |tlv| descriptor(tlv, kind, &mut link_state))?;
            link_state.other = other;
        }
        // Of a type yet to come nothing is known (RFC 9552, 5.2).
        _ => {}
    }
    route.nlri = Some(v1::other_route::Nlri::LinkState(Box::new(link_state)));
    Ok(())
}

/// `None` where it is not known or malformed.
fn descriptor(tlv: Tlv<'_>, nlri_type: u16, into: &mut v1::LinkStateNlri) -> Option<()> {
    let value = tlv.value;
    match tlv.kind {
        256 => once(&mut into.local_node, node(value)?),
        257 => once(&mut into.remote_node, node(value)?),
        258 => tlv::link_identifiers(&mut into.link_local_id, &mut into.link_remote_id, value),
        259 => tlv::exactly::<4>(value).map(|address| into.interface_addresses.push(address)),
        260 => tlv::exactly::<4>(value).map(|address| into.neighbor_addresses.push(address)),
        261 => tlv::exactly::<16>(value).map(|address| into.interface_addresses.push(address)),
        262 => tlv::exactly::<16>(value).map(|address| into.neighbor_addresses.push(address)),
        263 => tlv::topologies(&mut into.multi_topology_ids, value),
        264 => once(&mut into.ospf_route_type, tlv::u8(value)?),
        265 => once(&mut into.prefix, reachability(value, nlri_type)?),
        518 => tlv::exactly::<16>(value).map(|sid| into.srv6_sids.push(sid)),
        554 => once(&mut into.candidate_path, candidate_path(value)?),
        _ => None,
    }
}

/// Node Descriptors (RFC 9552, 5.2.1.4; RFC 9086, 4.1).
fn node(value: &[u8]) -> Option<v1::LinkStateNode> {
    let mut node = v1::LinkStateNode::default();
    let other = tlv::each(value, |Tlv { kind, value }| match kind {
        512 => once(&mut node.asn, tlv::u32(value)?),
        513 => once(&mut node.bgp_ls_identifier, tlv::u32(value)?),
        514 => once_bytes(&mut node.ospf_area_id, tlv::exactly::<4>(value)?),
        515 => once_bytes(&mut node.igp_router_id, tlv::some(value)?),
        516 => once_bytes(&mut node.bgp_router_id, tlv::exactly::<4>(value)?),
        517 => once(&mut node.member_asn, tlv::u32(value)?),
        1028 => tlv::exactly::<4>(value).map(|id| node.router_ids.push(id)),
        1029 => tlv::exactly::<16>(value).map(|id| node.router_ids.push(id)),
        _ => None,
    });
    node.other = other.ok()?;
    Some(node)
}

/// IP Reachability Information (RFC 9552, 5.2.3.2): the length in bits, then as
/// few octets as hold them; some routers send all of the address.
fn reachability(value: &[u8], nlri_type: u16) -> Option<v1::Prefix> {
    let octets: usize = if nlri_type == IPV6_PREFIX { 16 } else { 4 };
    let (&length, sent) = value.split_first()?;
    let used = usize::from(length).div_ceil(8);
    if used > sent.len() || sent.len() > octets {
        return None;
    }
    let mut address = vec![0; octets];
    address.get_mut(..used)?.copy_from_slice(sent.get(..used)?);
    let spare = used * 8 - usize::from(length);
    if spare > 0 {
        *address.get_mut(used - 1)? &= 0xff << spare;
    }
    Some(v1::Prefix { address: address.into(), length: length.into() })
}

/// Protocol origin (1), flags (1), reserved (2), endpoint (4, or 16 with flag 0x80),
/// color (4), originator's AS (4) and address (4, or 16 with flag 0x40),
/// discriminator (4).
fn candidate_path(value: &[u8]) -> Option<v1::LinkStateCandidatePath> {
    const WHAT: &str = "SR Policy Candidate Path Descriptor";
    const IPV6_ENDPOINT: u8 = 0x80;
    const IPV6_ORIGINATOR: u8 = 0x40;
    let mut reader = Reader::new(value);
    let [protocol_origin, flags, _, _] = reader.array(WHAT).ok()?;
    let octets = |flag| if flags & flag == 0 { 4 } else { 16 };
    let endpoint = reader.take(octets(IPV6_ENDPOINT), WHAT).ok()?;
    let color = reader.u32(WHAT).ok()?;
    let originator_asn = reader.u32(WHAT).ok()?;
    let originator = reader.take(octets(IPV6_ORIGINATOR), WHAT).ok()?;
    Some(v1::LinkStateCandidatePath {
        protocol_origin: protocol_origin.into(),
        flags: flags.into(),
        endpoint: Bytes::copy_from_slice(endpoint),
        color,
        originator_asn,
        originator: Bytes::copy_from_slice(originator),
        discriminator: tlv::u32(reader.take_rest())?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BGP_LS: AfiSafi = AfiSafi::new(16388, 71);

    fn tlv(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap();
        [&kind.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
    }

    fn nlri(kind: u16, protocol: u8, descriptors: &[Vec<u8>]) -> Vec<u8> {
        tlv(kind, &[&[protocol, 0, 0, 0, 0, 0, 0, 0, 9], &*descriptors.concat()].concat())
    }

    fn decoded(bytes: &[u8]) -> v1::LinkStateNlri {
        let mut route = v1::OtherRoute::default();
        decode(bytes, BGP_LS, &mut route).unwrap();
        let Some(v1::other_route::Nlri::LinkState(nlri)) = route.nlri else { panic!("{route:?}") };
        *nlri
    }

    #[test]
    fn a_node_has_every_descriptor_of_a_node() {
        let node = [
            tlv(512, &[0, 0, 0xfd, 0xe9]),
            tlv(513, &[0, 0, 0, 1]),
            tlv(514, &[0, 0, 0, 2]),
            tlv(515, &[10, 0, 0, 1, 192, 0, 2, 1]),
            tlv(516, &[10, 0, 0, 1]),
            tlv(517, &[0, 0, 0xfc, 0]),
            tlv(599, &[7]),
        ];
        let nlri = decoded(&nlri(1, 3, &[tlv(256, &node.concat())]));
        assert_eq!((nlri.nlri_type, nlri.protocol_id, nlri.identifier), (1, 3, 9));
        let node = nlri.local_node.unwrap();
        assert_eq!((node.asn, node.bgp_ls_identifier), (Some(65001), Some(1)));
        assert_eq!(node.ospf_area_id[..], [0, 0, 0, 2]);
        assert_eq!(node.igp_router_id[..], [10, 0, 0, 1, 192, 0, 2, 1]);
        assert_eq!(
            (node.bgp_router_id[..].to_vec(), node.member_asn),
            (vec![10, 0, 0, 1], Some(64512))
        );
        assert_eq!((node.other[0].r#type, &node.other[0].value[..]), (599, &[7][..]));
    }

    #[test]
    fn a_link_may_be_told_by_identifiers_and_addresses_of_both_families() {
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let nlri = decoded(&nlri(
            2,
            2,
            &[
                tlv(256, &tlv(515, &[0, 0, 0, 0, 0, 1])),
                tlv(257, &tlv(515, &[0, 0, 0, 0, 0, 2, 3])),
                tlv(258, &[0, 0, 0, 39, 0, 0, 0, 53]),
                tlv(259, &[192, 0, 2, 1]),
                tlv(260, &[192, 0, 2, 2]),
                tlv(261, &v6),
                tlv(262, &v6),
                tlv(263, &[0xf0, 2]),
                tlv(270, &[0, 0, 0xfd, 0xe9]),
            ],
        ));
        assert_eq!(nlri.remote_node.unwrap().igp_router_id[..], [0, 0, 0, 0, 0, 2, 3]);
        assert_eq!((nlri.link_local_id, nlri.link_remote_id), (Some(39), Some(53)));
        assert_eq!(nlri.interface_addresses, [&[192, 0, 2, 1][..], &v6]);
        assert_eq!(nlri.neighbor_addresses, [&[192, 0, 2, 2][..], &v6]);
        assert_eq!(nlri.multi_topology_ids, [2]);
        assert_eq!(nlri.other[0].r#type, 270);
    }

    #[test]
    fn a_prefix_is_read_by_its_family_with_few_octets_or_all() {
        let text = |kind, value: &[u8]| {
            let nlri = decoded(&nlri(kind, 3, &[tlv(264, &[4]), tlv(265, value)]));
            assert_eq!(nlri.ospf_route_type, Some(4));
            ribstream_proto::text::prefix(&nlri.prefix.unwrap())
        };
        assert_eq!(text(3, &[0]), "0.0.0.0/0");
        assert_eq!(text(3, &[12, 10, 0xff]), "10.240.0.0/12");
        assert_eq!(text(3, &[24, 192, 0, 2, 0]), "192.0.2.0/24");
        assert_eq!(text(4, &[32, 0x20, 1, 0xd, 0xb8]), "2001:db8::/32");
    }

    #[test]
    fn an_impossible_prefix_stays_as_sent() {
        for value in [&[33, 1, 2, 3, 4, 5][..], &[24, 192, 0], &[8, 1, 2, 3, 4, 5], &[]] {
            let nlri = decoded(&nlri(3, 3, &[tlv(265, value)]));
            assert_eq!((nlri.prefix, &nlri.other[0].value[..]), (None, value));
        }
    }

    #[test]
    fn an_srv6_sid_has_its_node_and_topology() {
        let sid = [0xfc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let nlri = decoded(&nlri(
            6,
            2,
            &[tlv(256, &tlv(515, &[0, 0, 0, 0, 0, 1])), tlv(263, &[0, 2]), tlv(518, &sid)],
        ));
        assert_eq!(
            (nlri.srv6_sids, nlri.multi_topology_ids),
            (vec![Bytes::copy_from_slice(&sid)], vec![2])
        );
    }

    #[test]
    fn a_candidate_path_has_addresses_as_long_as_its_flags_say() {
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let v4 = [192, 0, 2, 1];
        let cases: [(u8, &[u8], &[u8]); 3] = [(0, &v4, &v4), (0xc0, &v6, &v6), (0x80, &v6, &v4)];
        for (flags, endpoint, originator) in cases {
            let path = [
                &[2, flags, 0, 0][..],
                endpoint,
                &[0, 0, 0, 101, 0, 0, 0xfd, 0xe9],
                originator,
                &[0, 0, 0, 100],
            ];
            let headend = tlv(256, &[tlv(1028, &v4), tlv(1029, &v6)].concat());
            let nlri = decoded(&nlri(5, 9, &[headend, tlv(554, &path.concat())]));
            assert_eq!(nlri.local_node.unwrap().router_ids, [&v4[..], &v6]);
            let path = nlri.candidate_path.unwrap();
            assert_eq!((path.protocol_origin, path.flags), (2, flags.into()));
            assert_eq!((&path.endpoint[..], &path.originator[..]), (endpoint, originator));
            assert_eq!((path.color, path.originator_asn), (101, 65001));
            assert_eq!(path.discriminator, 100);
        }
    }

    #[test]
    fn a_vpn_route_has_its_distinguisher_before_all_else() {
        let bytes = tlv(1, &[0, 0, 0xfd, 0xe9, 0, 0, 0, 7, 2, 0, 0, 0, 0, 0, 0, 0, 9]);
        let mut route = v1::OtherRoute::default();
        decode(&bytes, AfiSafi::new(16388, 72), &mut route).unwrap();
        assert_eq!(route.route_distinguisher[..], [0, 0, 0xfd, 0xe9, 0, 0, 0, 7]);
        let Some(v1::other_route::Nlri::LinkState(nlri)) = route.nlri else { panic!() };
        assert_eq!((nlri.protocol_id, nlri.identifier), (2, 9));
    }

    #[test]
    fn of_an_unknown_type_the_type_is_told_and_no_more() {
        let nlri = decoded(&tlv(77, &[1]));
        assert_eq!(nlri, v1::LinkStateNlri { nlri_type: 77, ..v1::LinkStateNlri::default() });
    }

    #[test]
    fn broken_framing_is_refused_and_a_broken_descriptor_is_not() {
        let cut = nlri(1, 2, &[vec![1, 0, 0, 9, 1]]);
        assert!(decode(&cut, BGP_LS, &mut v1::OtherRoute::default()).is_err());
        assert!(decode(&[0, 0, 0, 0], BGP_LS, &mut v1::OtherRoute::default()).is_err());
        assert!(decode(&[0, 1, 0, 1, 2], BGP_LS, &mut v1::OtherRoute::default()).is_err());
        let broken_node = nlri(1, 2, &[tlv(256, &[2, 0, 0, 9, 1])]);
        assert_eq!(decoded(&broken_node).other[0].r#type, 256);
        let twice = [tlv(512, &[0, 0, 0, 1]), tlv(512, &[0, 0, 0, 2])].concat();
        let node = decoded(&nlri(1, 2, &[tlv(256, &twice)])).local_node.unwrap();
        assert_eq!((node.asn, node.other.len()), (Some(1), 1));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(
            kind in 0_u16..8,
            protocol in any::<u8>(),
            known in prop::sample::select(vec![256_u16, 257, 258, 259, 262, 263, 264, 265, 518, 554]),
            value in prop::collection::vec(any::<u8>(), 0..24),
            rest in prop::collection::vec(any::<u8>(), 0..24),
        ) {
            for descriptors in [vec![tlv(known, &value)], vec![tlv(known, &value), rest]] {
                let bytes = nlri(kind, protocol, &descriptors);
                let whole = decode(&bytes, BGP_LS, &mut v1::OtherRoute::default()).is_ok();
                prop_assert!(whole || kind == 0 || descriptors.len() > 1);
            }
            let _ = decode(&value, BGP_LS, &mut v1::OtherRoute::default());
        }
    }
}
