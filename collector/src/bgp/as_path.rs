//! AS_PATH and AS4_PATH (RFC 4271, 4.3 and 5.1.2; RFC 5065; RFC 6793).
//!
//! ```text
//! | Segment Type (1) | Count (1) | Count AS numbers of 2 or 4 octets |  ...
//! ```

use crate::wire::{Malformed, Reader};

/// Octets of an AS number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsWidth {
    /// 2 octets.
    Two,
    /// 4 octets (RFC 6793).
    Four,
}

impl AsWidth {
    /// 2 or 4.
    #[must_use]
    pub const fn octets(self) -> u8 {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Two => Self::Four,
            Self::Four => Self::Two,
        }
    }
}

/// Segment types, numbered as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentType {
    /// Unordered, from aggregation.
    Set = 1,
    /// Ordered.
    Sequence = 2,
    /// Ordered, inside of a confederation (RFC 5065).
    ConfedSequence = 3,
    /// Unordered, inside of a confederation (RFC 5065).
    ConfedSet = 4,
}

impl SegmentType {
    const fn from_wire(value: u8) -> Option<Self> {
        match value {
            1 => Some(Self::Set),
            2 => Some(Self::Sequence),
            3 => Some(Self::ConfedSequence),
            4 => Some(Self::ConfedSet),
            _ => None,
        }
    }
}

/// An AS path that is known to be whole.
#[derive(Clone, Copy, Debug)]
pub struct AsPath<'a> {
    bytes: &'a [u8],
    width: AsWidth,
}

/// One segment of a path.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Its type.
    pub kind: SegmentType,
    bytes: &'a [u8],
    width: AsWidth,
}

impl<'a> AsPath<'a> {
    /// Checks that `bytes` is nothing but whole segments of known type, none
    /// empty (RFC 7606, 7.2).
    #[inline]
    pub fn parse(bytes: &'a [u8], width: AsWidth) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        while reader.any_left() {
            Segment::read(&mut reader, width)?;
        }
        Ok(Self { bytes, width })
    }

    /// Reads AS4_PATH, which cannot be empty (RFC 6793, 6).
    pub fn parse_as4(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.is_empty() {
            return Err(Malformed::Length { what: "AS4_PATH", length: 0 });
        }
        Self::parse(bytes, AsWidth::Four)
    }

    /// Reads AS_PATH with the width that it has: `expected` if the bytes parse
    /// so, else the other. Nearly always only one does: the count of a segment
    /// fixes its length.
    pub fn parse_either(bytes: &'a [u8], expected: AsWidth) -> Result<Self, Malformed> {
        Self::parse(bytes, expected)
            .or_else(|error| Self::parse(bytes, expected.other()).map_err(|_| error))
    }

    /// The width that the path was read with.
    #[must_use]
    pub const fn width(&self) -> AsWidth {
        self.width
    }

    /// Whether the path has no segment: then its width cannot be known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The segments in order.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        let width = self.width;
        std::iter::from_fn(move || Segment::read(&mut reader, width).ok())
    }

    /// The length that route selection sees: a set counts one, confederation
    /// segments nothing (RFC 4271, 9.1.2.2; RFC 5065, 5.3).
    #[must_use]
    pub fn selection_length(&self) -> usize {
        self.segments().map(|segment| segment.selection_length()).sum()
    }

    /// Rebuilds the true path from a 2-octet AS_PATH and its AS4_PATH (RFC 6793,
    /// 4.2.3): the leading ASes that AS4_PATH does not cover, then AS4_PATH.
    /// `None` where AS4_PATH is the longer one and is to be ignored.
    #[must_use]
    pub fn merged_with(&self, as4_path: &AsPath<'_>) -> Option<Vec<(SegmentType, Vec<u32>)>> {
        let mut leading = self.selection_length().checked_sub(as4_path.selection_length())?;
        let mut merged: Vec<(SegmentType, Vec<u32>)> = Vec::new();
        for segment in self.segments() {
            let length = segment.selection_length();
            if leading == 0 && length > 0 {
                break;
            }
            if length <= leading {
                merged.push((segment.kind, segment.asns().collect()));
                leading -= length;
            } else {
                // Only a sequence is longer than what may be left of it.
                merged.push((segment.kind, segment.asns().take(leading).collect()));
                leading = 0;
            }
        }
        // Confederation segments have no place in AS4_PATH (RFC 6793, 6).
        for segment in as4_path.segments().filter(|segment| segment.selection_length() > 0) {
            match merged.last_mut() {
                Some((SegmentType::Sequence, asns)) if segment.kind == SegmentType::Sequence => {
                    asns.extend(segment.asns());
                }
                _ => merged.push((segment.kind, segment.asns().collect())),
            }
        }
        Some(merged)
    }
}

