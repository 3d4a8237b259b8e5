//! VPLS (RFC 4761, 3.2.2), and its auto-discovery (RFC 6074, 3.2.2). Both are of
//! one family, and told apart by their lengths (RFC 6074, 7).
//!
//! ```text
//! | Length in octets, 17 (2) | Route Distinguisher (8)
//! | VE ID (2) | VE Block Offset (2) | VE Block Size (2) | Label Base (3) | TLVs (RFC 6624) |
//!
//! | Length in octets, 12 (2) | Route Distinguisher (8) | PE Address (4) |
//! ```
//!
//! Cisco IOS writes the length in bits and in one octet, unless configured not to.

use ribstream_proto::v1::{self, other_route::Nlri};

use super::field::{distinguisher, octets};
use crate::wire::{Malformed, Reader};

const AUTO_DISCOVERY_OCTETS: u16 = 12;
const VPLS_OCTETS: u16 = 17;
const AUTO_DISCOVERY_BITS: u8 = 96;
const VPLS_BITS: u8 = 136;
const WHAT: &str = "VPLS route";

/// Reads the length, in octets. As the first of two octets, either of the lengths
/// in bits would promise a route longer than any message.
pub(super) fn length(reader: &mut Reader<'_>) -> Result<u16, Malformed> {
    match reader.rest().first() {
        Some(&bits @ (AUTO_DISCOVERY_BITS | VPLS_BITS)) => {
            reader.u8(WHAT)?;
            Ok(u16::from(bits) / 8)
        }
        _ => reader.u16(WHAT),
    }
}

/// Decodes one NLRI.
pub(super) fn decode(nlri: &[u8], route: &mut v1::OtherRoute) -> Result<(), Malformed> {
    let mut reader = Reader::new(nlri);
    let length = length(&mut reader)?;
    let mut content = reader.sub(length.into(), WHAT)?;
    reader.finish(WHAT)?;
    let r = &mut content;
    route.route_distinguisher = distinguisher(r)?;
    let mut vpls = v1::VplsRoute::default();
    if length == AUTO_DISCOVERY_OCTETS {
        vpls.pe_address = octets::<4>(r, "PE address")?;
    } else {
        vpls.ve_id = Some(r.u16("VE ID")?.into());
        vpls.ve_block_offset = Some(r.u16("VE block offset")?.into());
        vpls.ve_block_size = Some(r.u16("VE block size")?.into());
        let [high, middle, low] = r.array::<3>("label base")?;
        vpls.label_base = Some(u32::from_be_bytes([0, high, middle, low]) >> 4);
        if length > VPLS_OCTETS {
            tlvs(r)?;
        }
    }
    r.finish(WHAT)?;
    route.nlri = Some(Nlri::Vpls(vpls));
    Ok(())
}

/// The length of the circuit status vector counts its bits, that of any other TLV
/// octets (RFC 6624, 3.1). They say nothing of the route, and stay raw.
fn tlvs(r: &mut Reader<'_>) -> Result<(), Malformed> {
    const CIRCUIT_STATUS_VECTOR: u8 = 1;
    const TLV: &str = "VPLS TLV";
    while r.any_left() {
        let kind = r.u8(TLV)?;
        let length = usize::from(r.u16(TLV)?);
        let octets = if kind == CIRCUIT_STATUS_VECTOR { length.div_ceil(8) } else { length };
        r.take(octets, TLV)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ribstream_proto::{key, text};

    use super::*;

    const RD: [u8; 8] = [0, 0, 0xfd, 0xe9, 0, 0, 0, 7];

    fn read(fields: &[&[u8]]) -> Result<v1::OtherRoute, Malformed> {
        let nlri = fields.concat();
        let mut route = v1::OtherRoute::default();
        decode(&nlri, &mut route).map(|()| route)
    }

    #[test]
    fn a_label_block_is_told_from_a_discovery_by_its_length() {
        let block = read(&[&[0, 17], &RD, &[0, 5, 0, 1, 0, 8, 0x02, 0x9c, 0xe1]]).unwrap();
        assert_eq!(text::other_route(&block), "65001:7 VE:5,Offset:1,Size:8,Label:10702");
        let discovery = read(&[&[0, 12], &RD, &[192, 0, 2, 1]]).unwrap();
        assert_eq!(text::other_route(&discovery), "65001:7 PE:192.0.2.1");
        assert!(read(&[&[0, 11], &RD, &[192, 0, 2]]).is_err());
        assert!(read(&[&[0, 16], &RD, &[0, 5, 0, 1, 0, 8, 0x02, 0x9c]]).is_err());
    }

    #[test]
    fn a_length_in_bits_as_cisco_ios_writes_it_is_understood_and_the_key_is_the_same() {
        for (octets, bits, rest) in [
            ([0, 12], 96, &[192, 0, 2, 1][..]),
            ([0, 17], 136, &[0, 5, 0, 1, 0, 8, 0x02, 0x9c, 0xe1]),
        ] {
            let usual = read(&[&octets, &RD, rest]).unwrap();
            let ios = read(&[&[bits], &RD, rest]).unwrap();
            assert_eq!((&ios.nlri, key::other(&ios)), (&usual.nlri, key::other(&usual)));
        }
    }

    #[test]
    fn the_label_base_is_not_in_the_key() {
        let key = |label| {
            let block = read(&[&[0, 17], &RD, &[0, 5, 0, 1, 0, 8, 0x02, 0x9c, label]]).unwrap();
            key::other(&block)
        };
        assert_eq!(key(0xe1), key(0xf1));
    }

    #[test]
    fn a_circuit_status_vector_may_follow() {
        let block = [0, 5, 0, 1, 0, 8, 0x02, 0x9c, 0xe1];
        assert!(read(&[&[0, 21], &RD, &block, &[1, 0, 8, 0xff]]).is_ok());
        assert!(read(&[&[0, 21], &RD, &block, &[1, 0, 9, 0xff]]).is_err());
        assert!(read(&[&[0, 18], &RD, &block, &[1]]).is_err());
    }
}
