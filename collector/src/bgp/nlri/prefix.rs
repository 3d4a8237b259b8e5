//! NLRI of prefixes (RFC 4271, 4.3; RFC 8277, 2; RFC 4364, 4.3.4; RFC 7911, 3).
//!
//! ```text
//! | Path Identifier (4, only with ADD-PATH) | Length in bits of all that follows (1) |
//! | Labels (3 each: SAFI 4, 128, 129) | Route Distinguisher (8: SAFI 128, 129) | Prefix |
//! ```

use ribstream_proto::family::AfiSafi;

use super::PathIds;
use crate::wire::{Malformed, Reader};

const LABEL_OCTETS: u8 = 3;
const DISTINGUISHER_OCTETS: u8 = 8;
/// What stands in the place of a label in a withdrawal (RFC 8277, 2.4), and what
/// some routers write instead.
const NO_LABEL: [[u8; 3]; 2] = [[0x80, 0, 0], [0, 0, 0]];

/// One route whose NLRI is a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix<'a> {
    /// The address; bits past `length` are zero. IPv4 uses the first 4 octets.
    pub address: [u8; 16],
    /// Bits.
    pub length: u8,
    /// RFC 7911.
    pub path_id: Option<u32>,
    /// The Route Distinguisher of a VPN route, 8 octets, else empty.
    pub distinguisher: &'a [u8],
    /// The label stack from the top, 3 octets each; empty for a withdrawal.
    pub labels: &'a [u8],
}

/// What precedes the prefix in the NLRI of a family, and how long the prefix may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Shape {
    max_length: u8,
    labelled: bool,
    distinguished: bool,
}

impl Shape {
    /// The shape of a family whose NLRI are prefixes; `None` for any other.
    pub(super) const fn of(family: AfiSafi) -> Option<Self> {
        let max_length = match family.afi {
            1 => 32,
            2 => 128,
            _ => return None,
        };
        let (labelled, distinguished) = match family.safi {
            1 | 2 => (false, false),
            4 => (true, false),
            128 | 129 => (true, true),
            _ => return None,
        };
        Some(Self { max_length, labelled, distinguished })
    }

    const fn is_plain(self) -> bool {
        !self.labelled && !self.distinguished
    }
}

/// Iterates over prefixes; ends at the first that is malformed.
#[derive(Clone, Debug)]
pub struct Prefixes<'a> {
    reader: Reader<'a>,
    shape: Shape,
    path_ids: PathIds,
}

impl<'a> Prefixes<'a> {
    pub(super) const fn new(bytes: &'a [u8], shape: Shape, path_ids: PathIds) -> Self {
        Self { reader: Reader::new(bytes), shape, path_ids }
    }
}

impl<'a> Iterator for Prefixes<'a> {
    type Item = Prefix<'a>;

    #[inline]
    fn next(&mut self) -> Option<Prefix<'a>> {
        if !self.reader.any_left() {
            return None;
        }
        Encoded::read(&mut self.reader, self.shape, self.path_ids).ok().map(Encoded::prefix)
    }
}

/// A prefix as sent.
struct Encoded<'a> {
    length: u8,
    /// As many as `length` needs.
    bytes: &'a [u8],
    /// These and all that follow.
    ahead: &'a [u8],
    path_id: Option<u32>,
    distinguisher: &'a [u8],
    labels: &'a [u8],
}

impl<'a> Encoded<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>, shape: Shape, path_ids: PathIds) -> Result<Self, Malformed> {
        let path_id = match path_ids {
            PathIds::Present => Some(reader.u32("path identifier")?),
            PathIds::Absent => None,
        };
        let mut length = reader.u8("prefix length")?;
        let (labels, distinguisher): (&[u8], &[u8]) = if shape.is_plain() {
            (&[], &[])
        } else {
            read_labels_and_distinguisher(reader, &mut length, shape)?
        };
        if length > shape.max_length {
            return Err(Malformed::Value { what: "prefix length", value: length.into() });
        }
        let ahead = reader.rest();
        let bytes = reader.take(length.div_ceil(8).into(), "prefix")?;
        Ok(Self { length, bytes, ahead, path_id, distinguisher, labels })
    }

    /// Whether the bits past the length were zero as sent.
    #[inline]
    fn is_clean(&self) -> bool {
        let used = self.length % 8;
        used == 0 || self.bytes.last().is_none_or(|last| last << used == 0)
    }

    #[inline]
    fn prefix(self) -> Prefix<'a> {
        // Where more follows, 8 octets at once: what is too much is cut off with the
        // bits past the length.
        let high = match self.ahead.first_chunk() {
            Some(first) => u64::from_be_bytes(*first),
            None => left_aligned(self.bytes),
        } & ones(self.length);
        let low = match self.bytes.get(8..) {
            Some(second) => left_aligned(second) & ones(self.length.saturating_sub(64)),
            None => 0,
        };
        Prefix {
            address: (u128::from(high) << 64 | u128::from(low)).to_be_bytes(),
            length: self.length,
            path_id: self.path_id,
            distinguisher: self.distinguisher,
            labels: self.labels,
        }
    }
}

/// Up to 8 octets as the first ones of a number, in network order.
#[inline]
fn left_aligned(bytes: &[u8]) -> u64 {
    let word = |four: &[u8; 4]| u64::from(u32::from_be_bytes(*four));
    match *bytes {
        [] => 0,
        [a] => u64::from_be_bytes([a, 0, 0, 0, 0, 0, 0, 0]),
        [a, b] => u64::from_be_bytes([a, b, 0, 0, 0, 0, 0, 0]),
        [a, b, c] => u64::from_be_bytes([a, b, c, 0, 0, 0, 0, 0]),
        // The first four and the last four: where they overlap they agree.
        _ => match (bytes.first_chunk(), bytes.last_chunk()) {
            (Some(first), Some(last)) => {
                word(first) << 32 | word(last) << (8 * 8_usize.saturating_sub(bytes.len()))
            }
            _ => 0,
        },
    }
}

