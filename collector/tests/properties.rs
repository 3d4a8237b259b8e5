//! What must hold for any input.

mod support;

use std::{
    collections::HashMap,
    io::{self, Read},
    net::{IpAddr, SocketAddr},
};

use proptest::{prelude::*, sample::Index};
use prost::Message;
use ribstream_collector::{
    decode,
    frame::next_frame,
    proxy::{self, Progress, Source},
};
use ribstream_proto::{
    key, text,
    v1::{Event, RouteUpdate, RouterDownReason},
};
use ribstream_testkit::captures::capture;
use support::{Heard, MAX_MESSAGE, counted_with};

/// Gives a stream in pieces of the sizes named, over and over.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: Vec<usize>,
    turn: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes[self.turn % self.sizes.len()].min(buffer.len()).min(self.bytes.len());
        self.turn += 1;
        let (now, later) = self.bytes.split_at(size);
        buffer[..size].copy_from_slice(now);
        self.bytes = later;
        Ok(size)
    }
}

fn lines(input: impl Read + Send) -> Vec<u8> {
    let mut lines = Vec::new();
    decode::lines(input, MAX_MESSAGE, &mut lines).unwrap();
    lines
}

/// Messages of real captures, to be damaged.
fn messages() -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for name in ["frr10-unicast", "gobgp336-multi", "frr10-mirror"] {
        let Some(bytes) = capture(name) else { continue };
        let mut rest = bytes.as_slice();
        while let Ok(Some(length)) = next_frame(rest, MAX_MESSAGE) {
            messages.push(rest[..length].to_vec());
            rest = &rest[length..];
        }
    }
    messages
}

#[test]
fn any_split_of_the_stream_gives_the_same_events() {
    let Some(bytes) = capture("gobgp336-multi") else { return };
    let whole = lines(bytes.as_slice());
    proptest!(ProptestConfig::with_cases(12), |(sizes in prop::collection::vec(1..5000_usize, 1..20))| {
        let split = lines(Pieces { bytes: &bytes, sizes, turn: 0 });
        prop_assert!(split == whole);
    });
}

#[test]
fn the_numbers_of_a_peers_events_have_no_gaps_however_the_stream_is_split() {
    for name in ["frr10-unicast", "gobgp336-multi"] {
        let Some(bytes) = capture(name) else { return };
        proptest!(ProptestConfig::with_cases(4), |(sizes in prop::collection::vec(1..5000_usize, 1..20))| {
            let mut numbers: HashMap<String, u64> = HashMap::new();
            let mut heard = Heard::new();
            let mut stream = Pieces { bytes: &bytes, sizes, turn: 0 };
            let (mut held, mut buffer) = (Vec::new(), [0; 5000]);
            loop {
                let count = stream.read(&mut buffer).unwrap();
                held.extend_from_slice(&buffer[..count]);
                while let Some(length) = next_frame(&held, MAX_MESSAGE).unwrap() {
                    heard.message(&held[..length]);
                    held.drain(..length);
                }
                if count == 0 {
                    break;
                }
            }
            heard.end(RouterDownReason::Disconnect);
            for (_, event) in &heard.events {
                let last = numbers.entry(counted_with(event)).or_default();
                *last += 1;
                prop_assert_eq!(event.peer_sequence, *last);
            }
            prop_assert!(numbers.len() > 2);
        });
    }
}

#[test]
fn a_damaged_message_neither_panics_nor_grows_out_of_proportion() {
    let messages = messages();
    if messages.is_empty() {
        return;
    }
    let damage = (
        any::<Index>(),
        prop::collection::vec((any::<Index>(), any::<u8>()), 1..8),
        any::<Option<Index>>(),
    );
    proptest!(ProptestConfig::with_cases(4000), |((which, changes, cut) in damage)| {
        let mut message = which.get(&messages).clone();
        for (at, value) in changes {
            let at = at.index(message.len());
            message[at] = value;
        }
        if let Some(cut) = cut {
            message.truncate(cut.index(message.len()));
        }
        let mut size = 0;
        let mut session = Heard::new().session;
        session.message(&message, 0, &mut |record: ribstream_collector::session::Record<'_>| {
            size += record.value.len();
        });
        // A prefix of one octet becomes an address of sixteen with its framing.
        prop_assert!(size <= 32 * message.len() + 1024, "{size} of {}", message.len());
    });
}

