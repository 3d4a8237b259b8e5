//! NLRI of prefixes (RFC 4271, 4.3; RFC 7911, 3), and how to tell whether they
//! carry path identifiers.
//!
//! ```text
//! | Path Identifier (4, only with ADD-PATH) | Length in bits (1) | Prefix (0..16) |
//! ```

use ribstream_proto::family::AfiSafi;

use crate::wire::{Malformed, Reader};

/// One prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// The address; bits past `length` are zero. IPv4 uses the first 4 octets.
    pub address: [u8; 16],
    /// Bits.
    pub length: u8,
    /// RFC 7911.
    pub path_id: Option<u32>,
}

/// Whether NLRI carry path identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathIds {
    /// Each NLRI begins with one.
    Present,
    /// None does.
    Absent,
}

impl PathIds {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Present => Self::Absent,
            Self::Absent => Self::Present,
        }
    }
}

/// The routes of one NLRI field.
#[derive(Clone, Copy, Debug)]
pub struct NlriField<'a> {
    /// Of which family.
    pub family: AfiSafi,
    /// The next hop that came with them, as sent; empty for withdrawn routes.
    pub next_hop: &'a [u8],
    /// The field.
    pub bytes: &'a [u8],
    /// How to read it; `None` where the family is not decoded.
    pub path_ids: Option<PathIds>,
}

impl<'a> NlriField<'a> {
    /// The prefixes; none where the family is not decoded.
    #[must_use]
    pub fn prefixes(&self) -> Prefixes<'a> {
        match (self.path_ids, max_length(self.family)) {
            (Some(path_ids), Some(max_length)) => {
                Prefixes { reader: Reader::new(self.bytes), max_length, path_ids }
            }
            _ => Prefixes { reader: Reader::new(&[]), max_length: 0, path_ids: PathIds::Absent },
        }
    }
}

/// The bits of an address of a family whose NLRI are plain prefixes; `None` for
/// a family that is not decoded.
#[must_use]
pub(super) const fn max_length(family: AfiSafi) -> Option<u8> {
    match (family.afi, family.safi) {
        (1, 1) => Some(32),
        (2, 1) => Some(128),
        _ => None,
    }
}

/// Iterates over prefixes; ends at the first that is malformed.
#[derive(Clone, Debug)]
pub struct Prefixes<'a> {
    reader: Reader<'a>,
    max_length: u8,
    path_ids: PathIds,
}

impl Iterator for Prefixes<'_> {
    type Item = Prefix;

    #[inline]
    fn next(&mut self) -> Option<Prefix> {
        if !self.reader.any_left() {
            return None;
        }
        read(&mut self.reader, self.max_length, self.path_ids).ok().map(|(prefix, _)| prefix)
    }
}

/// Reads one prefix, and whether the bits past its length were zero as sent.
#[inline]
fn read(
    reader: &mut Reader<'_>,
    max_length: u8,
    path_ids: PathIds,
) -> Result<(Prefix, bool), Malformed> {
    let path_id = match path_ids {
        PathIds::Present => Some(reader.u32("path identifier")?),
        PathIds::Absent => None,
    };
    let length = reader.u8("prefix length")?;
    if length > max_length {
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
    Ok((Prefix { address, length, path_id }, clean))
}

/// How well bytes read as prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// As a router would write them.
    Plausible,
    /// Possible, but with bits set past a prefix's length, or with the default
    /// route twice: the marks of path identifiers read as prefixes or the
    /// other way round.
    Odd,
}

fn try_reading(bytes: &[u8], max_length: u8, path_ids: PathIds) -> Result<Reading, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut reading = Reading::Plausible;
    let mut defaults = 0_u32;
    while reader.any_left() {
        let (prefix, clean) = read(&mut reader, max_length, path_ids)?;
        // With path identifiers, the default route may well come more than once.
        defaults += u32::from(prefix.length == 0 && path_ids == PathIds::Absent);
        if !clean || defaults > 1 {
            reading = Reading::Odd;
        }
    }
    Ok(reading)
}

