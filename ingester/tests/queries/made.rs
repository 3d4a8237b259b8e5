//! Stories whose answers are known, because they were made up: what peers of routers say, and at
//! which second of the story.

use std::net::IpAddr;

use bytes::Bytes;
use ribstream_proto::v1::{
    AsPath, AsPathSegment, AsPathSegmentType, Capability, Event, EvpnRoute, Family, Open,
    PathAttributes, PeerDown, PeerUp, Prefix, PrefixRoute, RibView, RouteUpdate, Routes,
    event::Body,
};

use crate::common::{START, Speaker};

/// A second of a story in SQL.
pub(crate) fn at(second: u64) -> String {
    format!("to_timestamp({})", START / 1_000_000 + second)
}

/// An address as in messages.
pub(crate) fn octets(address: &str) -> Bytes {
    match address.parse().unwrap() {
        IpAddr::V4(address) => Bytes::copy_from_slice(&address.octets()),
        IpAddr::V6(address) => Bytes::copy_from_slice(&address.octets()),
    }
}

/// The attributes of a route with this path.
pub(crate) fn path(asns: &str) -> PathAttributes {
    let asns: Vec<u32> = asns.split_whitespace().map(|asn| asn.parse().unwrap()).collect();
    let segment = AsPathSegment { r#type: AsPathSegmentType::AsSequence as i32, asns };
    PathAttributes {
        origin: Some(0),
        as_path: Some(AsPath { segments: vec![segment] }),
        ..PathAttributes::default()
    }
}

fn prefixes(prefix: &str) -> Routes {
    let (address, length) = prefix.split_once('/').unwrap();
    let address = octets(address);
    let next_hop = if address.len() == 4 { "198.51.100.1" } else { "2001:db8::1" };
    Routes {
        afi: if address.len() == 4 { 1 } else { 2 },
        safi: 1,
        next_hop: octets(next_hop),
        prefixes: vec![PrefixRoute {
            prefix: Some(Prefix { address, length: length.parse().unwrap() }),
            ..PrefixRoute::default()
        }],
        ..Routes::default()
    }
}

/// A peer of a router in one BMP session, and the view that it speaks of.
pub(crate) struct Voice {
    pub(crate) speaker: Speaker,
    pub(crate) view: RibView,
}

impl Voice {
    /// The peer 198.51.100.`peer` of the router 192.0.2.`router`.
    pub(crate) fn new(router: u8, peer: u8, asn: u32) -> Self {
        let mut speaker = Speaker::new(router, peer);
        speaker.peer.asn = asn;
        Self { speaker, view: RibView::AdjRibInPre }
    }

    /// The same peer in another session of its router, which began at a second.
    pub(crate) fn again(&self, second: u64) -> Self {
        let speaker = Speaker {
            router: self.speaker.router.clone(),
            peer: self.speaker.peer.clone(),
            session: START + second * 1_000_000,
            sequence: 0,
        };
        Self { speaker, view: self.view }
    }

    pub(crate) fn say(&mut self, second: u64, body: Body) -> Event {
        let received_at = START + second * 1_000_000;
        Event { received_at, router_time: None, ..self.speaker.event(body) }
    }

    fn update(&mut self, second: u64, update: RouteUpdate) -> Event {
        let update = RouteUpdate { view: self.view as i32, asn_width: 4, ..update };
        self.say(second, Body::RouteUpdate(update))
    }

    pub(crate) fn up(&mut self, second: u64) -> Event {
        self.say(second, Body::PeerUp(PeerUp::default()))
    }

    /// A Peer Up of a router that is AS `asn`, whose neighbour says which role it has (RFC 9234).
    pub(crate) fn up_as(&mut self, second: u64, asn: u32, role: Option<u8>) -> Event {
        let open = |asn, role: Option<u8>| Open {
            asn,
            capabilities: role
                .map(|role| Capability {
                    code: 9,
                    value: Bytes::from(vec![role]),
                    ..Capability::default()
                })
                .into_iter()
                .collect(),
            ..Open::default()
        };
        let up = PeerUp {
            sent_open: Some(open(asn, None)),
            received_open: Some(open(self.speaker.peer.asn, role)),
            ..PeerUp::default()
        };
        self.say(second, Body::PeerUp(up))
    }

    pub(crate) fn down(&mut self, second: u64) -> Event {
        self.say(second, Body::PeerDown(PeerDown { reason: 3, ..PeerDown::default() }))
    }

    pub(crate) fn announce(&mut self, second: u64, prefix: &str, asns: &str) -> Event {
        self.announce_with(second, prefix, path(asns))
    }

    pub(crate) fn announce_with(
        &mut self,
        second: u64,
        prefix: &str,
        attributes: PathAttributes,
    ) -> Event {
        let announced = vec![prefixes(prefix)];
        let attributes = Some(attributes);
        self.update(second, RouteUpdate { attributes, announced, ..RouteUpdate::default() })
    }

    pub(crate) fn withdraw(&mut self, second: u64, prefix: &str) -> Event {
        let withdrawn = vec![Routes { next_hop: Bytes::new(), ..prefixes(prefix) }];
        self.update(second, RouteUpdate { withdrawn, ..RouteUpdate::default() })
    }

    /// The dump of the IPv4 unicast table is over.
    pub(crate) fn dump_over(&mut self, second: u64) -> Event {
        let family = vec![Family { afi: 1, safi: 1 }];
        let (end_of_rib, dump_over) = (family.clone(), family);
        self.update(second, RouteUpdate { end_of_rib, dump_over, ..RouteUpdate::default() })
    }

    pub(crate) fn announce_evpn(
        &mut self,
        second: u64,
        route: EvpnRoute,
        next_hop: &str,
        attributes: PathAttributes,
    ) -> Event {
        let routes = Routes {
            afi: 25,
            safi: 70,
            next_hop: octets(next_hop),
            evpn: vec![route],
            ..Routes::default()
        };
        let (attributes, announced) = (Some(attributes), vec![routes]);
        self.update(second, RouteUpdate { attributes, announced, ..RouteUpdate::default() })
    }

    pub(crate) fn withdraw_evpn(&mut self, second: u64, route: EvpnRoute) -> Event {
        let routes = Routes { afi: 25, safi: 70, evpn: vec![route], ..Routes::default() };
        let withdrawn = vec![routes];
        self.update(second, RouteUpdate { withdrawn, ..RouteUpdate::default() })
    }
}