/// The families whose NLRI are not prefixes, and one of those that are.
const FAMILIES: [(u16, u8); 19] = [
    (25, 70),
    (1, 133),
    (2, 133),
    (1, 134),
    (2, 134),
    (1, 132),
    (1, 5),
    (2, 5),
    (1, 66),
    (25, 65),
    (1, 85),
    (2, 85),
    (1, 73),
    (2, 73),
    (16388, 71),
    (16388, 72),
    (1, 128),
    (2, 128),
    (1, 4),
];

/// What a session makes of an UPDATE that announces these NLRI, and of one that
/// withdraws those.
fn announced_and_withdrawn(
    (afi, safi): (u16, u8),
    announced: &[u8],
    withdrawn: &[u8],
) -> Vec<RouteUpdate> {
    let [high, low] = afi.to_be_bytes();
    let reach = [&[high, low, safi, 4, 192, 0, 2, 1, 0], announced].concat();
    let mut attributes = support::base_attributes();
    attributes.extend(support::attribute(0x80, 14, &reach));
    let unreach = support::attribute(0x80, 15, &[&[high, low, safi], withdrawn].concat());
    let messages = [attributes, unreach].map(|attributes| {
        support::route_monitoring(0, 0, &[support::update(&[], &attributes, &[])])
    });
    Heard::of(&messages).updates()
}

/// The keys of all routes of an UPDATE; their texts are made, and thrown away.
fn keys(update: &RouteUpdate) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    for routes in update.announced.iter().chain(&update.withdrawn) {
        keys.extend(routes.prefixes.iter().map(|route| key::prefix(route).to_vec()));
        for route in &routes.evpn {
            assert!(!text::evpn_route(route).is_empty());
            keys.push(key::evpn(route).to_vec());
        }
        for route in &routes.other {
            assert!(!text::other_route(route).is_empty() || route.raw.is_empty());
            keys.push(key::other(route).to_vec());
        }
    }
    keys
}

/// An EVPN route of type 1 or 2 with its labels and, of type 2, its segment given.
fn evpn_nlri(
    route_type: u8,
    (distinguisher, tag, mac, ip): ([u8; 8], [u8; 4], [u8; 6], Option<[u8; 4]>),
    esi: [u8; 10],
    labels: &[u8],
) -> Vec<u8> {
    let mut content = [&distinguisher[..], &esi, &tag].concat();
    if route_type == 2 {
        content.push(48);
        content.extend(mac);
        content.push(if ip.is_some() { 32 } else { 0 });
        content.extend(ip.iter().flatten());
    }
    content.extend(labels);
    let length = u8::try_from(content.len()).unwrap();
    [&[route_type, length][..], &content].concat()
}

#[test]
fn an_event_decoded_encoded_and_decoded_again_is_the_same() {
    for name in ["frr10-unicast", "gobgp336-multi", "frr10-mirror"] {
        let Some(bytes) = capture(name) else { continue };
        for (_, event) in Heard::stream(&bytes).events {
            let again = Event::decode(event.encode_to_vec().as_slice()).unwrap();
            assert_eq!(again, event, "{name}");
        }
    }
}

/// A PROXY header as a connection is read that begins with `bytes`, and how many it takes.
fn proxy_header(bytes: &[u8]) -> Option<(Source, usize)> {
    let mut taken = 0;
    loop {
        match proxy::read(&bytes[..taken]).ok()? {
            Progress::Whole(source) => return Some((source, taken)),
            Progress::More(0) => panic!("nothing more is asked for"),
            Progress::More(more) if taken + more > bytes.len() => return None,
            Progress::More(more) => taken += more,
        }
    }
}

/// What a balancer writes, in version 1 or 2, for a client of one family.
fn proxied(client: SocketAddr, version_2: bool, tlvs: &[u8]) -> Vec<u8> {
    let (port, zeros) = (client.port(), [0; 16]);
    match (client.ip(), version_2) {
        (IpAddr::V4(ip), false) => format!("PROXY TCP4 {ip} 192.0.2.9 {port} 1\r\n").into_bytes(),
        (IpAddr::V6(ip), false) => format!("PROXY TCP6 {ip} 2001:db8::9 {port} 1\r\n").into_bytes(),
        (ip, true) => {
            let (family, source) = match ip {
                IpAddr::V4(ip) => (0x11, ip.octets().to_vec()),
                IpAddr::V6(ip) => (0x21, ip.octets().to_vec()),
            };
            let ports = [port.to_be_bytes(), [0, 1]].concat();
            let rest = [&source, &zeros[..source.len()], &ports, tlvs].concat();
            let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
            [&b"\r\n\r\n\0\r\nQUIT\n\x21"[..], &[family], &length, &rest].concat()
        }
    }
}

