//! Statistics Report (RFC 7854, 4.8): a count, then TLVs.

use ribstream_proto::family::AfiSafi;

use super::tlv::Tlvs;
use crate::{
    frame::{VERSION_3, VERSION_4},
    wire::{Malformed, Reader},
};

/// Type of the TLV that holds the statistics in late drafts of BMP version 4.
const STATISTICS_TLV: u16 = 1;

/// A Statistics Report, after its Per-Peer Header.
#[derive(Clone, Copy, Debug)]
pub struct StatsReport<'a> {
    tlvs: Tlvs<'a>,
}

/// One statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistic<'a> {
    /// Stat Type (IANA, BMP Statistics Types).
    pub kind: u16,
    /// The family that it counts, where it counts one.
    pub family: Option<AfiSafi>,
    /// The number, unless the value is of a length that holds none.
    pub value: Option<u64>,
    /// The value as sent.
    pub raw: &'a [u8],
}

impl<'a> StatsReport<'a> {
    pub(super) fn parse(bytes: &'a [u8], version: u8) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        // The TLVs end where the message ends, whatever the count says.
        let count = reader.u32("stats count")?;
        let tlvs = Tlvs::parse(reader.take_rest(), "statistic");
        if version == VERSION_4 && usize::try_from(count) != Ok(tlvs.iter().count()) {
            // draft-ietf-grow-bmp-tlv, from 20 on, has count and statistics in a TLV.
            let outer = Tlvs::parse(bytes, "statistics TLV");
            if let Some(inner) = outer.first(STATISTICS_TLV).filter(|_| outer.broken.is_none()) {
                return Self::parse(inner, VERSION_3);
            }
        }
        Ok(Self { tlvs })
    }

    /// Why what follows the last whole statistic could not be read, if so.
    #[must_use]
    pub const fn broken(&self) -> Option<Malformed> {
        self.tlvs.broken
    }

    /// The statistics in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = Statistic<'a>> + use<'a> {
        self.tlvs.iter().map(|tlv| {
            let mut reader = Reader::new(tlv.value);
            // 4 octets are a counter, 8 a gauge, 11 a gauge for one family (types 9,
            // 10 and others): the length tells, the registry need not be known.
            let (family, value) = match tlv.value.len() {
                4 => (None, reader.u32("counter").ok().map(u64::from)),
                8 => (None, reader.u64("gauge").ok()),
                11 => {
                    let afi = reader.u16("AFI").unwrap_or_default();
                    let safi = reader.u8("SAFI").unwrap_or_default();
                    (Some(AfiSafi::new(afi, safi)), reader.u64("gauge").ok())
                }
                _ => (None, None),
            };
            Statistic { kind: tlv.kind, family, value, raw: tlv.value }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_statistic_tells_its_shape() {
        let mut bytes = vec![0, 0, 0, 3];
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 9]);
        bytes.extend([0, 9, 0, 11, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1, 0]);
        bytes.extend([0xff, 0xfb, 0, 2, 7, 7]);
        let stats: Vec<_> = StatsReport::parse(&bytes, VERSION_3).unwrap().iter().collect();
        assert_eq!((stats[0].kind, stats[0].value), (0, Some(9)));
        assert_eq!((stats[1].family, stats[1].value), (Some(AfiSafi::IPV6_UNICAST), Some(256)));
        assert_eq!((stats[2].kind, stats[2].value, stats[2].raw), (65531, None, &[7, 7][..]));
    }

    #[test]
    fn a_wrong_stats_count_does_not_matter() {
        assert_eq!(StatsReport::parse(&[0, 0, 0, 9], VERSION_3).unwrap().iter().count(), 0);
    }

    #[test]
    fn statistics_inside_of_a_tlv_are_found_in_version_4() {
        let bytes = [0, 1, 0, 12, 0, 0, 0, 1, 0, 7, 0, 4, 0, 0, 0, 5];
        let report = StatsReport::parse(&bytes, VERSION_4).unwrap();
        assert_eq!(report.iter().map(|s| (s.kind, s.value)).collect::<Vec<_>>(), [(7, Some(5))]);
    }

    #[test]
    fn a_statistic_cut_short_leaves_those_before_it() {
        let bytes = [0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 9, 0, 1, 0, 4, 0];
        let report = StatsReport::parse(&bytes, VERSION_3).unwrap();
        assert_eq!((report.iter().count(), report.broken().is_some()), (1, true));
    }
}
