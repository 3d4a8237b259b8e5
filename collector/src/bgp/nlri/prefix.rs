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
        read(&mut self.reader, self.shape, self.path_ids).ok().map(|(prefix, _)| prefix)
    }
}

/// Reads one prefix, and whether the bits past its length were zero as sent.
#[inline]
fn read<'a>(
    reader: &mut Reader<'a>,
    shape: Shape,
    path_ids: PathIds,
) -> Result<(Prefix<'a>, bool), Malformed> {
    let path_id = match path_ids {
        PathIds::Present => Some(reader.u32("path identifier")?),
        PathIds::Absent => None,
    };
    let mut length = reader.u8("prefix length")?;
    let labels =
        if shape.labelled { read_labels(reader, &mut length, shape.distinguished)? } else { &[] };
    let distinguisher = if shape.distinguished {
        length = length
            .checked_sub(8 * DISTINGUISHER_OCTETS)
            .ok_or(Malformed::Value { what: "VPN prefix length", value: length.into() })?;
        reader.take(DISTINGUISHER_OCTETS.into(), "route distinguisher")?
    } else {
        &[]
    };
    if length > shape.max_length {
        return Err(Malformed::Value { what: "prefix length", value: length.into() });
    }
    let octets = usize::from(length.div_ceil(8));
    let bytes = reader.take(octets, "prefix")?;
    let mut address = [0; 16];
    if let Some(start) = address.get_mut(..octets) {
        start.copy_from_slice(bytes);
    }
    let mut clean = true;
    let used = length % 8;
    if used != 0
        && let Some(last) = address.get_mut(octets.wrapping_sub(1))
    {
        let kept = *last & (0xff_u8 << (8 - used));
        clean = kept == *last;
        *last = kept;
    }
    Ok((Prefix { address, length, path_id, distinguisher, labels }, clean))
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
        let (prefix, clean) = read(&mut reader, shape, path_ids)?;
        defaults += u32::from(prefix.length == 0 && once);
        plausible &= clean && defaults <= 1;
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
