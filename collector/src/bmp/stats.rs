//! Statistics Report (RFC 7854, 4.8): a count, then TLVs.

use super::tlv::Tlvs;
use crate::wire::{Malformed, Reader};
use ribstream_proto::family::AfiSafi;

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
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        // The count is not needed: the TLVs end where the message ends.
        reader.u32("stats count")?;
        Ok(Self { tlvs: Tlvs::parse(reader.take_rest(), "statistic")? })
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
        let stats: Vec<_> = StatsReport::parse(&bytes).unwrap().iter().collect();
        assert_eq!((stats[0].kind, stats[0].value), (0, Some(9)));
        assert_eq!((stats[1].family, stats[1].value), (Some(AfiSafi::IPV6_UNICAST), Some(256)));
        assert_eq!((stats[2].kind, stats[2].value, stats[2].raw), (65531, None, &[7, 7][..]));
    }

    #[test]
    fn a_wrong_stats_count_does_not_matter() {
        assert_eq!(StatsReport::parse(&[0, 0, 0, 9]).unwrap().iter().count(), 0);
    }
}
