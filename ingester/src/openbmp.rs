//! OpenBMP's binary framing, version 1.7, of a BMP message as received: what the raw
//! topic's records are. The collector's `raw.rs` shows the header's layout.

use std::net::{IpAddr, Ipv4Addr};

/// Flag: the header has the fields of a router.
const ROUTER_MESSAGE: u8 = 0x80;
/// Flag: the router's address is an IPv6 one.
const ROUTER_IPV6: u8 = 0x40;
/// Object type: a BMP message as received.
const BMP_RAW: u8 = 12;
/// BMP's Common Header: version, length, type.
const COMMON_HEADER: usize = 6;
/// Where the timestamp is in a Per-Peer Header, which follows the Common Header.
const TIMESTAMP_AT: usize = 34;

/// Why a record is not a BMP message in this framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenBmpError {
    /// It does not begin as one.
    #[error("the record is not in OpenBMP's framing, version 1.7")]
    NotOpenBmp,
    /// It is another object than a router's BMP message.
    #[error(
        "the record holds OpenBMP's object type {kind} with flags {flags:#04x}, not the BMP message of a router"
    )]
    NotBmp {
        /// Object type.
        kind: u8,
        /// Flags.
        flags: u8,
    },
    /// Its lengths are not those of its parts.
    #[error("the record has {octets} octets, which are not what its OpenBMP header says")]
    Length {
        /// The record's.
        octets: usize,
    },
}

/// A BMP message and what its frame says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When the collector received it, microseconds since 1970.
    pub time: i64,
    /// The collector's name.
    pub collector: &'a [u8],
    /// The router's address.
    pub router: IpAddr,
    /// The message's type.
    pub message_type: u8,
    /// The message.
    pub message: &'a [u8],
}

/// Takes octets off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (octets, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*octets)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (octets, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(octets)
    }

    /// What a length of two octets is in front of.
    fn counted(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.array()?);
        self.take(usize::from(length))
    }
}

impl<'a> Frame<'a> {
    /// Reads a record.
    ///
    /// # Errors
    /// It is not a router's BMP message in OpenBMP's framing.
    pub fn parse(record: &'a [u8]) -> Result<Self, OpenBmpError> {
        let cut = OpenBmpError::Length { octets: record.len() };
        let mut reader = Reader(record);
        if reader.take(6) != Some(b"OBMP\x01\x07") {
            return Err(OpenBmpError::NotOpenBmp);
        }
        let header_length = u16::from_be_bytes(reader.array().ok_or(cut)?);
        let message_length = u32::from_be_bytes(reader.array().ok_or(cut)?);
        let [flags, kind] = reader.array().ok_or(cut)?;
        if kind != BMP_RAW || flags & ROUTER_MESSAGE == 0 {
            return Err(OpenBmpError::NotBmp { kind, flags });
        }
        Self::body(reader, flags)
            .filter(|(frame, _)| usize::try_from(message_length) == Ok(frame.message.len()))
            .filter(|(_, rest)| record.len() - rest == usize::from(header_length))
            .map(|(frame, _)| frame)
            .ok_or(cut)
    }

    /// The rest of the header, and the message; with how many octets that has.
    fn body(mut reader: Reader<'a>, flags: u8) -> Option<(Self, usize)> {
        let seconds = u32::from_be_bytes(reader.array()?);
        let microseconds = u32::from_be_bytes(reader.array()?);
        let _collector_hash = reader.take(16)?;
        let collector = reader.counted()?;
        let _router_hash = reader.take(16)?;
        let address: [u8; 16] = reader.array()?;
        let _router_group = reader.counted()?;
        let _row_count = reader.take(4)?;
        let router = if flags & ROUTER_IPV6 == 0 {
            let [a, b, c, d, ..] = address;
            Ipv4Addr::from([a, b, c, d]).into()
        } else {
            address.into()
        };
        let message = reader.0;
        let message_type = *message.get(COMMON_HEADER - 1)?;
        let time = i64::from(seconds) * 1_000_000 + i64::from(microseconds);
        Some((Self { time, collector, router, message_type, message }, message.len()))
    }

    /// The router's own timestamp, where the message has a place for one and it is not zero.
    #[must_use]
    pub fn router_time(&self) -> Option<i64> {
        // Initiation and Termination have no Per-Peer Header, of others nothing is known.
        if !matches!(self.message_type, 0..=3 | 6) {
            return None;
        }
        let mut reader = Reader(self.message.get(COMMON_HEADER + TIMESTAMP_AT..)?);
        let seconds = u32::from_be_bytes(reader.array()?);
        let microseconds = u32::from_be_bytes(reader.array()?);
        let time = i64::from(seconds) * 1_000_000 + i64::from(microseconds);
        Some(time).filter(|time| *time != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As an independent reader's documentation lays it out.
    fn record(flags: u8, kind: u8, message: &[u8]) -> Vec<u8> {
        let mut record = b"OBMP\x01\x07\x00\x52".to_vec();
        record.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        record.extend([flags, kind]);
        record.extend([0x65, 0x53, 0xf1, 0x00, 0, 0, 0, 42]);
        record.extend([0xcc; 16]);
        record.extend(b"\x00\x02c1");
        record.extend([0xdd; 16]);
        record.extend([192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        record.extend(b"\x00\x02g1\x00\x00\x00\x01");
        record.extend(message);
        record
    }

    #[test]
    fn a_frame_is_read_part_by_part() {
        let mut message = vec![3, 0, 0, 0, 48, 0];
        message.extend([0; TIMESTAMP_AT]);
        message.extend([0x65, 0x53, 0xf0, 0xff, 0, 0, 0, 7]);
        let record = record(0x80, 12, &message);
        let frame = Frame::parse(&record).unwrap();
        let expected = Frame {
            time: 1_700_000_000_000_042,
            collector: b"c1",
            router: "192.0.2.1".parse().unwrap(),
            message_type: 0,
            message: &message,
        };
        assert_eq!(frame, expected);
        assert_eq!(frame.router_time(), Some(1_699_999_999_000_007));
        assert_eq!(Frame { message_type: 4, ..frame }.router_time(), None);
        assert_eq!(Frame { message: &message[..47], ..frame }.router_time(), None);
    }

    #[test]
    fn an_ipv6_router_has_all_of_its_address() {
        let record = record(0xc0, 12, &[3, 0, 0, 0, 6, 4]);
        let router = Frame::parse(&record).unwrap().router;
        assert_eq!(router.to_string(), "c000:201::");
    }

    #[test]
    fn what_is_cut_or_padded_or_something_else_is_refused() {
        let whole = record(0x80, 12, &[3, 0, 0, 0, 6, 4]);
        for length in 0..whole.len() {
            let error = Frame::parse(&whole[..length]).unwrap_err();
            let begun = length >= 6;
            assert_eq!(error == OpenBmpError::NotOpenBmp, !begun, "{length}: {error}");
        }
        let padded = [whole.as_slice(), &[0]].concat();
        assert_eq!(Frame::parse(&padded), Err(OpenBmpError::Length { octets: padded.len() }));
        let mut shifted = whole.clone();
        shifted[7] += 1;
        assert_eq!(Frame::parse(&shifted), Err(OpenBmpError::Length { octets: whole.len() }));
        for (flags, kind) in [(0x80, 5), (0x00, 12)] {
            let other = record(flags, kind, &[3, 0, 0, 0, 6, 4]);
            assert_eq!(Frame::parse(&other), Err(OpenBmpError::NotBmp { kind, flags }));
        }
    }
}