proptest! {
    #[test]
    fn a_balancer_s_header_gives_the_client_and_takes_nothing_of_what_follows(
        client: SocketAddr,
        version_2: bool,
        tlvs in prop::collection::vec(any::<u8>(), 0..300),
        after in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let client = SocketAddr::new(client.ip().to_canonical(), client.port());
        let header = proxied(client, version_2, &tlvs);
        let read = proxy_header(&[&header[..], &after].concat());
        prop_assert_eq!(read, Some((Source::Client(client), header.len())));
    }

    #[test]
    fn any_bytes_as_a_balancer_s_header_come_to_an_end(
        start in prop::sample::select(vec![&b""[..], b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n\x21"]),
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        if let Some((_, taken)) = proxy_header(&[start, &rest].concat()) {
            prop_assert!(taken <= start.len() + rest.len());
        }
    }

    #[test]
    fn any_bytes_as_nlri_of_any_family_have_keys_and_texts_and_the_same_when_withdrawn(
        family in prop::sample::select(&FAMILIES[..]),
        nlri in prop::collection::vec(any::<u8>(), 1..80),
    ) {
        let updates = announced_and_withdrawn(family, &nlri, &nlri);
        if let [announced, withdrawn] = &updates[..] {
            prop_assert_eq!(keys(announced), keys(withdrawn));
        }
    }

    #[test]
    fn an_evpn_withdrawal_has_the_key_of_its_announcement_whatever_its_labels(
        route_type in 1..=2_u8,
        identity: ([u8; 8], [u8; 4], [u8; 6], Option<[u8; 4]>),
        esi: [u8; 10],
        label: [u8; 3],
    ) {
        let announced = evpn_nlri(route_type, identity, esi, &label);
        let other_esi = if route_type == 2 { [0; 10] } else { esi };
        let withdrawn = evpn_nlri(route_type, identity, other_esi, &[0; 3]);
        let updates = announced_and_withdrawn((25, 70), &announced, &withdrawn);
        prop_assert_eq!(updates.len(), 2);
        prop_assert_eq!(keys(&updates[0]).len(), 1);
        prop_assert_eq!(keys(&updates[0]), keys(&updates[1]));
    }

    #[test]
    fn a_vpn_withdrawal_has_the_key_of_its_announcement_whatever_its_label(
        distinguisher: [u8; 8],
        address: [u8; 4],
        length in 0..=32_u8,
        label in 1..0xf_ffff_u32,
        none in prop::sample::select(&[[0x80, 0, 0], [0, 0, 0], [0, 1, 1]][..]),
    ) {
        let host = u32::MAX.checked_shr(length.into()).unwrap_or_default();
        let address = u32::from_be_bytes(address) & !host;
        let nlri = |label: &[u8]| {
            let address = address.to_be_bytes();
            let address = &address[..length.div_ceil(8).into()];
            [&[24 + 64 + length][..], label, &distinguisher, address].concat()
        };
        let label = (label << 4 | 1).to_be_bytes();
        let updates = announced_and_withdrawn((1, 128), &nlri(&label[1..]), &nlri(&none));
        prop_assert_eq!(updates.len(), 2);
        prop_assert_eq!(keys(&updates[0]).len(), 1);
        prop_assert_eq!(keys(&updates[0]), keys(&updates[1]));
    }

    #[test]
    fn any_bytes_behind_a_per_peer_header_give_readable_events(
        version in 3..5_u8,
        kind in 0..8_u8,
        peer_type in 0..4_u8,
        flags: u8,
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut message = support::peer_header(peer_type, flags);
        message.extend(body);
        // `Heard` decodes every event again, and fails if it is not protobuf.
        let mut frame = support::bmp(kind, &message);
        frame[0] = version;
        let heard = Heard::of([&frame]);
        prop_assert!(!heard.events.is_empty() || !heard.dead.is_empty());
        for (_, event) in heard.events {
            let again = Event::decode(event.encode_to_vec().as_slice()).unwrap();
            prop_assert_eq!(again, event);
        }
    }

    #[test]
    fn any_bytes_as_nlri_are_read_or_refused_never_both(
        nlri in prop::collection::vec(any::<u8>(), 1..60),
    ) {
        let update = support::update(&[], &support::base_attributes(), &nlri);
        let heard = Heard::of([&support::route_monitoring(0, 0, &[update])]);
        prop_assert_eq!(heard.updates().len() + heard.dead.len(), 1);
    }
}