/// What a field says about its path identifiers, given what was to be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// How to read the field.
    pub(super) path_ids: PathIds,
    /// The field reads only so: good evidence for the next one.
    pub(super) certain: bool,
}

/// Decides how to read `bytes`: as expected if that is plausible, else the other
/// way if that is; failing both, as expected if it parses at all.
///
/// Path identifiers are expected with care, for plain prefixes may read as
/// prefixes with path identifiers by chance (two /24s do): `certain` is then set
/// only where the other reading fails.
pub(super) fn decide(
    bytes: &[u8],
    family: AfiSafi,
    expected: PathIds,
) -> Result<Decision, Malformed> {
    let max_length = max_length(family).unwrap_or_default();
    let as_expected = try_reading(bytes, max_length, expected);
    if as_expected == Ok(Reading::Plausible) && expected == PathIds::Absent {
        return Ok(Decision { path_ids: expected, certain: false });
    }
    let otherwise = try_reading(bytes, max_length, expected.other());
    let plausible = |reading: &Result<Reading, Malformed>| *reading == Ok(Reading::Plausible);
    if plausible(&as_expected) {
        Ok(Decision { path_ids: expected, certain: !plausible(&otherwise) })
    } else if plausible(&otherwise) {
        Ok(Decision { path_ids: expected.other(), certain: true })
    } else {
        // Against the expectation only what is plausible is believed.
        as_expected.map(|_| Decision { path_ids: expected, certain: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: AfiSafi = AfiSafi::IPV4_UNICAST;
    const V6: AfiSafi = AfiSafi::IPV6_UNICAST;

    fn prefixes(bytes: &[u8], family: AfiSafi, path_ids: PathIds) -> Vec<(u8, Option<u32>)> {
        NlriField { family, next_hop: &[], bytes, path_ids: Some(path_ids) }
            .prefixes()
            .map(|p| (p.length, p.path_id))
            .collect()
    }

    #[test]
    fn bits_past_the_length_are_cleared() {
        let field = NlriField {
            family: V4,
            next_hop: &[],
            bytes: &[9, 10, 0xff],
            path_ids: Some(PathIds::Absent),
        };
        let prefix = field.prefixes().next().unwrap();
        assert_eq!((prefix.length, &prefix.address[..4]), (9, &[10, 0x80, 0, 0][..]));
    }

    #[test]
    fn path_ids_present_though_not_negotiated_are_found() {
        let bytes = [0, 0, 0, 1, 24, 192, 0, 2, 0, 0, 0, 2, 24, 192, 0, 2];
        let decision = decide(&bytes, V4, PathIds::Absent).unwrap();
        assert_eq!(decision, Decision { path_ids: PathIds::Present, certain: true });
        assert_eq!(prefixes(&bytes, V4, decision.path_ids), [(24, Some(1)), (24, Some(2))]);
    }

    #[test]
    fn path_id_zero_is_not_taken_for_default_routes() {
        let bytes = [0, 0, 0, 0, 32, 0x20, 0x01, 0x0d, 0xb8];
        let decision = decide(&bytes, V6, PathIds::Absent).unwrap();
        assert_eq!(decision.path_ids, PathIds::Present);
    }

    #[test]
    fn path_ids_absent_though_negotiated_are_not_invented() {
        let decision = decide(&[24, 192, 0, 2], V4, PathIds::Present).unwrap();
        assert_eq!(decision, Decision { path_ids: PathIds::Absent, certain: true });
    }

    #[test]
    fn two_plain_slash_24s_read_either_way_so_the_expectation_decides() {
        let bytes = [24, 192, 0, 2, 24, 192, 0, 3];
        for expected in [PathIds::Present, PathIds::Absent] {
            let decision = decide(&bytes, V4, expected).unwrap();
            assert_eq!(decision, Decision { path_ids: expected, certain: false });
        }
    }

    #[test]
    fn a_length_past_the_address_is_refused() {
        assert_eq!(
            decide(&[33, 1, 2, 3, 4, 5], V4, PathIds::Absent),
            Err(Malformed::Value { what: "prefix length", value: 33 })
        );
    }
}
