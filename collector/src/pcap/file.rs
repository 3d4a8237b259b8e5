//! Packets out of a capture file: pcap and pcapng.
//!
//! ```text
//! pcap      Magic 4 | Version 2+2 | Zone 4 | Accuracy 4 | Snap Length 4 | Link Type 4
//!           then for each packet: Seconds 4 | Fraction 4 | Captured 4 | Original 4 | bytes
//! pcapng    for each block: Type 4 | Length 4 | body | Length 4
//! ```
//!
//! See draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. Numbers are in the byte
//! order of the machine that wrote them, which the magic number tells.

use std::io::{self, Read};

use crate::wire::{Malformed, Reader};

/// The longest packet or block: what tcpdump and Wireshark take at the most, 256
/// KiB, and much to spare for blocks of comments, names and keys.
const MAX_BLOCK: usize = 16 << 20;
/// Interfaces of a section: more than a machine has.
const MAX_INTERFACES: usize = 1 << 16;

/// Whether a file that begins with these octets is one that [`File`] reads.
#[must_use]
pub(crate) fn is_capture(magic: [u8; 4]) -> bool {
    magic == SECTION_HEADER || Format::of(magic).is_some()
}

/// Why a capture file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system says so.
    #[error("cannot read the capture: {0}")]
    Read(#[from] io::Error),
    /// The file ends too early, as when the capture was killed.
    #[error("the capture file ends in the middle of a packet, {0} bytes from its beginning")]
    Cut(u64),
    /// A block that is longer than any is.
    #[error(
        "the capture file is damaged: a block of {length} bytes, {at} bytes from its beginning"
    )]
    Length {
        /// What the block says.
        length: usize,
        /// Where it begins.
        at: u64,
    },
    /// A block that contradicts itself.
    #[error("the capture file is damaged, {at} bytes from its beginning: {reason}")]
    Block {
        /// What is wrong.
        reason: Malformed,
        /// Where it begins.
        at: u64,
    },
    /// Neither pcap nor pcapng.
    #[error("this is no capture file")]
    Magic,
}

/// A packet as captured.
#[derive(Debug, Default)]
pub(super) struct Packet {
    /// Microseconds since the epoch.
    pub(super) time: u64,
    /// The link type, as in <https://www.tcpdump.org/linktypes.html>.
    pub(super) link: u16,
    /// From the link's header on, as far as it was captured.
    pub(super) bytes: Vec<u8>,
}

/// A capture file.
pub(super) struct File<R> {
    input: R,
    /// Octets read.
    at: u64,
    block: Vec<u8>,
    kind: Kind,
}

enum Kind {
    Pcap { format: Format, link: u16 },
    Pcapng { order: Order, interfaces: Vec<Interface> },
}

/// How a pcap file is written.
#[derive(Clone, Copy)]
struct Format {
    order: Order,
    /// Whether the fraction counts nanoseconds.
    nanoseconds: bool,
    /// Octets of a packet's header beyond the usual: the format of a modified
    /// libpcap of old.
    more: usize,
}

impl Format {
    const fn of(magic: [u8; 4]) -> Option<Self> {
        let (order, nanoseconds, more) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, false, 0),
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, false, 0),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, true, 0),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, true, 0),
            [0xa1, 0xb2, 0xcd, 0x34] => (Order::Big, false, 8),
            [0x34, 0xcd, 0xb2, 0xa1] => (Order::Little, false, 8),
            _ => return None,
        };
        Some(Self { order, nanoseconds, more })
    }
}

const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const INTERFACE_DESCRIPTION: u32 = 1;
/// Obsolete, and still found.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Options of an Interface Description.
const OPTION_END: u16 = 0;
const OPTION_TSRESOL: u16 = 9;
const OPTION_TSOFFSET: u16 = 14;

/// The byte order of a file's numbers.
#[derive(Clone, Copy)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn u16(self, reader: &mut Reader<'_>, what: &'static str) -> Result<u16, Malformed> {
        let octets = reader.array(what)?;
        Ok(match self {
            Self::Big => u16::from_be_bytes(octets),
            Self::Little => u16::from_le_bytes(octets),
        })
    }

    const fn number(self, octets: [u8; 4]) -> u32 {
        match self {
            Self::Big => u32::from_be_bytes(octets),
            Self::Little => u32::from_le_bytes(octets),
        }
    }

    fn u32(self, reader: &mut Reader<'_>, what: &'static str) -> Result<u32, Malformed> {
        reader.array(what).map(|octets| self.number(octets))
    }

    fn length(self, reader: &mut Reader<'_>, what: &'static str) -> Result<usize, Malformed> {
        self.u32(reader, what).map(|length| usize::try_from(length).unwrap_or(usize::MAX))
    }
}

