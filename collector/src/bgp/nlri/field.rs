//! Fields that several families share.

use prost::bytes::Bytes;
use ribstream_proto::v1;

use crate::wire::{Malformed, Reader};

const V4_BITS: u8 = 32;
const V6_BITS: u8 = 128;

/// A Route Distinguisher (RFC 4364, 4.2).
pub(super) fn distinguisher(reader: &mut Reader<'_>) -> Result<Bytes, Malformed> {
    octets::<8>(reader, "route distinguisher")
}

/// `N` octets as they are.
pub(super) fn octets<const N: usize>(
    reader: &mut Reader<'_>,
    what: &'static str,
) -> Result<Bytes, Malformed> {
    reader.array::<N>(what).map(|octets| Bytes::copy_from_slice(&octets))
}

/// An address behind its length in bits: 32 or 128.
pub(super) fn address(reader: &mut Reader<'_>, what: &'static str) -> Result<Bytes, Malformed> {
    match reader.u8(what)? {
        V4_BITS => octets::<4>(reader, what),
        V6_BITS => octets::<16>(reader, what),
        length => Err(Malformed::Value { what, value: length.into() }),
    }
}

/// As [`address`], or nothing behind a length of 0.
pub(super) fn optional_address(
    reader: &mut Reader<'_>,
    what: &'static str,
) -> Result<Bytes, Malformed> {
    if reader.rest().first() == Some(&0) {
        return reader.u8(what).map(|_| Bytes::new());
    }
    address(reader, what)
}

/// An address that is all that is left.
pub(super) fn last_address(
    reader: &mut Reader<'_>,
    what: &'static str,
) -> Result<Bytes, Malformed> {
    let rest = reader.take_rest();
    match rest.len() {
        4 | 16 => Ok(Bytes::copy_from_slice(rest)),
        length => Err(Malformed::Length { what, length }),
    }
}

/// The octets of an address of the family with this AFI.
pub(super) const fn address_octets(afi: u16) -> u8 {
    if afi == 2 { V6_BITS / 8 } else { V4_BITS / 8 }
}

/// A prefix behind its length in bits, in as few octets as hold it. Those of an
/// address of the family are `width`.
pub(super) fn prefix(
    reader: &mut Reader<'_>,
    width: u8,
    what: &'static str,
) -> Result<v1::Prefix, Malformed> {
    let length = reader.u8(what)?;
    let bytes = reader.take(length.div_ceil(8).into(), what)?;
    padded_prefix(bytes, length, width, what)
}

/// The prefix of `length` bits that `bytes` begins with, in `width` octets.
pub(super) fn padded_prefix(
    bytes: &[u8],
    length: u8,
    width: u8,
    what: &'static str,
) -> Result<v1::Prefix, Malformed> {
    if length > width.saturating_mul(8) {
        return Err(Malformed::Value { what, value: length.into() });
    }
    let mut address: Vec<u8> = bytes.iter().copied().take(width.into()).collect();
    address.resize(width.into(), 0);
    clear_after(&mut address, length);
    Ok(v1::Prefix { address: address.into(), length: length.into() })
}

/// Zeroes the bits from `length` on.
pub(super) fn clear_after(bytes: &mut [u8], length: u8) {
    let mut left = length;
    for byte in bytes {
        let kept = left.min(8);
        *byte &= u8::MAX.checked_shl((8 - kept).into()).unwrap_or_default();
        left -= kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_past_the_length_are_cleared() {
        for (length, expected) in [(0, [0, 0]), (3, [0xe0, 0]), (8, [0xff, 0]), (9, [0xff, 0x80])] {
            let mut bytes = [0xff; 2];
            clear_after(&mut bytes, length);
            assert_eq!(bytes, expected, "{length}");
        }
    }

    #[test]
    fn a_prefix_longer_than_its_family_s_addresses_is_refused() {
        let mut reader = Reader::new(&[33, 1, 2, 3, 4, 5]);
        assert_eq!(
            prefix(&mut reader, 4, "prefix"),
            Err(Malformed::Value { what: "prefix", value: 33 })
        );
    }
}