impl<'a> Segment<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>, width: AsWidth) -> Result<Self, Malformed> {
        const WHAT: &str = "AS_PATH segment";
        let kind = reader.u8(WHAT)?;
        let count = reader.u8(WHAT)?;
        let kind = SegmentType::from_wire(kind)
            .ok_or(Malformed::Value { what: "AS_PATH segment type", value: kind.into() })?;
        if count == 0 {
            return Err(Malformed::Length { what: WHAT, length: 0 });
        }
        let bytes = reader.take(usize::from(count) * usize::from(width.octets()), WHAT)?;
        Ok(Self { kind, bytes, width })
    }

    /// The AS numbers in order.
    pub fn asns(&self) -> impl Iterator<Item = u32> + use<'a> {
        let width = self.width;
        self.bytes.chunks_exact(width.octets().into()).map(move |chunk| match *chunk {
            [a, b] => u32::from(u16::from_be_bytes([a, b])),
            [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
            _ => 0, // No other chunk size exists.
        })
    }

    fn selection_length(&self) -> usize {
        match self.kind {
            SegmentType::Sequence => self.bytes.len() / usize::from(self.width.octets()),
            SegmentType::Set => 1,
            SegmentType::ConfedSequence | SegmentType::ConfedSet => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(bytes: &[u8], width: AsWidth) -> AsPath<'_> {
        AsPath::parse(bytes, width).unwrap()
    }

    #[test]
    fn a_path_is_read_with_the_width_that_it_has() {
        let two = [2, 2, 0xfd, 0xe9, 0xfd, 0xea];
        assert_eq!(AsPath::parse_either(&two, AsWidth::Four).unwrap().width(), AsWidth::Two);
        let four = [2, 1, 0, 1, 0, 0];
        assert_eq!(AsPath::parse_either(&four, AsWidth::Two).unwrap().width(), AsWidth::Four);
    }

    #[test]
    fn sets_and_confederation_segments_stay_apart() {
        let bytes = [3, 1, 0, 9, 2, 2, 0, 1, 0, 2, 1, 2, 0, 3, 0, 4];
        let path = path(&bytes, AsWidth::Two);
        let kinds: Vec<_> = path.segments().map(|s| s.kind).collect();
        assert_eq!(kinds, [SegmentType::ConfedSequence, SegmentType::Sequence, SegmentType::Set]);
        assert_eq!(path.selection_length(), 3);
    }

    #[test]
    fn as4_path_replaces_the_tail_that_it_covers() {
        let two = [2, 3, 0, 1, 0x5b, 0xa0, 0x5b, 0xa0];
        let four = [2, 2, 0, 1, 0, 0, 0, 1, 0, 1];
        let merged = path(&two, AsWidth::Two).merged_with(&path(&four, AsWidth::Four)).unwrap();
        assert_eq!(merged, [(SegmentType::Sequence, vec![1, 65536, 65537])]);
    }

    #[test]
    fn confederation_segments_do_not_come_out_of_as4_path() {
        let two = [3, 1, 0, 9, 2, 1, 0x5b, 0xa0];
        let four = [3, 1, 0, 0, 0, 9, 2, 1, 0, 1, 0, 0];
        let merged = path(&two, AsWidth::Two).merged_with(&path(&four, AsWidth::Four)).unwrap();
        let expected =
            [(SegmentType::ConfedSequence, vec![9]), (SegmentType::Sequence, vec![65536])];
        assert_eq!(merged, expected);
    }

    #[test]
    fn an_as4_path_longer_than_the_path_is_ignored() {
        let four = [2, 2, 0, 1, 0, 0, 0, 1, 0, 1];
        assert!(
            path(&[2, 1, 0, 1], AsWidth::Two).merged_with(&path(&four, AsWidth::Four)).is_none()
        );
    }

    #[test]
    fn empty_and_unknown_segments_are_refused() {
        assert!(AsPath::parse(&[2, 0], AsWidth::Four).is_err());
        assert!(AsPath::parse(&[5, 1, 0, 1], AsWidth::Two).is_err());
        assert!(AsPath::parse(&[], AsWidth::Two).unwrap().is_empty());
    }
}
