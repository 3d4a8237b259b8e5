//! Peer Up Notification (RFC 7854, 4.10; RFC 9736).
//!
//! ```text
//! | Local Address (16) | Local Port (2) | Remote Port (2) |
//! | Sent OPEN | Received OPEN | Information TLVs          |
//! ```

use super::{
    peer_header::{PeerHeader, sized},
    tlv::Tlvs,
};
use crate::{
    bgp::{self, Open, message_type},
    wire::{Malformed, Reader},
};

const OPEN_HEADER_LENGTH: usize = bgp::HEADER_LENGTH as usize;

/// A Peer Up, after its Per-Peer Header.
#[derive(Clone, Copy, Debug)]
pub struct PeerUp<'a> {
    local_address: [u8; 16],
    ipv6: bool,
    /// The router's TCP port.
    pub local_port: u16,
    /// The peer's TCP port.
    pub remote_port: u16,
    /// The OPEN that the router sent.
    pub sent: Open<'a>,
    /// The OPEN that the router received.
    pub received: Open<'a>,
    /// What the router adds, the name of a Loc-RIB's table for one.
    pub information: Tlvs<'a>,
}

impl<'a> PeerUp<'a> {
    /// Fails only where the fixed part is cut: that a peer came up is worth more
    /// than a copy of its OPENs.
    pub(super) fn parse(bytes: &'a [u8], header: &PeerHeader) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let local_address = reader.array("peer up local address")?;
        let local_port = reader.u16("peer up local port")?;
        let remote_port = reader.u16("peer up remote port")?;
        let [sent, received] = opens(&mut reader);
        Ok(Self {
            local_address,
            ipv6: header.is_ipv6(),
            local_port,
            remote_port,
            sent: Open::parse(sent),
            received: Open::parse(received),
            information: Tlvs::parse(reader.take_rest(), "peer up TLV"),
        })
    }

    /// The router's address, 4 or 16 octets; empty where the router left it zero.
    #[must_use]
    pub fn local_address(&self) -> &[u8] {
        if self.local_address == [0; 16] { &[] } else { sized(&self.local_address, self.ipv6) }
    }
}

/// Takes the two OPENs by their lengths or, where these do not lead from one to
/// the other, by the marker that each begins with.
fn opens<'a>(reader: &mut Reader<'a>) -> [&'a [u8]; 2] {
    let mut by_length = *reader;
    if let Some(opens) = open(&mut by_length).and_then(|sent| Some([sent, open(&mut by_length)?])) {
        *reader = by_length;
        return opens;
    }
    let bytes = reader.take_rest();
    let second = (1..bytes.len()).find(|&at| {
        let header = bytes.get(at..).and_then(<[u8]>::first_chunk::<OPEN_HEADER_LENGTH>);
        header.is_some_and(|header| {
            header.starts_with(&bgp::MARKER) && header.last() == Some(&message_type::OPEN)
        })
    });
    let Some((sent, rest)) = second.and_then(|at| bytes.split_at_checked(at)) else {
        return [bytes, &[]];
    };
    *reader = Reader::new(rest);
    let received = open(reader).unwrap_or_else(|| reader.take_rest());
    [sent, received]
}

/// The next message, if it is whole and an OPEN.
fn open<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let message = bgp::Message::read(reader).ok()?;
    (message.kind == message_type::OPEN).then_some(message.raw)
}

#[cfg(test)]
mod tests {
    use super::{super::peer_header::tests::header, *};

    /// An OPEN of AS `asn` whose header says `length`.
    fn open_of(asn: u8, length: u8) -> Vec<u8> {
        let mut message = vec![0xff; 16];
        message.extend([0, length, 1, 4, 0, asn, 0, 180, 192, 0, 2, 1, 0]);
        message
    }

    fn parse(opens: &[Vec<u8>; 2]) -> (u32, u32, usize) {
        let mut bytes = vec![0; 20];
        bytes.extend(opens.concat());
        bytes.extend([0, 3, 0, 1, b'a']);
        let up = PeerUp::parse(&bytes, &header(0, 0)).unwrap();
        (up.sent.asn(), up.received.asn(), up.information.iter().count())
    }

    #[test]
    fn opens_are_taken_by_their_lengths() {
        assert_eq!(parse(&[open_of(1, 29), open_of(2, 29)]), (1, 2, 1));
    }

    #[test]
    fn an_open_with_a_wrong_length_does_not_hide_the_other() {
        for wrong in [0, 18, 20, 28, 30, 255] {
            assert_eq!(parse(&[open_of(1, wrong), open_of(2, 29)]), (1, 2, 1), "{wrong}");
        }
        assert_eq!(parse(&[open_of(1, 29), open_of(2, 255)]), (1, 2, 0));
    }

    #[test]
    fn a_peer_up_whose_opens_are_no_bgp_at_all_is_a_peer_up() {
        let mut bytes = vec![0; 20];
        bytes.extend([1, 2, 3]);
        let up = PeerUp::parse(&bytes, &header(0, 0)).unwrap();
        assert_eq!((up.sent.raw, up.received.raw), (&[1, 2, 3][..], &[][..]));
        assert!(PeerUp::parse(&bytes[..19], &header(0, 0)).is_err());
    }
}
