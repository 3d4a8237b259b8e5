//! Where BMP begins in a stream, if it is one.
//!
//! A stream that was captured from its SYN on begins with a message. One that was
//! captured in its middle begins anywhere: its first message is the first that is
//! one by more than chance.

use crate::{
    bgp,
    bmp::Message,
    frame::{HEADER_LENGTH, next_frame},
    wire::Reader,
};

/// How far to look for a message: past the longest that carries one BGP message
/// (RFC 8654), and the next.
pub(super) const SEARCH: usize = 160 << 10;
/// No message that long is taken for the first.
const LONGEST: usize = 80 << 10;
/// What every BGP message begins with (RFC 4271, 4.1): in a BMP message it is no chance.
const MARKER: [u8; 16] = [0xff; 16];
/// Peer types up to the Loc-RIB's (RFC 9069).
const PEER_TYPES: u8 = 3;

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// A BMP message, after so many octets.
    Bmp(usize),
    /// A BGP message.
    Bgp,
    /// Something else.
    Other,
    /// Not enough of it to tell.
    Open,
}

/// What a stream that was captured from its SYN on begins with.
#[must_use]
pub(super) fn at_start(bytes: &[u8]) -> Begin {
    match look(bytes) {
        Look::Sure | Look::Likely(_) => Begin::Bmp(0),
        Look::Open => Begin::Open,
        Look::No => bgp_or_other(bytes),
    }
}

/// What a stream that was captured from its middle on begins with; before
/// `searched` no message begins, which is brought up to date. At the `end` of the
/// stream, what could still become a message is none.
#[must_use]
pub(super) fn in_middle(bytes: &[u8], searched: &mut usize, end: bool) -> Begin {
    while *searched < SEARCH
        && let Some(rest) = bytes.get(*searched..)
        && !rest.is_empty()
    {
        match look(rest) {
            Look::Sure => return Begin::Bmp(*searched),
            // What is only likely needs another behind it.
            Look::Likely(length) => match look(rest.get(length..).unwrap_or_default()) {
                Look::Open if !end => return Begin::Open,
                Look::No => {}
                _ => return Begin::Bmp(*searched),
            },
            Look::Open if !end => return Begin::Open,
            Look::Open | Look::No => {}
        }
        *searched += 1;
    }
    if end || *searched >= SEARCH { bgp_or_other(bytes) } else { Begin::Open }
}

/// Whether octets look like a BMP message.
#[derive(Clone, Copy)]
enum Look {
    No,
    /// So far.
    Open,
    /// All of its octets do: so many.
    Likely(usize),
    /// There is a BGP message in it, where there should be.
    Sure,
}

fn look(bytes: &[u8]) -> Look {
    let length = match next_frame(bytes, LONGEST) {
        Ok(Some(length)) => length,
        Ok(None) => return Look::Open,
        Err(_) => return Look::No,
    };
    let frame = bytes.get(..length).unwrap_or_default();
    match Message::parse(frame) {
        Ok(
            Message::RouteMonitoring(header, _)
            | Message::StatsReport(header, _)
            | Message::PeerDown(header, _)
            | Message::PeerUp(header, _)
            | Message::RouteMirroring(header, _),
        ) if header.peer_type > PEER_TYPES => Look::No,
        Ok(Message::Unknown(_)) | Err(_) => Look::No,
        Ok(_) if length == HEADER_LENGTH => Look::No,
        Ok(_) if frame.windows(MARKER.len()).any(|octets| octets == MARKER) => Look::Sure,
        Ok(_) => Look::Likely(length),
    }
}

fn bgp_or_other(bytes: &[u8]) -> Begin {
    match bgp::Message::read(&mut Reader::new(bytes)) {
        Ok(message) if message.raw.starts_with(&MARKER) => Begin::Bgp,
        _ => Begin::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIATION: [u8; 12] = [3, 0, 0, 0, 12, 4, 0, 2, 0, 2, b'r', b'1'];

    #[test]
    fn an_initiation_at_the_start_is_enough_in_the_middle_it_is_not() {
        assert_eq!(at_start(&INITIATION), Begin::Bmp(0));
        assert_eq!(at_start(&INITIATION[..11]), Begin::Open);
        let mut searched = 0;
        assert_eq!(in_middle(&INITIATION, &mut searched, false), Begin::Open);
        assert_eq!(in_middle(&INITIATION, &mut searched, true), Begin::Bmp(0));
        let two = [&[9, 3, 0][..], &INITIATION, &INITIATION].concat();
        assert_eq!(in_middle(&two, &mut 0, false), Begin::Bmp(3));
    }

    #[test]
    fn other_protocols_are_told_apart() {
        let tpkt = [3, 0, 0, 0x2f, 0x2a, 0xe0, 0, 0];
        for other in [&b"GET / HTTP/1.1"[..], b"SSH-2.0-x", &[0x16, 3, 1, 2, 0], &tpkt] {
            let begin = at_start(other);
            assert!(begin == Begin::Other || begin == Begin::Open, "{other:?}: {begin:?}");
        }
        let keepalive = [&[0xff; 16][..], &[0, 19, 4]].concat();
        assert_eq!(at_start(&keepalive), Begin::Bgp);
    }

    #[test]
    fn a_search_ends() {
        for octet in [3, 7] {
            let bytes = vec![octet; SEARCH + HEADER_LENGTH];
            assert_eq!(in_middle(&bytes, &mut 0, false), Begin::Other);
        }
    }
}
