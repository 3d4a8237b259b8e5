//! Route target membership (RFC 4684, 4).
//!
//! ```text
//! | Length in bits (1) | Origin AS (4) | Route Target (8, or as much as the length says) |
//! ```

use prost::bytes::Bytes;
use ribstream_proto::v1::{self, other_route::Nlri};

use super::field::clear_after;
use crate::wire::{Malformed, Reader};

const ASN_BITS: u8 = 32;
const MAX_BITS: u8 = 96;

/// Decodes one NLRI.
pub(super) fn decode(nlri: &[u8], route: &mut v1::OtherRoute) -> Result<(), Malformed> {
    const WHAT: &str = "route target membership";
    let mut reader = Reader::new(nlri);
    let length = reader.u8(WHAT)?;
    let mut membership = v1::RouteTargetMembership { length: length.into(), ..Default::default() };
    match length {
        0 => {}
        ASN_BITS..=MAX_BITS => {
            membership.origin_asn = Some(reader.u32("origin AS")?);
            let bits = length - ASN_BITS;
            if bits > 0 {
                let mut target = reader.take(bits.div_ceil(8).into(), "route target")?.to_vec();
                clear_after(&mut target, bits);
                target.resize(8, 0);
                membership.route_target = Bytes::from(target);
            }
        }
        _ => return Err(Malformed::Value { what: WHAT, value: length.into() }),
    }
    reader.finish(WHAT)?;
    route.nlri = Some(Nlri::RouteTargetMembership(membership));
    Ok(())
}

#[cfg(test)]
mod tests {
    use ribstream_proto::text;

    use super::*;

    fn shown(nlri: &[u8]) -> Result<String, Malformed> {
        let mut route = v1::OtherRoute::default();
        decode(nlri, &mut route).map(|()| text::other_route(&route))
    }

    #[test]
    fn a_membership_is_of_all_of_an_as_or_of_one_target() {
        assert_eq!(shown(&[0]), Ok("default".to_owned()));
        assert_eq!(shown(&[32, 0, 0, 0xfd, 0xe9]), Ok("65001:*".to_owned()));
        let whole = [96, 0, 0, 0xfd, 0xe9, 0, 2, 0xfd, 0xe9, 0, 0, 0, 7];
        let target = text::extended_community(0x0002_fde9_0000_0007);
        assert_eq!(shown(&whole), Ok(format!("65001:{target}")));
    }

    #[test]
    fn bits_of_a_partial_target_past_its_length_are_cleared() {
        let nlri = [49, 0, 0, 0, 1, 0, 2, 0xff];
        let target = text::extended_community(0x0002_8000_0000_0000);
        assert_eq!(shown(&nlri), Ok(format!("1:{target}/17")));
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for nlri in [&[16, 0, 1][..], &[104, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0], &[32, 0, 0, 0]]
        {
            assert!(shown(nlri).is_err());
        }
    }
}
