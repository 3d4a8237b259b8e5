//! Messages of the router as the collector's events.

use bytes::Bytes;
use ribstream_ingester::rows::Told;
use ribstream_proto::v1::{
    Family, PathAttributes, Peer, PeerDown, PeerUp, Prefix, PrefixRoute, RibView, RouteUpdate,
    Routes, event::Body,
};

use crate::{
    common::attributes,
    network::{ROUTES, Said, TABLES, table_of},
};

const NEXT_HOP: Bytes = Bytes::from_static(&[198, 51, 100, 1]);

/// View and family of a table.
pub(crate) fn table(peer: usize, table: usize) -> (RibView, u32) {
    match (peer, table) {
        (_, 0) => (RibView::AdjRibInPre, 1),
        (0, _) => (RibView::AdjRibInPre, 2),
        _ => (RibView::AdjRibInPost, 1),
    }
}

/// The identity of a peer.
pub(crate) fn identity(peer: usize) -> Peer {
    let number = u8::try_from(peer).unwrap();
    Peer {
        address: Bytes::from(vec![198, 51, 100, number]),
        asn: 64_500,
        bgp_id: Bytes::from(vec![10, 0, 0, number]),
        distinguisher: Bytes::from(vec![0; 8]),
        ..Peer::default()
    }
}

/// A message as the collector decodes it.
pub(crate) fn body(peer: usize, said: &Said, end_of_rib: bool) -> Body {
    match said {
        Said::Up { told, .. } => Body::PeerUp(PeerUp {
            continues: *told == Told::ForAnotherTable,
            repeats: *told == Told::Again,
            ..PeerUp::default()
        }),
        Said::Down(reason) => {
            Body::PeerDown(PeerDown { reason: *reason as i32, ..PeerDown::default() })
        }
        Said::Route { word, dump } => {
            let (view, afi) = table(peer, table_of(word.route));
            let routes = nlri(peer, word.route, afi);
            let update =
                RouteUpdate { view: view as i32, initial_dump: *dump, ..RouteUpdate::default() };
            Body::RouteUpdate(match word.version {
                None => RouteUpdate { withdrawn: vec![routes], ..update },
                Some(version) => RouteUpdate {
                    attributes: Some(PathAttributes {
                        med: Some(u32::from(version)),
                        ..attributes(64_500)
                    }),
                    announced: vec![Routes { next_hop: NEXT_HOP, ..routes }],
                    ..update
                },
            })
        }
        Said::Over(over) => {
            let (view, afi) = table(peer, *over);
            let family = vec![Family { afi, safi: 1 }];
            let end_of_rib = if end_of_rib { family.clone() } else { Vec::new() };
            let view = view as i32;
            Body::RouteUpdate(RouteUpdate {
                view,
                end_of_rib,
                dump_over: family,
                ..RouteUpdate::default()
            })
        }
    }
}

/// A route's prefix, as the database prints it, and path identifier.
pub(crate) fn name(peer: usize, route: usize) -> (String, Option<u32>) {
    let index = route % (ROUTES / TABLES);
    match (peer, table_of(route)) {
        (0, 0) => (format!("10.0.{index}.0/24"), None),
        (0, _) => (format!("2001:db8:{}::/48", index + 1), None),
        // Two paths of one prefix, and another with the identifier of one of them.
        _ => (format!("10.0.{}.0/24", index / 2), Some(1 + u32::try_from(index % 2).unwrap())),
    }
}

fn nlri(peer: usize, route: usize, afi: u32) -> Routes {
    let index = u8::try_from(route % (ROUTES / TABLES)).unwrap();
    let (address, length) = match afi {
        1 if peer == 0 => (vec![10, 0, index, 0], 24),
        1 => (vec![10, 0, index / 2, 0], 24),
        _ => {
            let mut address = vec![0; 16];
            address[..6].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8, 0, index + 1]);
            (address, 48)
        }
    };
    let prefix = Some(Prefix { address: Bytes::from(address), length });
    let (_, path_id) = name(peer, route);
    let route = PrefixRoute { prefix, path_id, ..PrefixRoute::default() };
    Routes { afi, safi: 1, prefixes: vec![route], ..Routes::default() }
}
