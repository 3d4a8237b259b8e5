//! NLRI of prefixes (RFC 4271, 4.3; RFC 8277, 2; RFC 4364, 4.3.4; RFC 7911, 3),
//! and how to tell whether they carry path identifiers.
//!
//! ```text
//! | Path Identifier (4, only with ADD-PATH) | Length in bits of all that follows (1) |
//! | Labels (3 each: SAFI 4, 128, 129) | Route Distinguisher (8: SAFI 128, 129) | Prefix |
//! ```

use ribstream_proto::family::AfiSafi;

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
pub(super) struct Shape {
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
        let reader = match self.path_ids {
            Some(_) => Reader::new(self.bytes),
            None => Reader::new(&[]),
        };
        let shape = Shape::of(self.family);
        Prefixes { reader, shape, path_ids: self.path_ids.unwrap_or(PathIds::Absent) }
    }
}

/// Iterates over prefixes; ends at the first that is malformed.
#[derive(Clone, Debug)]
pub struct Prefixes<'a> {
    reader: Reader<'a>,
    shape: Option<Shape>,
    path_ids: PathIds,
}

impl<'a> Iterator for Prefixes<'a> {
    type Item = Prefix<'a>;

    #[inline]
    fn next(&mut self) -> Option<Prefix<'a>> {
        if !self.reader.any_left() {
            return None;
        }
        read(&mut self.reader, self.shape?, self.path_ids).ok().map(|(prefix, _)| prefix)
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

fn try_reading(bytes: &[u8], shape: Shape, path_ids: PathIds) -> Result<Reading, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut reading = Reading::Plausible;
    let mut defaults = 0_u32;
    while reader.any_left() {
        let (prefix, clean) = read(&mut reader, shape, path_ids)?;
        // With path identifiers or distinguishers the default route may well come more
        // than once.
        let once = path_ids == PathIds::Absent && !shape.distinguished;
        defaults += u32::from(prefix.length == 0 && once);
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
pub(super) fn decide(bytes: &[u8], shape: Shape, expected: PathIds) -> Result<Decision, Malformed> {
    let as_expected = try_reading(bytes, shape, expected);
    if as_expected == Ok(Reading::Plausible) && expected == PathIds::Absent {
        return Ok(Decision { path_ids: expected, certain: false });
    }
    let otherwise = try_reading(bytes, shape, expected.other());
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

    fn shape(family: AfiSafi) -> Shape {
        Shape::of(family).unwrap()
    }

    fn first(bytes: &[u8], family: AfiSafi) -> Prefix<'_> {
        NlriField { family, next_hop: &[], bytes, path_ids: Some(PathIds::Absent) }
            .prefixes()
            .next()
            .unwrap()
    }

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
        let decision = decide(&bytes, shape(V4), PathIds::Absent).unwrap();
        assert_eq!(decision, Decision { path_ids: PathIds::Present, certain: true });
        assert_eq!(prefixes(&bytes, V4, decision.path_ids), [(24, Some(1)), (24, Some(2))]);
    }

    #[test]
    fn path_id_zero_is_not_taken_for_default_routes() {
        let bytes = [0, 0, 0, 0, 32, 0x20, 0x01, 0x0d, 0xb8];
        let decision = decide(&bytes, shape(V6), PathIds::Absent).unwrap();
        assert_eq!(decision.path_ids, PathIds::Present);
    }

    #[test]
    fn path_ids_absent_though_negotiated_are_not_invented() {
        let decision = decide(&[24, 192, 0, 2], shape(V4), PathIds::Present).unwrap();
        assert_eq!(decision, Decision { path_ids: PathIds::Absent, certain: true });
    }

    #[test]
    fn two_plain_slash_24s_read_either_way_so_the_expectation_decides() {
        let bytes = [24, 192, 0, 2, 24, 192, 0, 3];
        for expected in [PathIds::Present, PathIds::Absent] {
            let decision = decide(&bytes, shape(V4), expected).unwrap();
            assert_eq!(decision, Decision { path_ids: expected, certain: false });
        }
    }

    #[test]
    fn a_length_past_the_address_is_refused() {
        assert_eq!(
            decide(&[33, 1, 2, 3, 4, 5], shape(V4), PathIds::Absent),
            Err(Malformed::Value { what: "prefix length", value: 33 })
        );
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

    #[test]
    fn a_labelled_prefix_shorter_than_its_label_is_refused() {
        let bytes = [16, 0, 1, 1];
        assert!(decide(&bytes, shape(AfiSafi::new(1, 4)), PathIds::Absent).is_err());
        let bytes = [64, 0, 1, 1, 0, 0, 0, 0, 0];
        assert!(decide(&bytes, shape(AfiSafi::new(1, 128)), PathIds::Absent).is_err());
    }
}
