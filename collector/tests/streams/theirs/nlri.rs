//! The routes of the families that occur.

use prost::bytes::Bytes;
use ribstream_proto::v1::{EvpnRoute, Family, PrefixRoute, Routes};
use serde_json::Value;

use super::{
    address, distinguisher, family, fields, list, number, octets, path_id, prefix, variant,
};

/// Of MP_REACH_NLRI, or of MP_UNREACH_NLRI, which has no next hop.
pub(super) fn routes(value: &Value) -> Routes {
    let (name, value) = variant(value);
    let Family { afi, safi } = family(name);
    let nlri = list(&value["nlri"]);
    let mut routes = Routes { afi, safi, ..Routes::default() };
    match (name, value.as_object().unwrap().len()) {
        (_, 1) => {}
        ("Ipv6Unicast", 3) => {
            let [next_hop, local, _] = fields(value, ["next_hop_global", "next_hop_local", "nlri"]);
            routes.next_hop = address(next_hop);
            routes.link_local_next_hop = address(local);
        }
        ("L2Evpn", 2) => routes.next_hop = address(&value["next_hop"]),
        ("Ipv4MplsVpnUnicast" | "Ipv6MplsVpnUnicast", 2) => {
            routes.next_hop = vpn_next_hop(&value["next_hop"]);
        }
        (_, 3) => {
            let [next_hop, local, _] = fields(value, ["next_hop", "next_hop_local", "nlri"]);
            routes.next_hop = address(next_hop);
            routes.link_local_next_hop = address(local);
        }
        other => panic!("{other:?}"),
    }
    match safi {
        1 => routes.prefixes = unicast(Family { afi, safi }, &value["nlri"]).prefixes,
        4 => routes.prefixes = nlri.iter().map(labelled).collect(),
        128 => routes.prefixes = nlri.iter().map(vpn).collect(),
        70 => routes.evpn = nlri.iter().map(evpn).collect(),
        other => panic!("SAFI {other}"),
    }
    routes
}

pub(super) fn unicast(family: Family, nlri: &Value) -> Routes {
    let prefixes = list(nlri).iter().map(|nlri| {
        let [id, network] = fields(nlri, ["path_id", "network"]);
        PrefixRoute {
            prefix: Some(prefix(network)),
            path_id: path_id(id),
            ..PrefixRoute::default()
        }
    });
    Routes { afi: family.afi, safi: family.safi, prefixes: prefixes.collect(), ..Routes::default() }
}

/// The distinguisher before it is zero (RFC 4364, 4.3.2).
fn vpn_next_hop(value: &Value) -> Bytes {
    let (kind, value) = variant(value);
    let (rd, next_hop) = match kind {
        "Ipv4" => fields(value, ["rd", "next_hop"]).into(),
        "Ipv6" => {
            let [rd, next_hop, local] = fields(value, ["rd", "next_hop", "next_hop_local"]);
            assert!(local.is_null());
            (rd, next_hop)
        }
        other => panic!("{other}"),
    };
    assert_eq!(distinguisher(rd), [0; 8][..]);
    address(next_hop)
}

/// The highest 20 of the 24 bits, as they have them.
fn label(octets: &Value) -> u32 {
    super::octets(octets).iter().fold(0, |label, octet| label << 8 | u32::from(*octet)) >> 4
}

fn labelled(nlri: &Value) -> PrefixRoute {
    let [id, labels, network] = fields(nlri, ["path_id", "labels", "prefix"]);
    PrefixRoute {
        prefix: Some(prefix(network)),
        path_id: path_id(id),
        labels: list(labels).iter().map(label).collect(),
        ..PrefixRoute::default()
    }
}

fn vpn(nlri: &Value) -> PrefixRoute {
    let [id, rd, labels, network] = fields(nlri, ["path_id", "rd", "label_stack", "network"]);
    PrefixRoute {
        prefix: Some(prefix(network)),
        path_id: path_id(id),
        route_distinguisher: distinguisher(rd),
        labels: list(labels).iter().map(label).collect(),
    }
}

fn evpn(nlri: &Value) -> EvpnRoute {
    let [id, route] = fields(nlri, ["path_id", "route"]);
    let [discovery] = fields(route, ["EthernetAutoDiscovery"]);
    let [rd, segment, tag, mpls_label] =
        fields(discovery, ["rd", "segment_id", "tag", "mpls_label"]);
    EvpnRoute {
        route_type: 1,
        path_id: path_id(id),
        route_distinguisher: distinguisher(rd),
        esi: octets(segment).into(),
        ethernet_tag: Some(number(tag)),
        labels: vec![label(mpls_label)],
        ..EvpnRoute::default()
    }
}
