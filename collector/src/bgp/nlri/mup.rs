//! Mobile user plane (draft-ietf-bess-mup-safi, 3.1).
//!
//! ```text
//! | Architecture (1) | Route Type (2) | Length (1) | Route Distinguisher (8) | by type |
//!
//! 1 interwork segment discovery      | Prefix Length (1) | Prefix |
//! 2 direct segment discovery         | Address (4, 16) |
//! 3 type 1 session transformed       | Prefix Length (1) | Prefix | TEID (4) | QFI (1)
//!                                    | Endpoint | Source (none in early drafts) | TLVs |
//! 4 type 2 session transformed       | Length in bits of endpoint and TEID (1)
//!                                    | Endpoint (4, 16) | TEID (0 to 4) | TLVs |
//! ```
//!
//! Endpoint and source of type 3 are each an octet with their length in bits, and
//! an address. What follows the prefix of type 3 and the endpoint of type 4 is
//! that of architecture 1, 3GPP 5G; no other is defined.

use prost::bytes::Bytes;
use ribstream_proto::{
    family::AfiSafi,
    v1::{self, other_route::Nlri},
};

use super::field::{
    address, address_octets, clear_after, distinguisher, last_address, optional_address, prefix,
};
use crate::wire::{Malformed, Reader};

const THREE_GPP_5G: u8 = 1;
const TEID_BITS: u8 = 32;

/// Decodes one NLRI.
pub(super) fn decode(
    nlri: &[u8],
    family: AfiSafi,
    route: &mut v1::OtherRoute,
) -> Result<(), Malformed> {
    const WHAT: &str = "MUP route";
    let mut reader = Reader::new(nlri);
    let architecture = reader.u8("MUP architecture")?;
    if architecture != THREE_GPP_5G {
        return Err(Malformed::Value { what: "MUP architecture", value: architecture.into() });
    }
    let route_type = reader.u16("MUP route type")?;
    let length = reader.u8("MUP route length")?;
    let mut content = reader.sub(length.into(), WHAT)?;
    reader.finish(WHAT)?;
    let r = &mut content;
    let width = address_octets(family.afi);
    route.route_distinguisher = distinguisher(r)?;
    let mut mup = v1::MupRoute {
        architecture_type: architecture.into(),
        route_type: route_type.into(),
        ..Default::default()
    };
    match route_type {
        1 => mup.prefix = Some(prefix(r, width, "MUP prefix")?),
        2 => {
            mup.address = last_address(r, "MUP address")?;
            if mup.address.len() != usize::from(width) {
                return Err(Malformed::Length { what: "MUP address", length: mup.address.len() });
            }
        }
        3 => session_of_a_prefix(r, width, &mut mup)?,
        4 => session_of_an_endpoint(r, width, &mut mup)?,
        _ => return Err(Malformed::Value { what: "MUP route type", value: route_type.into() }),
    }
    r.finish(WHAT)?;
    route.nlri = Some(Nlri::Mup(mup));
    Ok(())
}

fn session_of_a_prefix(
    r: &mut Reader<'_>,
    width: u8,
    mup: &mut v1::MupRoute,
) -> Result<(), Malformed> {
    mup.prefix = Some(prefix(r, width, "MUP prefix")?);
    mup.teid = Some(r.u32("TEID")?);
    mup.qfi = Some(r.u8("QFI")?.into());
    mup.endpoint = address(r, "endpoint")?;
    if r.any_left() {
        mup.source = optional_address(r, "source")?;
    }
    mup.tlvs = tlvs(r)?;
    Ok(())
}

fn session_of_an_endpoint(
    r: &mut Reader<'_>,
    width: u8,
    mup: &mut v1::MupRoute,
) -> Result<(), Malformed> {
    const LENGTH: &str = "endpoint length";
    let length = r.u8(LENGTH)?;
    let bits = length
        .checked_sub(width * 8)
        .filter(|bits| *bits <= TEID_BITS)
        .ok_or(Malformed::Value { what: LENGTH, value: length.into() })?;
    mup.endpoint = Bytes::copy_from_slice(r.take(width.into(), "endpoint")?);
    let sent = r.take(bits.div_ceil(8).into(), "TEID")?;
    let mut teid = [0; 4];
    for (octet, sent) in teid.iter_mut().zip(sent) {
        *octet = *sent;
    }
    clear_after(&mut teid, bits);
    mup.teid = Some(u32::from_be_bytes(teid));
    mup.teid_length = Some(bits.into());
    mup.tlvs = tlvs(r)?;
    Ok(())
}

