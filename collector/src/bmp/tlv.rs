//! Information TLVs (RFC 7854, 4.4): type 2 octets, length 2 octets, value.

use crate::wire::{Malformed, Reader};

/// Information TLV types (IANA, BMP Initiation and Peer Up Information TLVs).
pub mod type_of {
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

/// TLVs, up to the first that is not whole.
#[derive(Clone, Copy, Debug)]
pub struct Tlvs<'a> {
    whole: &'a [u8],
    indexed: bool,
    /// What follows the last whole one.
    pub rest: &'a [u8],
    /// Why that could not be read, if it could not.
    pub broken: Option<Malformed>,
}

impl<'a> Tlvs<'a> {
    /// Reads TLVs to the end of `bytes`, or to the first that is not whole; `what`
    /// names them in the error.
    #[must_use]
    pub fn parse(bytes: &'a [u8], what: &'static str) -> Self {
        Self::read(bytes, false, what)
    }

    /// The same for TLVs with an index of 2 octets behind the length, which does
    /// not count it (drafts of BMP version 4). The index is left out.
    #[must_use]
    pub fn parse_indexed(bytes: &'a [u8], what: &'static str) -> Self {
        Self::read(bytes, true, what)
    }

    fn read(bytes: &'a [u8], indexed: bool, what: &'static str) -> Self {
        let mut reader = Reader::new(bytes);
        let mut rest = reader.rest();
        let mut broken = None;
        while reader.any_left() && broken.is_none() {
            match read(&mut reader, indexed, what) {
                Ok(_) => rest = reader.rest(),
                Err(error) => broken = Some(error),
            }
        }
        let whole = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
        Self { whole, indexed, rest, broken }
    }

    /// The TLVs in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = Tlv<'a>> + use<'a> {
        let (mut reader, indexed) = (Reader::new(self.whole), self.indexed);
        std::iter::from_fn(move || read(&mut reader, indexed, "").ok())
    }

    /// The value of the first TLV of a type.
    #[must_use]
    pub fn first(&self, kind: u16) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.kind == kind).map(|tlv| tlv.value)
    }
}

fn read<'a>(
    reader: &mut Reader<'a>,
    indexed: bool,
    what: &'static str,
) -> Result<Tlv<'a>, Malformed> {
    let kind = reader.u16(what)?;
    let length = reader.u16(what)?;
    if indexed {
        reader.u16(what)?;
    }
    Ok(Tlv { kind, value: reader.take(length.into(), what)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tlvs_come_in_the_order_sent_and_may_repeat() {
        let bytes = [0, 2, 0, 1, b'a', 0, 2, 0, 0, 0, 1, 0, 1, b'c'];
        let tlvs = Tlvs::parse(&bytes, "test");
        assert_eq!(tlvs.broken, None);
        assert_eq!(tlvs.iter().map(|t| t.kind).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(tlvs.first(type_of::SYS_NAME), Some(&b"a"[..]));
        assert_eq!(tlvs.first(type_of::TABLE_NAME), None);
    }

    #[test]
    fn a_tlv_cut_short_leaves_those_before_it() {
        let tlvs = Tlvs::parse(&[0, 2, 0, 1, b'a', 0, 1, 0, 9, b'b'], "t");
        assert_eq!(tlvs.broken, Some(Malformed::Short("t")));
        assert_eq!(tlvs.rest, [0, 1, 0, 9, b'b']);
        assert_eq!(tlvs.iter().collect::<Vec<_>>(), [Tlv { kind: 2, value: b"a" }]);
    }
}
