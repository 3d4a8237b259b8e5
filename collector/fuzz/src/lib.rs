//! What must hold for any input, and the ways to give it.
//!
//! Each function takes the bytes of one fuzz target. [`Checked`] does the
//! checking: a session that decodes every record that it hands out again, shows
//! it as JSON, and compares its size with that of its message.

mod messages;

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use prost::Message as _;
use ribstream_collector::{
    decode,
    frame::next_frame,
    pcap::Sessions,
    proxy::{self, Progress},
    session::{Destination, Origin, Record, Session},
    source::Piece,
};
use ribstream_proto::{
    key,
    v1::{DeadLetter, Event, RouteUpdate, event::Body},
};

/// As the collector's default.
const MAX_MESSAGE: usize = 1_000_000;

/// A route of a single octet (a withdrawal of ::/0) becomes some 40 octets of
/// event; a dead letter holds the whole message beside what could be read of it.
const MOST_GROWTH: usize = 48;
/// What an event holds beside its message: envelope, names, reasons.
const OVERHEAD: usize = 2048;

/// A session that checks what it hands out.
pub struct Checked(Session);

impl Default for Checked {
    fn default() -> Self {
        Self(Session::new(Origin {
            collector: Arc::from("fuzz"),
            router_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            remote_port: 1,
            session: 1,
        }))
    }
}

impl Checked {
    /// Feeds one whole message.
    ///
    /// # Panics
    /// Where something that must hold does not.
    pub fn message(&mut self, frame: &[u8]) {
        let mut octets = 0;
        let mut records = 0;
        self.0.message(frame, 1, &mut |record: Record<'_>| {
            octets += record.value.len();
            records += 1;
            check(&record);
        });
        assert!(records > 0, "a message without a trace");
        assert!(octets <= MOST_GROWTH * frame.len() + OVERHEAD, "{octets} of {}", frame.len());
    }
}

fn check(record: &Record<'_>) {
    let mut line = Vec::new();
    decode::line(record, &mut line).expect("a record shows as JSON");
    if record.destination == Destination::Events {
        let event = Event::decode(record.value).expect("a record is an event");
        let again = Event::decode(event.encode_to_vec().as_slice()).expect("what was encoded");
        assert!(again == event, "decoded, encoded and decoded again it is another");
        if let Some(Body::RouteUpdate(update)) = &event.body {
            keys(update);
        }
    } else if record.destination == Destination::DeadLetter {
        DeadLetter::decode(record.value).expect("a record is a dead letter");
    }
}

fn keys(update: &RouteUpdate) {
    for routes in update.announced.iter().chain(&update.withdrawn) {
        routes.evpn.iter().for_each(|route| drop(key::evpn(route)));
        routes.other.iter().for_each(|route| drop(key::other(route)));
    }
    update.more.iter().for_each(keys);
}

/// Any bytes as a TCP stream.
pub fn stream(mut bytes: &[u8]) {
    let mut session = Checked::default();
    while let Ok(Some(length)) = next_frame(bytes, MAX_MESSAGE) {
        let (frame, rest) = bytes.split_at(length);
        session.message(frame);
        bytes = rest;
    }
}

/// One BMP message: its version and type, then what follows the header.
pub fn message(bytes: &[u8]) {
    let [version, kind, body @ ..] = bytes else { return };
    Checked::default().message(&messages::bmp(3 + version % 2, *kind, body));
}

/// A peer with any capabilities, then UPDATEs of all its views.
pub fn session(bytes: &[u8]) {
    let [peer_type, length, rest @ ..] = bytes else { return };
    let (capabilities, rest) = rest.split_at(usize::from(*length).min(rest.len()));
    let mut session = Checked::default();
    session.message(&messages::peer_up(peer_type % 4, capabilities));
    let mut rest = rest;
    while let [flags, length, tail @ ..] = rest {
        let (body, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        session.message(&messages::route_monitoring(peer_type % 4, *flags, body));
        rest = tail;
    }
}

/// One UPDATE under every combination of AS width and ADD-PATH, in every view.
pub fn update(bytes: &[u8]) {
    for capabilities in messages::CAPABILITIES {
        for (peer_type, flags) in messages::VIEWS {
            let mut session = Checked::default();
            session.message(&messages::peer_up(peer_type, capabilities));
            session.message(&messages::route_monitoring(peer_type, flags, bytes));
        }
    }
}

/// NLRI of one family, announced and withdrawn, with and without ADD-PATH.
pub fn nlri(bytes: &[u8]) {
    let [family, nlri @ ..] = bytes else { return };
    let (afi, safi) = messages::FAMILIES[usize::from(*family) % messages::FAMILIES.len()];
    let [high, low] = afi.to_be_bytes();
    let capability = [69, 4, high, low, safi, 3];
    for capabilities in [&[][..], &capability] {
        let mut session = Checked::default();
        session.message(&messages::peer_up(0, capabilities));
        session.message(&messages::route_monitoring(0, 0, &messages::reach(afi, safi, nlri)));
        session.message(&messages::route_monitoring(0, 0, &messages::unreach(afi, safi, nlri)));
    }
}

/// One path attribute beside those that every UPDATE has.
pub fn attribute(bytes: &[u8]) {
    let [flags, kind, value @ ..] = bytes else { return };
    let update = messages::update_with(*flags, *kind, value);
    Checked::default().message(&messages::route_monitoring(0, 0, &update));
}

/// Any bytes as the beginning of a connection from a balancer, read as they are asked for.
///
/// # Panics
/// Where a header has no end, or says something else when it comes in single bytes.
pub fn proxy(bytes: &[u8]) {
    let mut taken = 0;
    let end = loop {
        let part = &bytes[..taken];
        match proxy::read(part) {
            Ok(Progress::More(more)) if taken + more <= bytes.len() => {
                assert!(more > 0, "nothing more is asked for");
                taken += more;
            }
            end => break end,
        }
    };
    for less in 0..taken {
        match proxy::read(&bytes[..less]) {
            Ok(Progress::More(more)) => assert!(less + more <= taken, "more than was needed"),
            early => assert!(early.is_err() && end.is_err(), "whole before its end"),
        }
    }
}

/// Any bytes as a packet capture.
///
/// # Panics
/// Where a session brings what no packet has, goes on after its end, or has none.
pub fn pcap(bytes: &[u8]) {
    let Ok(mut sessions) = Sessions::open(bytes, &[]) else { return };
    let mut open = HashSet::new();
    let mut octets = 0;
    while let Some(piece) = sessions.next_piece() {
        match piece {
            Piece::Open(session, _) => assert!(open.insert(session), "opened again"),
            Piece::Bytes(session, _, read) => {
                assert!(open.contains(&session), "bytes of no session");
                octets += read.len();
            }
            Piece::Close(session, ..) => assert!(open.remove(&session), "closed again"),
            Piece::Problem(_) => {}
        }
    }
    assert!(open.is_empty(), "a session without an end");
    assert!(octets <= bytes.len(), "{octets} octets of {}", bytes.len());
}

/// By which number the target `nlri` knows a family.
#[must_use]
pub fn family_number(afi: u16, safi: u8) -> Option<u8> {
    let index = messages::FAMILIES.iter().position(|family| *family == (afi, safi))?;
    u8::try_from(index).ok()
}
