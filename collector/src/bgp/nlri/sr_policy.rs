//! SR policy (RFC 9830, 2.1).
//!
//! ```text
//! | Length in bits, 96 or 192 (1) | Distinguisher (4) | Color (4) | Endpoint (4, 16) |
//! ```

use ribstream_proto::{
    family::AfiSafi,
    v1::{self, other_route::Nlri},
};

use super::field::{address_octets, last_address};
use crate::wire::{Malformed, Reader};

/// Decodes one NLRI.
pub(super) fn decode(
    nlri: &[u8],
    family: AfiSafi,
    route: &mut v1::OtherRoute,
) -> Result<(), Malformed> {
    const WHAT: &str = "SR policy";
    let mut reader = Reader::new(nlri);
    let length = reader.u8(WHAT)?;
    if length != (8 + address_octets(family.afi)) * 8 {
        return Err(Malformed::Value { what: WHAT, value: length.into() });
    }
    let distinguisher = reader.u32("distinguisher")?;
    let color = reader.u32("color")?;
    let endpoint = last_address(&mut reader, "endpoint")?;
    route.nlri = Some(Nlri::SrPolicy(v1::SrPolicyRoute { distinguisher, color, endpoint }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use ribstream_proto::text;

    use super::*;

    #[test]
    fn a_policy_is_of_the_family_of_its_endpoint() {
        let nlri = [96, 0, 0, 0, 1, 0, 0, 0, 200, 192, 0, 2, 1];
        let mut route = v1::OtherRoute::default();
        decode(&nlri, AfiSafi::new(1, 73), &mut route).unwrap();
        assert_eq!(text::other_route(&route), "[1]:[200]:[192.0.2.1]");
        assert!(decode(&nlri, AfiSafi::new(2, 73), &mut route).is_err());
        let mut nlri = vec![192, 0, 0, 0, 1, 0, 0, 0, 200];
        nlri.extend([0; 15]);
        nlri.push(1);
        decode(&nlri, AfiSafi::new(2, 73), &mut route).unwrap();
        assert_eq!(text::other_route(&route), "[1]:[200]:[::1]");
    }
}
