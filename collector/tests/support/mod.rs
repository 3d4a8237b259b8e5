//! BMP messages made by hand, and a session that keeps what it hands out.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod exabgp;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use prost::Message;
use ribstream_collector::{
    frame::next_frame,
    session::{Destination, Origin, Record, Session},
};
use ribstream_proto::v1::{DeadLetter, Event, PeerType, RouteUpdate, event::Body};

pub(crate) const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);

pub(crate) const MAX_MESSAGE: usize = 1_000_000;

/// A session with everything that it has handed out.
pub(crate) struct Heard {
    pub(crate) session: Session,
    pub(crate) events: Vec<(String, Event)>,
    pub(crate) dead: Vec<DeadLetter>,
}

impl Heard {
    pub(crate) fn new() -> Self {
        Self {
            session: Session::new(Origin {
                collector: Arc::from("test"),
                router_address: IpAddr::V4(ROUTER),
                remote_port: 40_000,
                session: 7,
            }),
            events: Vec::new(),
            dead: Vec::new(),
        }
    }

    /// What a session makes of these messages.
    pub(crate) fn of<'a>(messages: impl IntoIterator<Item = &'a Vec<u8>>) -> Self {
        let mut heard = Self::new();
        for message in messages {
            heard.message(message);
        }
        heard
    }

    /// What a session makes of a whole stream.
    pub(crate) fn stream(mut bytes: &[u8]) -> Self {
        let mut heard = Self::new();
        while let Some(length) = next_frame(bytes, MAX_MESSAGE).unwrap() {
            let (frame, rest) = bytes.split_at(length);
            heard.message(frame);
            bytes = rest;
        }
        heard
    }

    pub(crate) fn message(&mut self, frame: &[u8]) {
        self.message_at(1_000_000, frame);
    }

    /// `now` is in microseconds.
    pub(crate) fn message_at(&mut self, now: u64, frame: &[u8]) {
        let (events, dead) = (&mut self.events, &mut self.dead);
        self.session.message(frame, now, &mut |record: Record<'_>| keep(&record, events, dead));
    }

    pub(crate) fn heartbeat(&mut self, now: u64) {
        let (events, dead) = (&mut self.events, &mut self.dead);
        self.session.heartbeat(now, &mut |record: Record<'_>| keep(&record, events, dead));
    }

    pub(crate) fn end(&mut self, reason: ribstream_proto::v1::RouterDownReason) {
        let (events, dead) = (&mut self.events, &mut self.dead);
        self.session
            .end(reason, "", 2_000_000, &mut |record: Record<'_>| keep(&record, events, dead));
    }

    /// The route updates, with the further ones of a message taken out of the first.
    pub(crate) fn updates(&self) -> Vec<RouteUpdate> {
        self.events
            .iter()
            .filter_map(|(_, event)| match &event.body {
                Some(Body::RouteUpdate(update)) => Some(update.clone()),
                _ => None,
            })
            .flat_map(|mut update| {
                let more = std::mem::take(&mut update.more);
                std::iter::once(update).chain(more)
            })
            .collect()
    }

    pub(crate) fn bodies(&self) -> Vec<&Body> {
        self.events.iter().filter_map(|(_, event)| event.body.as_ref()).collect()
    }
}

fn keep(record: &Record<'_>, events: &mut Vec<(String, Event)>, dead: &mut Vec<DeadLetter>) {
    match record.destination {
        Destination::Events => events.push((
            String::from_utf8(record.key.to_vec()).unwrap(),
            Event::decode(record.value).expect("an event is readable protobuf"),
        )),
        Destination::DeadLetter => dead.push(DeadLetter::decode(record.value).unwrap()),
        Destination::Raw { .. } => unreachable!("a session makes none"),
    }
}

/// Whose events are numbered together: a session's peer, or its router.
pub(crate) fn counted_with(event: &Event) -> String {
    let peer = event.peer.as_ref().map(|peer| {
        let loc_rib = peer.r#type() == PeerType::LocRib;
        let bgp_id = if loc_rib { peer.bgp_id.as_ref() } else { &[] };
        format!("{} {:?} {:?} {bgp_id:?}", peer.r#type, peer.distinguisher, peer.address)
    });
    format!("{} {}", event.session, peer.unwrap_or_default())
}

/// The prefixes of routes, as text.
pub(crate) fn prefixes(routes: &[ribstream_proto::v1::Routes]) -> Vec<String> {
    routes
        .iter()
        .flat_map(|routes| &routes.prefixes)
        .map(|route| {
            let json = serde_json::to_value(route).unwrap();
            match json.get("path_id") {
                Some(id) => format!("{} id {id}", json["prefix"].as_str().unwrap()),
                None => json["prefix"].as_str().unwrap().to_owned(),
            }
        })
        .collect()
}

pub(crate) fn bmp(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![3];
    message.extend(u32::try_from(body.len() + 6).unwrap().to_be_bytes());
    message.push(kind);
    message.extend(body);
    message
}

pub(crate) fn peer_header(peer_type: u8, flags: u8) -> Vec<u8> {
    let mut header = vec![peer_type, flags];
    header.extend([0; 8 + 12]);
    header.extend(PEER.octets());
    header.extend(65011_u32.to_be_bytes());
    header.extend(PEER.octets());
    header.extend([0; 8]);
    header
}

pub(crate) fn bgp(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![0xff; 16];
    message.extend(u16::try_from(body.len() + 19).unwrap().to_be_bytes());
    message.push(kind);
    message.extend(body);
    message
}

/// An OPEN with these capabilities, all in one parameter.
pub(crate) fn open(asn: u16, capabilities: &[(u8, &[u8])]) -> Vec<u8> {
    let mut caps = Vec::new();
    for (code, value) in capabilities {
        caps.extend([*code, u8::try_from(value.len()).unwrap()]);
        caps.extend(*value);
    }
    let mut body = vec![4];
    body.extend(asn.to_be_bytes());
    body.extend([0, 180]);
    body.extend(PEER.octets());
    if caps.is_empty() {
        body.push(0);
    } else {
        let length = u8::try_from(caps.len()).unwrap();
        body.extend([length + 2, 2, length]);
        body.extend(caps);
    }
    bgp(1, &body)
}

pub(crate) fn peer_up(
    peer_type: u8,
    flags: u8,
    sent: &[u8],
    received: &[u8],
    tlvs: &[u8],
) -> Vec<u8> {
    let mut body = peer_header(peer_type, flags);
    body.extend([0; 12]);
    body.extend(ROUTER.octets());
    body.extend([0, 179, 0x9c, 0x40]);
    body.extend(sent);
    body.extend(received);
    body.extend(tlvs);
    bmp(3, &body)
}

/// Both OPENs with the 4-octet AS capability and nothing else.
pub(crate) fn plain_peer_up() -> Vec<u8> {
    let four = 65011_u32.to_be_bytes();
    let open = open(65011, &[(65, &four)]);
    peer_up(0, 0, &open, &open, &[])
}

pub(crate) fn attribute(flags: u8, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut attribute = vec![flags | 0x10, kind];
    attribute.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    attribute.extend(value);
    attribute
}

/// ORIGIN IGP, AS_PATH of one AS, NEXT_HOP.
pub(crate) fn base_attributes() -> Vec<u8> {
    let mut attributes = attribute(0x40, 1, &[0]);
    attributes.extend(attribute(0x40, 2, &[2, 1, 0, 0, 0xfd, 0xf3]));
    attributes.extend(attribute(0x40, 3, &PEER.octets()));
    attributes
}

pub(crate) fn update(withdrawn: &[u8], attributes: &[u8], announced: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(u16::try_from(withdrawn.len()).unwrap().to_be_bytes());
    body.extend(withdrawn);
    body.extend(u16::try_from(attributes.len()).unwrap().to_be_bytes());
    body.extend(attributes);
    body.extend(announced);
    bgp(2, &body)
}

pub(crate) fn route_monitoring(peer_type: u8, flags: u8, updates: &[Vec<u8>]) -> Vec<u8> {
    let mut body = peer_header(peer_type, flags);
    for update in updates {
        body.extend(update);
    }
    bmp(0, &body)
}