/// An interface of a pcapng section.
#[derive(Clone, Copy)]
struct Interface {
    link: u16,
    /// Units of time in a second.
    units: u64,
    /// Seconds to add to every time.
    offset: i64,
}

impl Interface {
    /// A time in the interface's units, as microseconds since the epoch.
    fn micros(self, time: u64) -> u64 {
        let micros = u128::from(time) * 1_000_000 / u128::from(self.units.max(1));
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        micros.saturating_add_signed(self.offset.saturating_mul(1_000_000))
    }
}

impl<R: Read> File<R> {
    /// Reads the file's header.
    pub(super) fn open(mut input: R) -> Result<Self, FileError> {
        let mut magic = [0; 4];
        input.read_exact(&mut magic)?;
        let mut file = Self {
            input,
            at: 4,
            block: Vec::new(),
            kind: Kind::Pcapng { order: Order::Little, interfaces: Vec::new() },
        };
        if magic == SECTION_HEADER {
            file.section()?;
        } else {
            let format = Format::of(magic).ok_or(FileError::Magic)?;
            if !file.fill(20)? {
                return Err(FileError::Cut(file.at));
            }
            let mut reader = Reader::new(&file.block);
            let link = reader
                .take(16, "file header")
                .and_then(|_| format.order.u32(&mut reader, "link type"))
                .map_err(|reason| FileError::Block { reason, at: 0 })?;
            file.kind = Kind::Pcap { format, link: link_type(link) };
        }
        Ok(file)
    }

    /// The next packet, into `packet`; false at the file's end.
    pub(super) fn next(&mut self, packet: &mut Packet) -> Result<bool, FileError> {
        loop {
            let at = self.at;
            let damaged = |reason| FileError::Block { reason, at };
            match self.kind {
                Kind::Pcap { format, link } => {
                    packet.link = link;
                    return self.pcap_packet(format, packet);
                }
                Kind::Pcapng { order, .. } => {
                    if !self.fill(4)? {
                        return Ok(false);
                    }
                    if self.block == SECTION_HEADER {
                        self.section()?;
                        continue;
                    }
                    let kind = order.u32(&mut Reader::new(&self.block), "type").map_err(damaged)?;
                    self.body(order, 8)?;
                    if self.block_packet(kind, packet).map_err(damaged)? {
                        return Ok(true);
                    }
                }
            }
        }
    }

