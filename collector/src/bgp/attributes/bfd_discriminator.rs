//! BFD Discriminator (RFC 9026, 3.1.6).
//!
//! ```text
//! | BFD Mode (1) | BFD Discriminator (4) | Optional TLVs: Type (1), Length (1), Value |
//! ```

use ribstream_proto::v1;

use super::{copy, is_address, tlv};
use crate::wire::{Malformed, Reader};

const WHAT: &str = "BFD discriminator";
const SOURCE_ADDRESS: &str = "BFD source address";

/// The mode of P2MP sessions, whose attributes have a source address.
const P2MP: u8 = 1;

/// The TLV with the source address.
const SOURCE: u8 = 1;

/// Mode, discriminator and an IPv4 source.
const SHORTEST: usize = 11;

pub(super) fn decode(value: &[u8]) -> Result<v1::BfdDiscriminator, Malformed> {
    if value.len() < SHORTEST {
        return Err(Malformed::Length { what: WHAT, length: value.len() });
    }
    let mut reader = Reader::new(value);
    let mode = reader.u8(WHAT)?;
    let mut bfd = v1::BfdDiscriminator {
        mode: mode.into(),
        discriminator: reader.u32(WHAT)?,
        ..v1::BfdDiscriminator::default()
    };
    while reader.any_left() {
        let kind = reader.u8(WHAT)?;
        let length = reader.u8(WHAT)?;
        let value = reader.take(length.into(), WHAT)?;
        match kind {
            SOURCE if !is_address(value) => {
                return Err(Malformed::Length { what: SOURCE_ADDRESS, length: value.len() });
            }
            SOURCE if bfd.source.is_empty() => bfd.source = copy(value),
            _ => bfd.other.push(tlv(kind, value)),
        }
    }
    if mode == P2MP && bfd.source.is_empty() {
        return Err(Malformed::Short(SOURCE_ADDRESS));
    }
    Ok(bfd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_of_the_bfd_packets_is_read() {
        let bfd = decode(&[1, 0, 0, 0, 9, 1, 4, 192, 0, 2, 1, 7, 1, 5]).unwrap();
        assert_eq!((bfd.mode, bfd.discriminator), (1, 9));
        assert_eq!(bfd.source, [192, 0, 2, 1][..]);
        assert_eq!(bfd.other.len(), 1);
    }

    #[test]
    fn an_attribute_without_source_or_with_a_cut_tlv_is_malformed() {
        assert!(decode(&[1, 0, 0, 0, 9]).is_err());
        assert!(decode(&[1, 0, 0, 0, 9, 7, 4, 192, 0, 2, 1]).is_err());
        assert!(decode(&[1, 0, 0, 0, 9, 1, 16, 192, 0, 2, 1]).is_err());
    }
}
