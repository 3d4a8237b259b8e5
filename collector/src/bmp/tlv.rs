//! Information TLVs (RFC 7854, 4.4): type 2 octets, length 2 octets, value.

use crate::wire::{Malformed, Reader};

/// Information TLV types (IANA, BMP Initiation and Peer Up Information TLVs).
pub mod type_of {
    /// Free-form text.
    pub const STRING: u16 = 0;
    /// sysDescr of RFC 1213.
    pub const SYS_DESCR: u16 = 1;
    /// sysName of RFC 1213.
    pub const SYS_NAME: u16 = 2;
    /// VRF/Table Name (RFC 9069).
    pub const TABLE_NAME: u16 = 3;
}

/// One TLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Its type, by the registry of the message it is in.
    pub kind: u16,
    /// Its value.
    pub value: &'a [u8],
}

/// TLVs that are known to be whole.
#[derive(Clone, Copy, Debug)]
pub struct Tlvs<'a> {
    bytes: &'a [u8],
}

impl<'a> Tlvs<'a> {
    /// Checks that `bytes` is nothing but whole TLVs; `what` names them in the error.
    pub fn parse(bytes: &'a [u8], what: &'static str) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        while reader.any_left() {
            read(&mut reader, what)?;
        }
        Ok(Self { bytes })
    }

    /// The TLVs in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = Tlv<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || read(&mut reader, "").ok())
    }

    /// The value of the first TLV of a type.
    #[must_use]
    pub fn first(&self, kind: u16) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.kind == kind).map(|tlv| tlv.value)
    }
}

fn read<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<Tlv<'a>, Malformed> {
    let kind = reader.u16(what)?;
    let length = reader.u16(what)?;
    Ok(Tlv { kind, value: reader.take(length.into(), what)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tlvs_come_in_the_order_sent_and_may_repeat() {
        let bytes = [0, 2, 0, 1, b'a', 0, 2, 0, 0, 0, 1, 0, 1, b'c'];
        let tlvs = Tlvs::parse(&bytes, "test").unwrap();
        assert_eq!(tlvs.iter().map(|t| t.kind).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(tlvs.first(type_of::SYS_NAME), Some(&b"a"[..]));
        assert_eq!(tlvs.first(type_of::TABLE_NAME), None);
    }

    #[test]
    fn a_tlv_cut_short_is_refused() {
        assert_eq!(Tlvs::parse(&[0, 2, 0, 2, b'a'], "t").err(), Some(Malformed::Short("t")));
    }
}
