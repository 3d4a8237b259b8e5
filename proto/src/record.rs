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
/// Header that names the encoding.
pub const HEADER_CONTENT_TYPE: &str = "content-type";
/// The content type of events.
pub const CONTENT_TYPE_EVENT: &str = "application/x-protobuf; messageType=ribstream.v1.Event";
/// The content type of dead letters.
pub const CONTENT_TYPE_DEAD_LETTER: &str =
    "application/x-protobuf; messageType=ribstream.v1.DeadLetter";

/// Default name of the events topic.
pub const TOPIC_EVENTS: &str = "ribstream.events";
/// Default name of the dead-letter topic.
pub const TOPIC_DEAD_LETTER: &str = "ribstream.dead-letter";

/// The value of the [`HEADER_EVENT`] header: the name of the body's field.
#[must_use]
pub fn event_type(body: &Body) -> &'static str {
    match body {
        Body::RouteUpdate(_) => "route_update",
        Body::PeerUp(_) => "peer_up",
        Body::PeerDown(_) => "peer_down",
        Body::StatsReport(_) => "stats_report",
        Body::RouteMirror(_) => "route_mirror",
        Body::RouterUp(_) => "router_up",
        Body::RouterDown(_) => "router_down",
        Body::Heartbeat(_) => "heartbeat",
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
    let [t0, t1, a, b, c, d, e, f] = bytes;
    match (u16::from_be_bytes([t0, t1]), bytes) {
        (_, [0, 0, 0, 0, 0, 0, 0, 0]) => "0".to_owned(),
        (0, _) => format!("{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f])),
        (1, _) => format!("{}:{}", Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([e, f])),
        (2, _) => format!("{}:{}", u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, f])),
        _ => format!("{:016x}", u64::from_be_bytes(bytes)),
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
