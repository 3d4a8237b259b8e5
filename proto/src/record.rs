//! How an event becomes a Kafka record: key, headers, topics.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::v1::{DeadLetter, Event, event::Body};

/// Header that names the event's body, as in [`event_type`].
pub const HEADER_EVENT: &str = "ribstream-event";
/// Header that holds the router's identity.
pub const HEADER_ROUTER: &str = "ribstream-router";
/// Header of a raw message that names its BMP session, in decimal digits.
pub const HEADER_SESSION: &str = "ribstream-session";
/// Header of a raw message that says which of its session it is, in decimal digits.
pub const HEADER_SEQUENCE: &str = "ribstream-sequence";
/// Header that names the encoding.
pub const HEADER_CONTENT_TYPE: &str = "content-type";
/// The content type of events.
pub const CONTENT_TYPE_EVENT: &str = "application/x-protobuf; messageType=ribstream.v1.Event";
/// The content type of dead letters.
pub const CONTENT_TYPE_DEAD_LETTER: &str =
    "application/x-protobuf; messageType=ribstream.v1.DeadLetter";
/// The content type of raw BMP messages.
pub const CONTENT_TYPE_RAW: &str = "application/x-openbmp; version=1.7";

/// Default name of the events topic.
pub const TOPIC_EVENTS: &str = "ribstream.events";
/// Default name of the dead-letter topic.
pub const TOPIC_DEAD_LETTER: &str = "ribstream.dead-letter";
/// Default name of the raw topic.
pub const TOPIC_RAW: &str = "ribstream.raw";

/// Values of the [`HEADER_EVENT`] header: the names of the bodies of an event.
pub mod event {
    #![allow(missing_docs, reason = "named as in event.proto")]
    pub const ROUTE_UPDATE: &str = "route_update";
    pub const PEER_UP: &str = "peer_up";
    pub const PEER_DOWN: &str = "peer_down";
    pub const STATS_REPORT: &str = "stats_report";
    pub const ROUTE_MIRROR: &str = "route_mirror";
    pub const ROUTER_UP: &str = "router_up";
    pub const ROUTER_DOWN: &str = "router_down";
    pub const HEARTBEAT: &str = "heartbeat";
}

/// The value of the [`HEADER_EVENT`] header of an event with this body.
#[must_use]
pub const fn event_type(body: &Body) -> &'static str {
    match body {
        Body::RouteUpdate(_) => event::ROUTE_UPDATE,
        Body::PeerUp(_) => event::PEER_UP,
        Body::PeerDown(_) => event::PEER_DOWN,
        Body::StatsReport(_) => event::STATS_REPORT,
        Body::RouteMirror(_) => event::ROUTE_MIRROR,
        Body::RouterUp(_) => event::ROUTER_UP,
        Body::RouterDown(_) => event::ROUTER_DOWN,
        Body::Heartbeat(_) => event::HEARTBEAT,
    }
}

/// The key of a router's own events: its identity.
///
/// The key of a peer's events begins with it, so a key prefix selects a router.
#[must_use]
pub fn router_key(router: &str) -> String {
    router.to_owned()
}

/// The key of a peer's events: `router|distinguisher|address`.
///
/// `distinguisher` is the Per-Peer Header's 8 octets, shown as [`distinguisher_text`];
/// `address` is empty for a Loc-RIB and shown as `loc-rib`.
#[must_use]
pub fn peer_key(router: &str, distinguisher: &[u8], address: &[u8]) -> String {
    let mut key = String::with_capacity(router.len() + 48);
    key.push_str(router);
    key.push('|');
    key.push_str(&distinguisher_text(distinguisher));
    key.push('|');
    match ip(address) {
        Some(address) => {
            let _ = write!(key, "{address}");
        }
        None => key.push_str("loc-rib"),
    }
    key
}

/// The key of an event's record.
#[must_use]
pub fn key(event: &Event) -> String {
    match &event.peer {
        Some(peer) => peer_key(&event.router, &peer.distinguisher, &peer.address),
        None => router_key(&event.router),
    }
}

/// The key of a dead letter: its router, or its topic where that is not known.
#[must_use]
pub fn dead_letter_key(letter: &DeadLetter) -> String {
    if letter.router.is_empty() { letter.topic.clone() } else { letter.router.clone() }
}

/// A Peer Distinguisher as text: as a route distinguisher (RFC 4364, 4.2) where
/// its type is known, else as hexadecimal digits; `0` where absent or zero.
#[must_use]
pub fn distinguisher_text(bytes: &[u8]) -> String {
    let Ok(bytes) = <[u8; 8]>::try_from(bytes) else {
        return "0".to_owned();
    };
    let value = u64::from_be_bytes(bytes);
    let [_, _, administrator @ .., _, _] = bytes;
    let wide = u32::from_be_bytes(administrator);
    match value >> 48 {
        _ if value == 0 => "0".to_owned(),
        0 => format!("{}:{}", wide >> 16, value & 0xffff_ffff),
        1 => format!("{}:{}", Ipv4Addr::from(wide), value & 0xffff),
        2 => format!("{wide}:{}", value & 0xffff),
        _ => format!("{value:016x}"),
    }
}

/// An address of 4 or 16 octets, `None` for any other length.
#[must_use]
pub fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(v4).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| Ipv6Addr::from(v6).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_key_is_never_empty_and_begins_with_its_router() {
        assert_eq!(peer_key("192.0.2.1", &[], &[192, 0, 2, 11]), "192.0.2.1|0|192.0.2.11");
        assert_eq!(peer_key("r1", &[0, 0, 0xfd, 0xe9, 0, 0, 0, 7], &[]), "r1|65001:7|loc-rib");
    }

    #[test]
    fn a_distinguisher_reads_as_its_type_says() {
        assert_eq!(distinguisher_text(&[0; 8]), "0");
        assert_eq!(distinguisher_text(&[0, 1, 192, 0, 2, 1, 0, 9]), "192.0.2.1:9");
        assert_eq!(distinguisher_text(&[0, 2, 0, 1, 0, 0, 0, 9]), "65536:9");
        assert_eq!(distinguisher_text(&[9, 2, 0, 1, 0, 0, 0, 9]), "0902000100000009");
    }
}
