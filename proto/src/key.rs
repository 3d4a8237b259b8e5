//! What tells a route from the others of its peer, view and family.
//!
//! An announcement and the withdrawal of the same route have the same key,
//! whatever else differs: labels, gateways, and what a withdrawal leaves out. The
//! key begins as the NLRI does, with the route's type where it has one, so that
//! no two kinds of routes share a key. The path identifier is not in it: it
//! identifies a path to the route (RFC 7911, 3), and is compared beside the key.

use bytes::{BufMut, Bytes, BytesMut};

use crate::v1::{
    EvpnRoute, MupRoute, OtherRoute, Prefix, PrefixRoute, VplsRoute, other_route::Nlri,
};

/// The key of a route whose NLRI is a prefix: route distinguisher, length and as
/// many octets of the address as hold it.
#[must_use]
pub fn prefix(route: &PrefixRoute) -> Bytes {
    let mut key = BytesMut::with_capacity(32);
    key.put_slice(&route.route_distinguisher);
    put_prefix(&mut key, route.prefix.as_ref());
    key.freeze()
}

/// The key of an EVPN route: the octets of its NLRI that identify it (see
/// `EvpnRoute` in `routes.proto`); of one that could not be decoded, all.
#[must_use]
pub fn evpn(route: &EvpnRoute) -> Bytes {
    if route.route_distinguisher.is_empty() {
        return route.raw.clone();
    }
    let mut key = BytesMut::with_capacity(64);
    // The type is one octet on the wire.
    key.put_u8(route.route_type.to_be_bytes()[3]);
    if route.route_type == 11 {
        key.put_slice(&route.route_key);
        put_sized(&mut key, &route.originator);
        return key.freeze();
    }
    key.put_slice(&route.route_distinguisher);
    if matches!(route.route_type, 1 | 4 | 7 | 8) {
        key.put_slice(&route.esi);
    }
    if let Some(tag) = route.ethernet_tag {
        key.put_u32(tag);
    }
    match route.route_type {
        2 => {
            key.put_slice(&route.mac);
            put_sized(&mut key, &route.ip);
        }
        3 | 4 => put_sized(&mut key, &route.originator),
        5 => {
            put_prefix(&mut key, route.prefix.as_ref());
            // 10.0.0.0/8 and a00::/8 are two routes.
            put_length(&mut key, route.prefix.as_ref().map_or(0, |prefix| prefix.address.len()));
        }
        6..=8 | 10 => {
            put_sized(&mut key, &route.source);
            put_sized(&mut key, &route.group);
            put_sized(&mut key, &route.originator);
        }
        _ => key.put_slice(&route.region),
    }
    key.freeze()
}

/// The key of another route: the octets of its NLRI that identify it, without the
/// length that precedes them where that may be written in two ways.
#[must_use]
pub fn other(route: &OtherRoute) -> Bytes {
    match &route.nlri {
        Some(Nlri::FlowSpecification(_)) => flow_specification(&route.raw),
        Some(Nlri::Vpls(vpls)) => self::vpls(route, vpls),
        Some(Nlri::Mup(mup)) => self::mup(route, mup),
        Some(Nlri::RouteTargetMembership(membership)) => {
            let mut key = BytesMut::with_capacity(13);
            put_length(&mut key, usize::try_from(membership.length).unwrap_or(usize::MAX));
            if let Some(asn) = membership.origin_asn {
                key.put_u32(asn);
            }
            key.put_slice(&membership.route_target);
            key.freeze()
        }
        _ => route.raw.clone(),
    }
}

/// The length may have one octet or two (RFC 8955, 4.1).
fn flow_specification(raw: &Bytes) -> Bytes {
    let header = if raw.first().is_some_and(|length| *length >= 0xf0) { 2 } else { 1 };
    raw.slice(header.min(raw.len())..)
}

/// Neither the label base nor the size of the block: a PE may move and resize the
/// block that begins at an offset (RFC 4761, 3.2.2).
fn vpls(route: &OtherRoute, vpls: &VplsRoute) -> Bytes {
    let mut key = BytesMut::with_capacity(12);
    key.put_slice(&route.route_distinguisher);
    key.put_slice(&vpls.pe_address);
    for number in [vpls.ve_id, vpls.ve_block_offset].into_iter().flatten() {
        key.put_u32(number);
    }
    key.freeze()
}

/// The draft names the fields at each type (3.1.1 to 3.1.4).
fn mup(route: &OtherRoute, mup: &MupRoute) -> Bytes {
    let mut key = BytesMut::with_capacity(48);
    key.put_u8(mup.architecture_type.to_be_bytes()[3]);
    key.put_slice(&mup.route_type.to_be_bytes()[2..]);
    key.put_slice(&route.route_distinguisher);
    match mup.route_type {
        1 | 3 => put_prefix(&mut key, mup.prefix.as_ref()),
        2 => key.put_slice(&mup.address),
        _ => {
            key.put_slice(&mup.endpoint);
            key.put_u32(mup.teid_length.unwrap_or_default());
            key.put_u32(mup.teid.unwrap_or_default());
        }
    }
    key.freeze()
}

fn put_prefix(key: &mut BytesMut, prefix: Option<&Prefix>) {
    let Some(prefix) = prefix else { return };
    let length = usize::try_from(prefix.length).unwrap_or(usize::MAX);
    put_length(key, length);
    key.put_slice(prefix.address.get(..length.div_ceil(8)).unwrap_or(&prefix.address));
}

/// An address behind its length in octets, so that two of them in a row are told
/// from two others.
fn put_sized(key: &mut BytesMut, address: &[u8]) {
    put_length(key, address.len());
    key.put_slice(address);
}

/// Lengths of fields fit an octet, as they do on the wire.
fn put_length(key: &mut BytesMut, length: usize) {
    key.put_u8(u8::try_from(length).unwrap_or(u8::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_known_by_distinguisher_length_and_the_octets_that_hold_it() {
        let mut route = PrefixRoute {
            prefix: Some(Prefix { address: vec![10, 1, 0, 0].into(), length: 16 }),
            labels: vec![17],
            path_id: Some(3),
            ..PrefixRoute::default()
        };
        assert_eq!(&prefix(&route)[..], [16, 10, 1]);
        route.route_distinguisher = vec![0, 0, 0xfd, 0xe9, 0, 0, 0, 7].into();
        assert_eq!(&prefix(&route)[..], [0, 0, 0xfd, 0xe9, 0, 0, 0, 7, 16, 10, 1]);
        let default = Prefix { address: vec![0; 16].into(), length: 0 };
        let route = PrefixRoute { prefix: Some(default), ..PrefixRoute::default() };
        assert_eq!(&prefix(&route)[..], [0]);
    }

    #[test]
    fn a_route_that_could_not_be_decoded_is_known_by_its_octets() {
        let raw = Bytes::from_static(&[9, 1, 2]);
        assert_eq!(evpn(&EvpnRoute { raw: raw.clone(), ..EvpnRoute::default() }), raw);
        assert_eq!(other(&OtherRoute { raw: raw.clone(), ..OtherRoute::default() }), raw);
    }
}
