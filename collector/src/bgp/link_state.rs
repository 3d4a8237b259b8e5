//! What the NLRI and the attribute of BGP-LS share: TLVs (RFC 9552, 5.1).
//!
//! ```text
//! | Type (2) | Length (2) | Value |
//! ```
//!
//! A TLV that is broken inside of its own length is kept as it was sent, and the
//! others are read: what reads a value gives `None` for it.

use prost::bytes::Bytes;
use ribstream_proto::v1;

use crate::wire::{Malformed, Reader};

const WHAT: &str = "BGP-LS TLV";

/// One TLV.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tlv<'a> {
    /// IANA, BGP-LS NLRI and Attribute TLVs.
    pub(super) kind: u16,
    pub(super) value: &'a [u8],
}

impl Tlv<'_> {
    pub(super) fn raw(self) -> v1::RawTlv {
        v1::RawTlv { r#type: self.kind.into(), value: Bytes::copy_from_slice(self.value) }
    }
}

/// Hands each TLV to `take`. Those that it gives `None` for come back as sent.
pub(super) fn each<'a>(
    bytes: &'a [u8],
    mut take: impl FnMut(Tlv<'a>) -> Option<()>,
) -> Result<Vec<v1::RawTlv>, Malformed> {
    let mut other = Vec::new();
    let mut reader = Reader::new(bytes);
    while reader.any_left() {
        let tlv = next(&mut reader)?;
        if take(tlv).is_none() {
            other.push(tlv.raw());
        }
    }
    Ok(other)
}

pub(super) fn next<'a>(reader: &mut Reader<'a>) -> Result<Tlv<'a>, Malformed> {
    let kind = reader.u16(WHAT)?;
    let length = reader.u16(WHAT)?;
    Ok(Tlv { kind, value: reader.take(length.into(), WHAT)? })
}

/// Fills a field of which there can be but one.
pub(super) fn once<T>(field: &mut Option<T>, value: T) -> Option<()> {
    if field.is_some() {
        return None;
    }
    *field = Some(value);
    Some(())
}

/// The same where a field that is missing is empty.
pub(super) fn once_bytes(field: &mut Bytes, value: Bytes) -> Option<()> {
    if !field.is_empty() {
        return None;
    }
    *field = value;
    Some(())
}

pub(super) fn fixed<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    value.try_into().ok()
}

pub(super) fn u8(value: &[u8]) -> Option<u32> {
    fixed::<1>(value).map(|[octet]| octet.into())
}

pub(super) fn u32(value: &[u8]) -> Option<u32> {
    fixed(value).map(u32::from_be_bytes)
}

/// As many octets as given, at least one.
pub(super) fn some(value: &[u8]) -> Option<Bytes> {
    (!value.is_empty()).then(|| Bytes::copy_from_slice(value))
}

/// An address, or an identifier of that size.
pub(super) fn exactly<const N: usize>(value: &[u8]) -> Option<Bytes> {
    fixed::<N>(value).map(|octets| Bytes::copy_from_slice(&octets))
}

/// An address of either family.
pub(super) fn address(value: &[u8]) -> Option<Bytes> {
    exactly::<4>(value).or_else(|| exactly::<16>(value))
}

/// Adds members of `N` octets each to a list; there must be one at least.
pub(super) fn members<const N: usize, T>(
    list: &mut Vec<T>,
    value: &[u8],
    member: impl Fn([u8; N]) -> T,
) -> Option<()> {
    let (whole, []) = value.as_chunks::<N>() else { return None };
    if whole.is_empty() {
        return None;
    }
    list.extend(whole.iter().copied().map(member));
    Some(())
}

/// Multi-Topology Identifiers: 4 reserved bits, then 12 (RFC 9552, 5.2.2.1).
pub(super) fn topologies(list: &mut Vec<u32>, value: &[u8]) -> Option<()> {
    members(list, value, |id| u32::from(u16::from_be_bytes(id) & 0x0fff))
}

/// Link Local/Remote Identifiers (RFC 9552, 5.2.2).
pub(super) fn link_identifiers(
    local: &mut Option<u32>,
    remote: &mut Option<u32>,
    value: &[u8],
) -> Option<()> {
    let identifiers = u64::from_be_bytes(fixed(value)?);
    once(local, u32::try_from(identifiers >> 32).ok()?)?;
    once(remote, u32::try_from(identifiers & 0xffff_ffff).ok()?)
}
