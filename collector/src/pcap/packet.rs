//! A packet's headers: from the link to TCP.

use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice, ip_number};

use super::file::Packet;
use crate::wire::{Malformed, Reader};

/// Link types, as in <https://www.tcpdump.org/linktypes.html>.
mod link {
    pub(super) const NULL: u16 = 0;
    pub(super) const ETHERNET: u16 = 1;
    /// Raw IP on the BSDs, and in files written as if there.
    pub(super) const RAW_BSD: [u16; 2] = [12, 14];
    pub(super) const RAW: u16 = 101;
    pub(super) const LOOP: u16 = 108;
    pub(super) const LINUX_SLL: u16 = 113;
    pub(super) const IPV4: u16 = 228;
    pub(super) const IPV6: u16 = 229;
    pub(super) const LINUX_SLL2: u16 = 276;
}

/// The two ends of a TCP stream, sender first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    /// Who sends.
    pub(super) from: SocketAddr,
    /// Who receives.
    pub(super) to: SocketAddr,
}

impl Ends {
    /// The stream the other way.
    #[must_use]
    pub(super) const fn reversed(self) -> Self {
        Self { from: self.to, to: self.from }
    }
}

impl std::fmt::Display for Ends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} > {}", self.from, self.to)
    }
}

/// A TCP segment (RFC 9293, 3.1).
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "control bits, as the header has them")]
pub(super) struct Segment<'a> {
    /// Whose.
    pub(super) ends: Ends,
    /// Sequence Number: of the SYN where there is one, else of the first octet.
    pub(super) sequence: u32,
    /// Control bit SYN.
    pub(super) syn: bool,
    /// Control bit FIN.
    pub(super) fin: bool,
    /// Control bit RST.
    pub(super) rst: bool,
    /// The data, as far as it was captured.
    pub(super) data: &'a [u8],
    /// Whether the packet was longer than what was captured of it.
    pub(super) cut: bool,
}

/// What a packet is to us.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    /// A TCP segment.
    Tcp(Segment<'a>),
    /// A fragment of an IP packet that carries TCP.
    Fragment,
    /// Anything else.
    Other,
    /// Of a link type that is not known.
    UnknownLink,
}

/// Reads a packet's headers.
#[must_use]
pub(super) fn parse(packet: &Packet) -> Content<'_> {
    let reader = Reader::new(&packet.bytes);
    let parsed = match packet.link {
        link::ETHERNET => ether_type_at(reader, 12, 14),
        link::LINUX_SLL => ether_type_at(reader, 14, 16),
        link::LINUX_SLL2 => ether_type_at(reader, 0, 20),
        // The address family in front says no more than the IP version does.
        link::NULL | link::LOOP => ip(reader, 4),
        link::RAW | link::IPV4 | link::IPV6 => ip(reader, 0),
        raw if link::RAW_BSD.contains(&raw) => ip(reader, 0),
        _ => return Content::UnknownLink,
    };
    parsed.ok().flatten().map_or(Content::Other, |sliced| content(&sliced))
}

/// What follows a link header of `length` octets with the EtherType at `at`.
fn ether_type_at(
    mut reader: Reader<'_>,
    at: usize,
    length: usize,
) -> Result<Option<LaxSlicedPacket<'_>>, Malformed> {
    let mut header = reader.sub(length, "link header")?;
    header.take(at, "link header")?;
    let ether_type = EtherType(header.u16("EtherType")?);
    Ok(Some(LaxSlicedPacket::from_ether_type(ether_type, reader.rest())))
}

fn ip(mut reader: Reader<'_>, skip: usize) -> Result<Option<LaxSlicedPacket<'_>>, Malformed> {
    reader.take(skip, "link header")?;
    Ok(LaxSlicedPacket::from_ip(reader.rest()).ok())
}

fn content<'a>(sliced: &LaxSlicedPacket<'a>) -> Content<'a> {
    let (from, to): (IpAddr, IpAddr) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into())
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into())
        }
        _ => return Content::Other,
    };
    let Some(payload) = sliced.ip_payload() else { return Content::Other };
    if payload.fragmented && payload.ip_number == ip_number::TCP {
        return Content::Fragment;
    }
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { return Content::Other };
    Content::Tcp(Segment {
        ends: Ends {
            from: SocketAddr::new(from, tcp.source_port()),
            to: SocketAddr::new(to, tcp.destination_port()),
        },
        sequence: tcp.sequence_number(),
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        data: tcp.payload(),
        cut: payload.incomplete,
    })
}