    fn pcap_packet(&mut self, format: Format, packet: &mut Packet) -> Result<bool, FileError> {
        let at = self.at;
        if !self.fill(16 + format.more)? {
            return Ok(false);
        }
        let mut reader = Reader::new(&self.block);
        let header = |reader: &mut Reader<'_>| {
            let seconds = format.order.u32(reader, "seconds")?;
            let fraction = format.order.u32(reader, "fraction")?;
            Ok((seconds, fraction, format.order.length(reader, "captured length")?))
        };
        let (seconds, fraction, captured) =
            header(&mut reader).map_err(|reason| FileError::Block { reason, at })?;
        let micros = if format.nanoseconds { fraction / 1000 } else { fraction };
        packet.time = u64::from(seconds) * 1_000_000 + u64::from(micros);
        self.must_fill(captured, at)?;
        std::mem::swap(&mut packet.bytes, &mut self.block);
        Ok(true)
    }

    /// A section begins: its byte order, and interfaces anew.
    fn section(&mut self) -> Result<(), FileError> {
        let at = self.at - 4;
        self.must_fill(8, at)?;
        let mut reader = Reader::new(&self.block);
        let head = |reader: &mut Reader<'_>| Ok((reader.array("length")?, reader.u32("magic")?));
        let (length, magic) =
            head(&mut reader).map_err(|reason| FileError::Block { reason, at })?;
        let order = match magic {
            0x1a2b_3c4d => Order::Big,
            0x4d3c_2b1a => Order::Little,
            value => {
                let reason = Malformed::Value { what: "byte-order magic", value };
                return Err(FileError::Block { reason, at });
            }
        };
        self.rest_of_block(order.number(length), 12, at)?;
        self.kind = Kind::Pcapng { order, interfaces: Vec::new() };
        Ok(())
    }

    /// Reads the length of a block and then its body, of which `read` octets with
    /// the length are behind us.
    fn body(&mut self, order: Order, read: usize) -> Result<(), FileError> {
        let at = self.at - 4;
        self.must_fill(4, at)?;
        let length = order
            .u32(&mut Reader::new(&self.block), "length")
            .map_err(|reason| FileError::Block { reason, at })?;
        self.rest_of_block(length, read, at)
    }

    /// The block without its header, and without the length that ends it.
    fn rest_of_block(&mut self, length: u32, read: usize, at: u64) -> Result<(), FileError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        match length.checked_sub(read) {
            Some(rest) if rest >= 4 => {
                self.must_fill(rest, at)?;
                self.block.truncate(rest - 4);
                Ok(())
            }
            _ => Err(FileError::Length { length, at }),
        }
    }

    /// What a block says; true where it is a packet.
    fn block_packet(&mut self, kind: u32, packet: &mut Packet) -> Result<bool, Malformed> {
        let Kind::Pcapng { order, interfaces } = &mut self.kind else { return Ok(false) };
        let order = *order;
        let mut reader = Reader::new(&self.block);
        let (interface, time, captured) = match kind {
            INTERFACE_DESCRIPTION => {
                if interfaces.len() < MAX_INTERFACES {
                    interfaces.push(interface(order, &mut reader)?);
                }
                return Ok(false);
            }
            // It has no time of its own, and may be shorter than its length says.
            SIMPLE_PACKET => {
                let length = order.length(&mut reader, "original length")?;
                (0, None, length.min(reader.rest().len()))
            }
            ENHANCED_PACKET | PACKET => {
                let interface = if kind == PACKET {
                    let interface = order.u16(&mut reader, "interface")?;
                    reader.take(2, "drops")?;
                    usize::from(interface)
                } else {
                    order.length(&mut reader, "interface")?
                };
                let high = order.u32(&mut reader, "time")?;
                let low = order.u32(&mut reader, "time")?;
                let captured = order.length(&mut reader, "captured length")?;
                reader.take(4, "original length")?;
                (interface, Some(u64::from(high) << 32 | u64::from(low)), captured)
            }
            _ => return Ok(false),
        };
        let Some(interface) = interfaces.get(interface) else {
            let value = u32::try_from(interface).unwrap_or(u32::MAX);
            return Err(Malformed::Value { what: "interface", value });
        };
        packet.link = interface.link;
        packet.time = time.map_or(0, |time| interface.micros(time));
        packet.bytes.clear();
        packet.bytes.extend_from_slice(reader.take(captured, "packet")?);
        Ok(true)
    }

    fn must_fill(&mut self, length: usize, at: u64) -> Result<(), FileError> {
        if length > MAX_BLOCK {
            return Err(FileError::Length { length, at });
        }
        if self.fill(length)? || length == 0 { Ok(()) } else { Err(FileError::Cut(self.at)) }
    }

    /// The next `length` octets, into `block`; false where the file has ended.
    fn fill(&mut self, length: usize) -> Result<bool, FileError> {
        self.block.clear();
        let read = self.input.by_ref().take(length as u64).read_to_end(&mut self.block)?;
        self.at += read as u64;
        match read {
            0 => Ok(false),
            read if read == length => Ok(true),
            _ => Err(FileError::Cut(self.at)),
        }
    }
}

/// The upper half tells of frame check sequences.
const fn link_type(field: u32) -> u16 {
    let [_, _, high, low] = field.to_be_bytes();
    u16::from_be_bytes([high, low])
}

fn interface(order: Order, reader: &mut Reader<'_>) -> Result<Interface, Malformed> {
    let link = order.u16(reader, "link type")?;
    reader.take(6, "snap length")?;
    let mut interface = Interface { link, units: 1_000_000, offset: 0 };
    while reader.any_left() {
        let code = order.u16(reader, "option")?;
        let length = usize::from(order.u16(reader, "option length")?);
        let mut value = reader.sub(length, "option")?;
        // Padding, which the last one may lack.
        let padding = (4 - length % 4) % 4;
        reader.take(padding.min(reader.rest().len()), "padding")?;
        match code {
            OPTION_END => break,
            OPTION_TSRESOL => interface.units = units(value.u8("time resolution")?),
            OPTION_TSOFFSET => {
                let octets = value.array("time offset")?;
                interface.offset = match order {
                    Order::Big => i64::from_be_bytes(octets),
                    Order::Little => i64::from_le_bytes(octets),
                };
            }
            _ => {}
        }
    }
    Ok(interface)
}

/// Units in a second: a power of ten or, with the highest bit, of two.
fn units(resolution: u8) -> u64 {
    let exponent = u32::from(resolution & 0x7f);
    let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(exponent).unwrap_or(u64::MAX)
}
