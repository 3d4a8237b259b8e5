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
    bgp::{self, Open},
    wire::{Malformed, Reader},
};

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
    pub(super) fn parse(bytes: &'a [u8], header: &PeerHeader) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let local_address = reader.array("peer up local address")?;
        let local_port = reader.u16("peer up local port")?;
        let remote_port = reader.u16("peer up remote port")?;
        let sent = Open::parse(bgp::Message::read(&mut reader)?)?;
        let received = Open::parse(bgp::Message::read(&mut reader)?)?;
        let information = Tlvs::parse(reader.take_rest(), "peer up TLV")?;
        Ok(Self {
            local_address,
            ipv6: header.is_ipv6(),
            local_port,
            remote_port,
            sent,
            received,
            information,
        })
    }

    /// The router's address, 4 or 16 octets; empty where the router left it zero.
    #[must_use]
    pub fn local_address(&self) -> &[u8] {
        if self.local_address == [0; 16] { &[] } else { sized(&self.local_address, self.ipv6) }
    }
}