fn tlvs(r: &mut Reader<'_>) -> Result<Vec<v1::RawTlv>, Malformed> {
    const TLV: &str = "MUP TLV";
    let mut tlvs = Vec::new();
    while r.any_left() {
        let kind = r.u8(TLV)?;
        let length = r.u8(TLV)?;
        let value = Bytes::copy_from_slice(r.take(length.into(), TLV)?);
        tlvs.push(v1::RawTlv { r#type: kind.into(), value });
    }
    Ok(tlvs)
}

#[cfg(test)]
mod tests {
    use ribstream_proto::{key, text};

    use super::*;

    const RD: [u8; 8] = [0, 0, 0xfd, 0xe9, 0, 0, 0, 7];
    const V4: AfiSafi = AfiSafi::new(1, 85);
    const SESSION: [u8; 10] = [32, 10, 0, 0, 9, 0, 0, 0x30, 0x39, 9];
    const ENDPOINT: [u8; 5] = [32, 192, 0, 2, 1];

    fn read(route_type: u8, fields: &[&[u8]]) -> Result<v1::OtherRoute, Malformed> {
        let content = fields.concat();
        let mut nlri = vec![1, 0, route_type, u8::try_from(content.len()).unwrap()];
        nlri.extend(content);
        let mut route = v1::OtherRoute::default();
        decode(&nlri, V4, &mut route).map(|()| route)
    }

    fn shown(route_type: u8, fields: &[&[u8]]) -> String {
        text::other_route(&read(route_type, fields).unwrap())
    }

    #[test]
    fn each_type_reads_as_its_layout_says() {
        assert_eq!(shown(1, &[&RD, &[24, 10, 0, 1]]), "65001:7 [1]:[10.0.1.0/24]");
        assert_eq!(shown(2, &[&RD, &[192, 0, 2, 1]]), "65001:7 [2]:[192.0.2.1]");
        assert_eq!(
            shown(3, &[&RD, &SESSION, &ENDPOINT]),
            "65001:7 [3]:[10.0.0.9/32],TEID:0x00003039,QFI:9,Endpoint:192.0.2.1"
        );
        assert_eq!(
            shown(3, &[&RD, &SESSION, &ENDPOINT, &ENDPOINT]),
            "65001:7 [3]:[10.0.0.9/32],TEID:0x00003039,QFI:9,Endpoint:192.0.2.1,Source:192.0.2.1"
        );
        assert_eq!(
            shown(4, &[&RD, &[64, 192, 0, 2, 1, 0, 0, 0x30, 0x39]]),
            "65001:7 [4]:[192.0.2.1]:[0x00003039/32]"
        );
        assert_eq!(shown(4, &[&RD, &[32, 192, 0, 2, 1]]), "65001:7 [4]:[192.0.2.1]:[0x00000000/0]");
    }

    #[test]
    fn a_part_of_a_teid_is_its_high_bits() {
        let route = read(4, &[&RD, &[55, 192, 0, 2, 1, 0xff, 0xff, 0xff]]).unwrap();
        assert_eq!(text::other_route(&route), "65001:7 [4]:[192.0.2.1]:[0xfffffe00/23]");
    }

    #[test]
    fn tlvs_of_the_later_drafts_are_kept() {
        let route = read(3, &[&RD, &SESSION, &ENDPOINT, &[0], &[9, 2, 1, 2]]).unwrap();
        let Some(Nlri::Mup(mup)) = route.nlri else { panic!("not MUP") };
        assert_eq!(mup.tlvs.len(), 1);
        assert!(read(3, &[&RD, &SESSION, &ENDPOINT, &[0], &[9, 3, 1, 2]]).is_err());
    }

    #[test]
    fn a_session_is_known_by_its_prefix_whatever_its_tunnel() {
        let other_tunnel = [32, 10, 0, 0, 9, 0, 0, 0, 1, 8];
        assert_eq!(
            key::other(&read(3, &[&RD, &SESSION, &ENDPOINT]).unwrap()),
            key::other(&read(3, &[&RD, &other_tunnel, &ENDPOINT, &[0]]).unwrap())
        );
    }

    #[test]
    fn impossible_lengths_are_refused() {
        assert!(read(1, &[&RD, &[33, 10, 0, 1, 0, 0]]).is_err());
        assert!(read(2, &[&RD, &[0; 16]]).is_err());
        assert!(read(4, &[&RD, &[65, 192, 0, 2, 1, 0, 0, 0, 0, 0]]).is_err());
        assert!(read(4, &[&RD, &[31, 192, 0, 2, 1]]).is_err());
        assert!(read(5, &[&RD]).is_err());
    }
}
