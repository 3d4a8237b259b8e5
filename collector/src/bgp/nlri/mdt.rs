//! MDT (RFC 6037, 7.2).
//!
//! ```text
//! | Length in bits, 128 (1) | Route Distinguisher (8) | PE Address (4) | Group (4) |
//! ```

use ribstream_proto::v1::{self, other_route::Nlri};

use super::field::{distinguisher, octets};
use crate::wire::{Malformed, Reader};

const BITS: u8 = 128;

/// Decodes one NLRI.
pub(super) fn decode(nlri: &[u8], route: &mut v1::OtherRoute) -> Result<(), Malformed> {
    const WHAT: &str = "MDT route";
    let mut reader = Reader::new(nlri);
    let length = reader.u8(WHAT)?;
    if length != BITS {
        return Err(Malformed::Value { what: WHAT, value: length.into() });
    }
    route.route_distinguisher = distinguisher(&mut reader)?;
    let source = octets::<4>(&mut reader, "PE address")?;
    let group = octets::<4>(&mut reader, "MDT group")?;
    reader.finish(WHAT)?;
    route.nlri = Some(Nlri::Mdt(v1::MdtRoute { source, group }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use ribstream_proto::text;

    use super::*;

    #[test]
    fn a_tunnel_has_a_source_and_a_group() {
        let nlri = [128, 0, 0, 0xfd, 0xe9, 0, 0, 0, 7, 192, 0, 2, 1, 239, 0, 0, 1];
        let mut route = v1::OtherRoute::default();
        decode(&nlri, &mut route).unwrap();
        assert_eq!(text::other_route(&route), "65001:7 [192.0.2.1]:[239.0.0.1]");
        assert!(decode(&nlri[..16], &mut route).is_err());
        assert!(decode(&[96, 0, 0, 0, 0, 0, 0, 0, 7, 192, 0, 2, 1], &mut route).is_err());
    }
}
