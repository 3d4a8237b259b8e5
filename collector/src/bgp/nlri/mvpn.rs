//! Multicast VPN (RFC 6514, 4; RFC 6625 for routes of any source or group).
//!
//! ```text
//! | Route Type (1) | Length (1) | Route Distinguisher (8) | by type |
//!
//! 1 intra-AS I-PMSI        | Originating Router (4, 16) |
//! 2 inter-AS I-PMSI        | Source AS (4) |
//! 3 S-PMSI                 | Source | Group | Originating Router |
//! 4 leaf                   | Route Key: a whole NLRI, in place of the distinguisher
//!                          | Originating Router |
//! 5 source active          | Source | Group |
//! 6 shared tree join       | Source AS | Rendezvous Point | Group |
//! 7 source tree join       | Source AS | Source | Group |
//! ```
//!
//! Source, rendezvous point and group are each an octet with their length in
//! bits, and an address, or none where that is zero. The length of what is left
//! tells the family of the originating router.

use prost::bytes::Bytes;
use ribstream_proto::v1::{self, other_route::Nlri};

use super::field::{distinguisher, last_address, optional_address};
use crate::wire::{Malformed, Reader};

const LEAF: u8 = 4;
const ORIGINATOR: &str = "originating router";

/// Decodes one NLRI.
pub(super) fn decode(nlri: &[u8], route: &mut v1::OtherRoute) -> Result<(), Malformed> {
    const WHAT: &str = "MVPN route";
    let mut reader = Reader::new(nlri);
    let route_type = reader.u8("MVPN route type")?;
    let length = reader.u8("MVPN route length")?;
    let mut content = reader.sub(length.into(), WHAT)?;
    reader.finish(WHAT)?;
    let r = &mut content;
    let mut mvpn = v1::MvpnRoute { route_type: route_type.into(), ..Default::default() };
    route.route_distinguisher =
        if route_type == LEAF { leaf(r, &mut mvpn)? } else { distinguisher(r)? };
    if matches!(route_type, 2 | 6 | 7) {
        mvpn.source_asn = Some(r.u32("source AS")?);
    }
    if matches!(route_type, 3 | 5..=7) {
        mvpn.source = optional_address(r, "multicast source")?;
        mvpn.group = optional_address(r, "multicast group")?;
    }
    match route_type {
        1 | 3 | LEAF => mvpn.originator = last_address(r, ORIGINATOR)?,
        2 | 5..=7 => {}
        _ => return Err(Malformed::Value { what: "MVPN route type", value: route_type.into() }),
    }
    r.finish(WHAT)?;
    route.nlri = Some(Nlri::Mvpn(mvpn));
    Ok(())
}

/// The route key, and the distinguisher in it: all that can be answered begin
/// with one.
fn leaf(r: &mut Reader<'_>, mvpn: &mut v1::MvpnRoute) -> Result<Bytes, Malformed> {
    const KEY: &str = "route key";
    let key = r.rest();
    r.u8(KEY)?;
    let length = usize::from(r.u8(KEY)?);
    let mut content = r.sub(length, KEY)?;
    mvpn.route_key = Bytes::copy_from_slice(key.get(..length + 2).unwrap_or_default());
    distinguisher(&mut content)
}

#[cfg(test)]
mod tests {
    use ribstream_proto::text;

    use super::*;

    const RD: [u8; 8] = [0, 0, 0xfd, 0xe9, 0, 0, 0, 7];
    const ASN: [u8; 4] = [0, 0, 0xfd, 0xe9];
    const SOURCE: [u8; 5] = [32, 10, 0, 0, 1];
    const GROUP: [u8; 5] = [32, 239, 0, 0, 1];
    const ORIGINATOR: [u8; 4] = [192, 0, 2, 1];

    fn nlri(route_type: u8, fields: &[&[u8]]) -> Vec<u8> {
        let content = fields.concat();
        let mut nlri = vec![route_type, u8::try_from(content.len()).unwrap()];
        nlri.extend(content);
        nlri
    }

    fn shown(nlri: &[u8]) -> Result<String, Malformed> {
        let mut route = v1::OtherRoute::default();
        decode(nlri, &mut route).map(|()| text::other_route(&route))
    }

    #[test]
    fn each_type_reads_as_its_layout_says() {
        let selective = nlri(3, &[&RD, &SOURCE, &GROUP, &ORIGINATOR]);
        for (nlri, expected) in [
            (nlri(1, &[&RD, &ORIGINATOR]), "65001:7 [1]:[32]:[192.0.2.1]"),
            (nlri(2, &[&RD, &ASN]), "65001:7 [2]:[65001]"),
            (selective.clone(), "65001:7 [3]:[32]:[10.0.0.1]:[32]:[239.0.0.1]:[32]:[192.0.2.1]"),
            (
                nlri(3, &[&RD, &[0], &[0], &ORIGINATOR]),
                "65001:7 [3]:[0]:[*]:[0]:[*]:[32]:[192.0.2.1]",
            ),
            (
                nlri(4, &[&selective, &ORIGINATOR]),
                "65001:7 [4]:[03160000fde900000007200a00000120ef000001c0000201]:[32]:[192.0.2.1]",
            ),
            (nlri(5, &[&RD, &SOURCE, &GROUP]), "65001:7 [5]:[32]:[10.0.0.1]:[32]:[239.0.0.1]"),
            (
                nlri(6, &[&RD, &ASN, &SOURCE, &GROUP]),
                "65001:7 [6]:[65001]:[32]:[10.0.0.1]:[32]:[239.0.0.1]",
            ),
            (
                nlri(7, &[&RD, &ASN, &SOURCE, &GROUP]),
                "65001:7 [7]:[65001]:[32]:[10.0.0.1]:[32]:[239.0.0.1]",
            ),
        ] {
            assert_eq!(shown(&nlri), Ok(expected.to_owned()));
            for cut in 1..nlri.len() - 1 {
                let mut short = nlri[..nlri.len() - cut].to_vec();
                short[1] = u8::try_from(short.len() - 2).unwrap();
                assert!(shown(&short).is_err(), "{expected} without {cut}");
            }
        }
    }

    #[test]
    fn an_unknown_type_is_refused() {
        assert!(shown(&nlri(8, &[&RD])).is_err());
    }
}