/// A number of which the first `bits` are set.
#[inline]
fn ones(bits: u8) -> u64 {
    u64::MAX.checked_shl(64_u32.saturating_sub(bits.into())).unwrap_or(0)
}

/// Reads what a labelled or VPN prefix begins with, and takes its bits off `length`.
#[inline(never)]
fn read_labels_and_distinguisher<'a>(
    reader: &mut Reader<'a>,
    length: &mut u8,
    shape: Shape,
) -> Result<(&'a [u8], &'a [u8]), Malformed> {
    let labels =
        if shape.labelled { read_labels(reader, length, shape.distinguished)? } else { &[] };
    if !shape.distinguished {
        return Ok((labels, &[]));
    }
    *length = length
        .checked_sub(8 * DISTINGUISHER_OCTETS)
        .ok_or(Malformed::Value { what: "VPN prefix length", value: (*length).into() })?;
    Ok((labels, reader.take(DISTINGUISHER_OCTETS.into(), "route distinguisher")?))
}

/// Reads the label stack, up to the label with the bottom-of-stack bit, and takes
/// its bits off `length`.
fn read_labels<'a>(
    reader: &mut Reader<'a>,
    length: &mut u8,
    distinguished: bool,
) -> Result<&'a [u8], Malformed> {
    const WHAT: &str = "label stack";
    let start = reader.rest();
    let mut octets = 0;
    loop {
        *length = length
            .checked_sub(8 * LABEL_OCTETS)
            .ok_or(Malformed::Value { what: "labelled prefix length", value: (*length).into() })?;
        let label = reader.array::<3>(WHAT)?;
        if octets == 0 && NO_LABEL.contains(&label) {
            return Ok(&[]);
        }
        octets += usize::from(LABEL_OCTETS);
        // A stack that does not end leaves no room for what must follow it.
        let bottom = label[2] & 1 != 0;
        let room = 8 * (LABEL_OCTETS + if distinguished { DISTINGUISHER_OCTETS } else { 0 });
        if bottom || *length < room {
            return Ok(start.get(..octets).unwrap_or_default());
        }
    }
}

/// Whether `bytes` is nothing but whole prefixes and, if so, whether a router
/// would write them so: not with bits set past a prefix's length, nor with the
/// default route twice, which are the marks of path identifiers read as prefixes
/// or the other way round.
pub(super) fn check(bytes: &[u8], shape: Shape, path_ids: PathIds) -> Result<bool, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut plausible = true;
    let mut defaults = 0_u32;
    // With path identifiers or distinguishers the default route may well come more
    // than once.
    let once = path_ids == PathIds::Absent && !shape.distinguished;
    while reader.any_left() {
        let prefix = Encoded::read(&mut reader, shape, path_ids)?;
        defaults += u32::from(prefix.length == 0 && once);
        plausible &= prefix.is_clean() && defaults <= 1;
    }
    Ok(plausible)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(bytes: &[u8], family: AfiSafi) -> Prefix<'_> {
        Prefixes::new(bytes, Shape::of(family).unwrap(), PathIds::Absent).next().unwrap()
    }

    #[test]
    fn bits_past_the_length_are_cleared() {
        let prefix = first(&[9, 10, 0xff], AfiSafi::IPV4_UNICAST);
        assert_eq!((prefix.length, &prefix.address[..4]), (9, &[10, 0x80, 0, 0][..]));
    }

    #[test]
    fn an_address_of_any_length_is_its_octets_and_zeros() {
        for length in 0..=128_u8 {
            let mut bytes = vec![length];
            bytes.extend((1..=length.div_ceil(8)).map(|octet| octet | 0x81));
            let mut address = [0; 16];
            address[..bytes.len() - 1].copy_from_slice(&bytes[1..]);
            if length % 8 != 0 {
                address[bytes.len() - 2] &= 0xff << (8 - length % 8);
            }
            let prefix = first(&bytes, AfiSafi::IPV6_UNICAST);
            assert_eq!((prefix.length, prefix.address), (length, address));
        }
    }

    #[test]
    fn a_vpn_route_has_labels_a_distinguisher_and_a_prefix() {
        let vpnv4 = AfiSafi::new(1, 128);
        let bytes = [112, 0, 1, 0x11, 0, 0, 0xfd, 0xe9, 0, 0, 0, 7, 10, 1, 24];
        let route = first(&bytes, vpnv4);
        assert_eq!((route.length, route.address[..4].to_vec()), (24, vec![10, 1, 24, 0]));
        assert_eq!(route.labels, [0, 1, 0x11]);
        assert_eq!(route.distinguisher, [0, 0, 0xfd, 0xe9, 0, 0, 0, 7]);
    }

    #[test]
    fn withdrawn_vpn_and_labelled_routes_carry_no_label_whichever_way_it_is_written() {
        for none in NO_LABEL {
            let [a, b, c] = none;
            let labelled = [48, a, b, c, 192, 0, 2];
            let route = first(&labelled, AfiSafi::new(1, 4));
            assert_eq!((route.length, route.labels, route.address[0]), (24, &[][..], 192));
        }
    }

    #[test]
    fn a_label_stack_ends_with_its_bottom() {
        let bytes = [72, 0, 1, 0, 0, 2, 1, 192, 0, 2];
        let route = first(&bytes, AfiSafi::new(1, 4));
        assert_eq!((route.length, route.labels.len()), (24, 6));
    }
}
