//! What must hold for any input.

mod support;

use std::io::{self, Read};

use proptest::{prelude::*, sample::Index};
use prost::Message;
use ribstream_collector::decode;
use ribstream_proto::v1::Event;
use ribstream_testkit::captures::capture;
use support::{Heard, MAX_MESSAGE};

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

fn lines(input: impl Read) -> Vec<u8> {
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
        while let Ok(Some(length)) = ribstream_collector::frame::next_frame(rest, MAX_MESSAGE) {
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

proptest! {
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
