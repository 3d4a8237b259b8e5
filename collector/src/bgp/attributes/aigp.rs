//! AIGP (RFC 7311, 3).
//!
//! ```text
//! | Type (1) | Length (2), type and length included | Value |  ...
//! ```

use ribstream_proto::v1;

use super::tlv;
use crate::wire::{Malformed, Reader};

const WHAT: &str = "AIGP";

/// The TLV with the metric.
const METRIC: u8 = 1;

/// Octets of a TLV's type and length.
const HEADER: u16 = 3;

pub(super) fn decode(value: &[u8]) -> Result<v1::Aigp, Malformed> {
    let mut aigp = v1::Aigp::default();
    let mut reader = Reader::new(value);
    while reader.any_left() {
        let kind = reader.u8(WHAT)?;
        let length = reader.u16(WHAT)?;
        let length = length
            .checked_sub(HEADER)
            .ok_or(Malformed::Length { what: WHAT, length: length.into() })?;
        let mut value = reader.sub(length.into(), WHAT)?;
        if kind == METRIC && aigp.metric.is_none() {
            aigp.metric = Some(value.u64("AIGP metric")?);
            value.finish("AIGP metric")?;
        } else {
            aigp.other.push(tlv(kind, value.rest()));
        }
    }
    Ok(aigp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_metric_counts_and_a_further_tlv_is_kept() {
        let bytes =
            [1, 0, 11, 0, 0, 0, 0, 0, 0, 7, 0xd0, 1, 0, 11, 0, 0, 0, 0, 0, 0, 0, 1, 9, 0, 4, 5];
        let aigp = decode(&bytes).unwrap();
        assert_eq!(aigp.metric, Some(2000));
        assert_eq!(aigp.other.iter().map(|tlv| tlv.r#type).collect::<Vec<_>>(), [1, 9]);
    }

    #[test]
    fn a_tlv_shorter_than_its_header_is_malformed() {
        assert!(decode(&[1, 0, 2]).is_err());
        assert!(decode(&[1, 0, 10, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
