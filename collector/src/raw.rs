//! The raw topic: every BMP message as received, in OpenBMP's binary framing
//! (version 1.7, object type "BMP raw"), which libbgpstream and bgpkit-parser read.
//!
//! ```text
//! +------------------------+-------+-------+---------------+----------------+
//! | Magic "OBMP"           | Major | Minor | Header Length | Message Length |
//! |  4                     |  1    |  1    |  2            |  4             |
//! +-------+------+---------+-------+-------+---------------+----------------+
//! | Flags | Type | Time, seconds   | Time, microseconds    | Collector Hash |
//! |  1    |  1   |  4              |  4                    |  16            |
//! +-------+------+----------+------+---------+-------------+----------------+
//! | Admin ID Length         | Collector Admin ID           | Router Hash    |
//! |  2                      |  variable                    |  16            |
//! +-------------------------+------------------------------+----------------+
//! | Router IP               | Router Group Length          | Router Group   |
//! |  16                     |  2                           |  variable      |
//! +-------------------------+------------------------------+----------------+
//! | Row Count               | BMP message                                   |
//! |  4                      |  Message Length                               |
//! +-------------------------+-----------------------------------------------+
//! ```
//!
//! All in network order. An IPv4 address takes the first four octets of its field.
//! The framing has no place for session and number of the message: they are in the
//! record's headers, which its readers pass over.

use std::{fmt::Write, net::IpAddr};

use md5::{Digest, Md5};

/// The name of raw records among the event types.
pub const EVENT_TYPE: &str = "raw";

/// Readers refuse any other version.
const VERSION: [u8; 2] = [1, 7];
/// The octets around the two names.
const FIXED_LENGTH: u16 = 78;
/// Longer than a host's name can be, and more than readers keep.
const ADMIN_ID_MAX: usize = 255;
/// Flag: the header has the fields of a router; readers refuse one without.
const ROUTER_MESSAGE: u8 = 0x80;
/// Flag: the router's address is an IPv6 one.
const ROUTER_IPV6: u8 = 0x40;
/// Object type: a BMP message as received.
const BMP_RAW: u8 = 12;

/// Frames the messages of one session.
#[derive(Debug)]
pub struct Framer {
    /// Up to the Message Length.
    begin: Vec<u8>,
    /// Flags and object type.
    kind: [u8; 2],
    /// From the Collector Hash on.
    end: Vec<u8>,
    buffer: Vec<u8>,
}

impl Framer {
    /// A framer of what `router` sends to `collector`.
    #[must_use]
    pub fn new(collector: &str, router: IpAddr) -> Self {
        let admin_id = collector.floor_char_boundary(ADMIN_ID_MAX);
        let admin_id = collector.get(..admin_id).unwrap_or_default().as_bytes();
        let admin_id_length = u16::try_from(admin_id.len()).unwrap_or_default();
        let mut begin = b"OBMP".to_vec();
        begin.extend(VERSION);
        begin.extend((FIXED_LENGTH + admin_id_length).to_be_bytes());

        let (address_flag, address) = match router {
            IpAddr::V4(v4) => {
                let mut address = [0; 16];
                let [a, b, c, d] = v4.octets();
                address[..4].copy_from_slice(&[a, b, c, d]);
                (0, address)
            }
            IpAddr::V6(v6) => (ROUTER_IPV6, v6.octets()),
        };
        let collector_hash: [u8; 16] = Md5::digest(admin_id).into();
        let mut end = collector_hash.to_vec();
        end.extend(admin_id_length.to_be_bytes());
        end.extend(admin_id);
        end.extend(router_hash(collector_hash, router));
        end.extend(address);
        // No router group, one row.
        end.extend(0_u16.to_be_bytes());
        end.extend(1_u32.to_be_bytes());
        Self { begin, kind: [ROUTER_MESSAGE | address_flag, BMP_RAW], end, buffer: Vec::new() }
    }

    /// The message, received at `now` (microseconds since the epoch), behind its header.
    pub fn frame(&mut self, message: &[u8], now: u64) -> &[u8] {
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes();
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.begin);
        self.buffer.extend(number(message.len() as u64));
        self.buffer.extend(self.kind);
        self.buffer.extend(number(now / 1_000_000));
        self.buffer.extend(number(now % 1_000_000));
        self.buffer.extend_from_slice(&self.end);
        self.buffer.extend_from_slice(message);
        &self.buffer
    }
}

/// As OpenBMP has it: MD5 of the router's address and the collector's hash, both
/// as text, where the collector's is MD5 of its Admin ID.
fn router_hash(collector: [u8; 16], router: IpAddr) -> [u8; 16] {
    let mut text = router.to_string();
    for octet in collector {
        let _ = write!(text, "{octet:02x}");
    }
    Md5::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_laid_out_as_openbmp_has_it() {
        let mut framer = Framer::new("c1", "192.0.2.1".parse().unwrap());
        let record = framer.frame(&[3, 0, 0, 0, 6, 4], 1_700_000_000_000_042).to_vec();
        assert_eq!(record.len(), 80 + 6);
        assert_eq!(record[..14], *b"OBMP\x01\x07\x00\x50\x00\x00\x00\x06\x80\x0c");
        assert_eq!(record[14..22], [0x65, 0x53, 0xf1, 0x00, 0, 0, 0, 42]);
        // md5("c1"), then md5("192.0.2.1a9f7e97965d6cf799a529102a973b8b9").
        let hex = |bytes: &[u8]| ribstream_proto::text::hex(bytes);
        assert_eq!(hex(&record[22..38]), "a9f7e97965d6cf799a529102a973b8b9");
        assert_eq!(record[38..42], *b"\x00\x02c1");
        assert_eq!(
            hex(&record[42..58]),
            hex(&Md5::digest(b"192.0.2.1a9f7e97965d6cf799a529102a973b8b9"))
        );
        assert_eq!(record[58..74], [192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(record[74..], [0, 0, 0, 0, 0, 1, 3, 0, 0, 0, 6, 4]);
    }

    #[test]
    fn an_ipv6_router_is_flagged_and_a_long_name_is_cut() {
        let mut framer = Framer::new(&"é".repeat(300), "2001:db8::1".parse().unwrap());
        let record = framer.frame(&[], 0).to_vec();
        assert_eq!(record[12], 0xc0);
        assert_eq!(usize::from(u16::from_be_bytes([record[6], record[7]])), record.len());
        assert_eq!(record.len(), 78 + 254);
    }
}
