//! Whether NLRI carry path identifiers (RFC 7911, 3), and how to tell.

use ribstream_proto::family::AfiSafi;

use super::{Layout, TypedNlris, prefix};
use crate::wire::Malformed;

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

/// How well bytes read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// As a router would write them.
    Plausible,
    /// Possible, but as no router would: the mark of path identifiers read as
    /// routes or the other way round.
    Odd,
}

fn try_reading(
    bytes: &[u8],
    family: AfiSafi,
    layout: Layout,
    path_ids: PathIds,
) -> Result<Reading, Malformed> {
    let plausible = match layout {
        Layout::Prefixes(shape) => prefix::check(bytes, shape, path_ids)?,
        Layout::Typed(typed) => TypedNlris::new(bytes, typed, family, path_ids).check()?,
    };
    Ok(if plausible { Reading::Plausible } else { Reading::Odd })
}

/// What a field says about its path identifiers, given what was to be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Decision {
    /// How to read the field.
    pub(in super::super) path_ids: PathIds,
    /// The field reads only so: good evidence for the next one.
    pub(in super::super) certain: bool,
}

/// Decides how to read `bytes`: as expected if that is plausible, else the other
/// way if that is; failing both, as expected if it parses at all.
///
/// Path identifiers are expected with care, for plain prefixes may read as
/// prefixes with path identifiers by chance (two /24s do): `certain` is then set
/// only where the other reading fails.
pub(in super::super) fn decide(
    bytes: &[u8],
    family: AfiSafi,
    layout: Layout,
    expected: PathIds,
) -> Result<Decision, Malformed> {
    let as_expected = try_reading(bytes, family, layout, expected);
    if as_expected == Ok(Reading::Plausible) && expected == PathIds::Absent {
        return Ok(Decision { path_ids: expected, certain: false });
    }
    let otherwise = try_reading(bytes, family, layout, expected.other());
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
    use super::{
        super::{NlriField, Nlris},
        *,
    };

    const V4: AfiSafi = AfiSafi::IPV4_UNICAST;
    const V6: AfiSafi = AfiSafi::IPV6_UNICAST;

    fn decide(bytes: &[u8], family: AfiSafi, expected: PathIds) -> Result<Decision, Malformed> {
        super::decide(bytes, family, Layout::of(family).unwrap(), expected)
    }

    fn prefixes(bytes: &[u8], family: AfiSafi, path_ids: PathIds) -> Vec<(u8, Option<u32>)> {
        let field = NlriField { family, next_hop: &[], bytes, path_ids: Some(path_ids) };
        let Nlris::Prefixes(prefixes) = field.nlris() else { panic!("{family} is not prefixes") };
        prefixes.map(|p| (p.length, p.path_id)).collect()
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

    #[test]
    fn a_labelled_prefix_shorter_than_its_label_is_refused() {
        let bytes = [16, 0, 1, 1];
        assert!(decide(&bytes, AfiSafi::new(1, 4), PathIds::Absent).is_err());
        let bytes = [64, 0, 1, 1, 0, 0, 0, 0, 0];
        assert!(decide(&bytes, AfiSafi::new(1, 128), PathIds::Absent).is_err());
    }

    #[test]
    fn path_ids_of_other_families_are_found_and_not_invented() {
        let inclusive = [3, 17, 0, 0, 0xfd, 0xe9, 0, 0, 0, 7, 0, 0, 0, 0, 32, 192, 0, 2, 1];
        let flow = [5, 1, 24, 192, 0, 2];
        let target = [96, 0, 0, 0xfd, 0xe9, 0, 2, 0xfd, 0xe9, 0, 0, 0, 7];
        for (family, nlri) in [((25, 70), &inclusive[..]), ((1, 133), &flow), ((1, 132), &target)] {
            let family = AfiSafi::new(family.0, family.1);
            for path_id in [0_u8, 1, 32] {
                let bytes = [&[0, 0, 0, path_id], nlri].concat();
                let decision = decide(&bytes, family, PathIds::Absent).unwrap();
                assert_eq!(decision.path_ids, PathIds::Present, "{family} {path_id}");
            }
            for expected in [PathIds::Present, PathIds::Absent] {
                let decision = decide(nlri, family, expected).unwrap();
                assert_eq!(decision.path_ids, PathIds::Absent, "{family}");
            }
        }
    }
}
