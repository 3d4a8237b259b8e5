//! OPEN and its capabilities (RFC 4271, 4.2; RFC 5492; RFC 9072).

use ribstream_proto::family::AfiSafi;

use super::{HEADER_LENGTH, message_type};
use crate::wire::{Malformed, Reader};

const CAPABILITIES_PARAMETER: u8 = 2;
/// The parameter type and length that announce extended parameters (RFC 9072).
const EXTENDED_PARAMETERS: u8 = 255;

const CAPABILITY_MULTIPROTOCOL: u8 = 1;
const CAPABILITY_FOUR_OCTET_ASN: u8 = 65;
const CAPABILITY_ADD_PATH: u8 = 69;

/// An OPEN message.
#[derive(Clone, Copy, Debug)]
pub struct Open<'a> {
    /// BGP version, 0 where the message has no body.
    pub version: u8,
    /// My Autonomous System, 2 octets.
    pub my_as: u16,
    /// Seconds.
    pub hold_time: u16,
    /// BGP Identifier.
    pub bgp_id: [u8; 4],
    /// The whole message.
    pub raw: &'a [u8],
    parameters: Parameters<'a>,
}

/// Optional parameters as sent.
#[derive(Clone, Copy, Debug)]
struct Parameters<'a> {
    bytes: &'a [u8],
    extended: bool,
}

/// A capability, by its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability<'a> {
    /// IANA, Capability Codes.
    pub code: u8,
    /// Its value as sent.
    pub value: &'a [u8],
}

/// Send/Receive of the ADD-PATH capability (RFC 7911, 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddPathMode(pub u8);

impl AddPathMode {
    /// The sender of the OPEN can receive path identifiers.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self.0, 1 | 3)
    }

    /// The sender of the OPEN can send path identifiers.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self.0, 2 | 3)
    }
}

impl<'a> Open<'a> {
    /// Reads the OPEN that `raw` is, header included: what of it can be read. A
    /// session that came up is not to be lost for a bad copy of its OPEN, and
    /// routers make up those of a Loc-RIB; FRR sends some that are but a header.
    #[must_use]
    pub fn parse(raw: &'a [u8]) -> Self {
        let parameters = Parameters { bytes: &[], extended: false };
        let mut open = Self { version: 0, my_as: 0, hold_time: 0, bgp_id: [0; 4], raw, parameters };
        let mut reader = Reader::new(raw);
        let header = reader.take(HEADER_LENGTH.into(), "OPEN header").ok();
        if header.and_then(<[u8]>::last) == Some(&message_type::OPEN) {
            // Where a field is cut off, those before it stand.
            let _ = open.read_fields(&mut reader);
        }
        open
    }

    fn read_fields(&mut self, reader: &mut Reader<'a>) -> Result<(), Malformed> {
        self.version = reader.u8("OPEN version")?;
        self.my_as = reader.u16("OPEN my AS")?;
        self.hold_time = reader.u16("OPEN hold time")?;
        self.bgp_id = reader.array("OPEN BGP identifier")?;
        self.parameters = Parameters::read(reader)?;
        Ok(())
    }

    /// The capabilities in the order sent, however spread over parameters.
    pub fn capabilities(&self) -> impl Iterator<Item = Capability<'a>> + use<'a> {
        self.parameters.capabilities()
    }

    /// The AS number: of the 4-octet AS capability where there is one.
    #[must_use]
    pub fn asn(&self) -> u32 {
        self.four_octet_asn().unwrap_or(self.my_as.into())
    }

    /// The AS number of the 4-octet AS capability (RFC 6793).
    #[must_use]
    pub fn four_octet_asn(&self) -> Option<u32> {
        self.capabilities().find_map(|c| c.four_octet_asn())
    }

    /// What this OPEN says of ADD-PATH for `family`.
    #[must_use]
    pub fn add_path(&self, family: AfiSafi) -> AddPathMode {
        self.capabilities()
            .flat_map(|c| c.add_path())
            .find(|(f, _)| *f == family)
            .map_or(AddPathMode(0), |(_, mode)| mode)
    }
}

impl<'a> Parameters<'a> {
    /// Reads the length, in either form, and takes as much as is there.
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        const WHAT: &str = "OPEN optional parameters length";
        let mut length = reader.u8(WHAT)?.into();
        // RFC 9072, 2: the type tells; the length before it need not be 255.
        let extended = length != 0 && reader.rest().first() == Some(&EXTENDED_PARAMETERS);
        if extended {
            reader.u8(WHAT)?;
            length = reader.u16(WHAT)?.into();
        }
        Ok(Self { bytes: take_up_to(reader, length), extended })
    }

    fn next(self, reader: &mut Reader<'a>) -> Option<(u8, &'a [u8])> {
        const WHAT: &str = "OPEN optional parameter";
        let kind = reader.u8(WHAT).ok()?;
        let length = if self.extended {
            reader.u16(WHAT).ok()?.into()
        } else {
            reader.u8(WHAT).ok()?.into()
        };
        Some((kind, take_up_to(reader, length)))
    }

    fn capabilities(self) -> impl Iterator<Item = Capability<'a>> + use<'a> {
        let mut parameters = Reader::new(self.bytes);
        let mut capabilities = Reader::new(&[]);
        std::iter::from_fn(move || {
            loop {
                if let Ok(capability) = Capability::read(&mut capabilities) {
                    return Some(capability);
                }
                // At the end of a parameter, or at a capability that runs past it.
                let (kind, value) = self.next(&mut parameters)?;
                let value = if kind == CAPABILITIES_PARAMETER { value } else { &[] };
                capabilities = Reader::new(value);
            }
        })
    }
}

/// The next `length` octets, or what is left.
fn take_up_to<'a>(reader: &mut Reader<'a>, length: usize) -> &'a [u8] {
    reader.take(length, "").unwrap_or_else(|_| reader.take_rest())
}

impl<'a> Capability<'a> {
    /// Reads one capability: code, length, value.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        const WHAT: &str = "BGP capability";
        let code = reader.u8(WHAT)?;
        let length = reader.u8(WHAT)?;
        Ok(Self { code, value: reader.take(length.into(), WHAT)? })
    }

    /// The family of a multiprotocol capability (RFC 4760, 8).
    #[must_use]
    pub fn multiprotocol(&self) -> Option<AfiSafi> {
        match (self.code, self.value) {
            (CAPABILITY_MULTIPROTOCOL, &[a, b, _, safi]) => {
                Some(AfiSafi::new(u16::from_be_bytes([a, b]), safi))
            }
            _ => None,
        }
    }

    /// The AS number of a 4-octet AS capability (RFC 6793, 3).
    #[must_use]
    pub fn four_octet_asn(&self) -> Option<u32> {
        let value = <[u8; 4]>::try_from(self.value).ok()?;
        (self.code == CAPABILITY_FOUR_OCTET_ASN).then_some(u32::from_be_bytes(value))
    }

    /// The families of an ADD-PATH capability (RFC 7911, 4).
    pub fn add_path(&self) -> impl Iterator<Item = (AfiSafi, AddPathMode)> + use<'a> {
        let value = if self.code == CAPABILITY_ADD_PATH { self.value } else { &[] };
        value.chunks_exact(4).filter_map(|chunk| match *chunk {
            [a, b, safi, mode] => {
                Some((AfiSafi::new(u16::from_be_bytes([a, b]), safi), AddPathMode(mode)))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(parameters: &[u8]) -> Vec<u8> {
        let mut message = vec![0xff; 16];
        let length = u16::try_from(29 - 1 + parameters.len()).unwrap();
        message.extend(length.to_be_bytes());
        message.extend([1, 4, 0xfd, 0xe9, 0, 180, 192, 0, 2, 1]);
        message.extend(parameters);
        message
    }

    #[test]
    fn capabilities_read_the_same_in_one_parameter_and_in_many() {
        let one = open(&[14, 2, 12, 1, 4, 0, 1, 0, 1, 65, 4, 0, 1, 0, 0]);
        let many = open(&[16, 2, 6, 1, 4, 0, 1, 0, 1, 2, 6, 65, 4, 0, 1, 0, 0]);
        let (one, many) = (Open::parse(&one), Open::parse(&many));
        assert!(one.capabilities().eq(many.capabilities()));
        assert_eq!(one.asn(), 65536);
        assert_eq!(one.capabilities().find_map(|c| c.multiprotocol()), Some(AfiSafi::IPV4_UNICAST));
    }

    #[test]
    fn extended_optional_parameters_are_read() {
        let bytes = open(&[255, 255, 0, 11, 2, 0, 8, 69, 6, 0, 1, 1, 3, 0, 2]);
        let open = Open::parse(&bytes);
        let mode = open.add_path(AfiSafi::IPV4_UNICAST);
        assert!(mode.sends() && mode.receives());
        assert_eq!(open.add_path(AfiSafi::IPV6_UNICAST), AddPathMode(0));
    }

    #[test]
    fn peer_up_open_of_19_bytes_has_no_fields() {
        let mut bytes = vec![0xff; 16];
        bytes.extend([0, 19, 1]);
        let open = Open::parse(&bytes);
        assert_eq!((open.asn(), open.capabilities().count()), (0, 0));
    }

    #[test]
    fn extended_optional_parameters_are_known_by_their_type() {
        let bytes = open(&[9, 255, 0, 9, 2, 0, 6, 65, 4, 0, 1, 0, 0]);
        assert_eq!(Open::parse(&bytes).asn(), 65536);
    }

    fn codes(parameters: &[u8]) -> Vec<u8> {
        Open::parse(&open(parameters)).capabilities().map(|c| c.code).collect()
    }

    #[test]
    fn a_capability_past_its_parameter_leaves_the_others() {
        assert_eq!(codes(&[10, 2, 4, 2, 0, 1, 4, 2, 2, 70, 0]), [2, 70]);
    }

    #[test]
    fn wrong_lengths_of_optional_parameters_keep_what_is_there() {
        assert_eq!(codes(&[200, 2, 2, 2, 0]), [2]);
        assert_eq!(codes(&[4, 2, 99, 2, 0]), [2]);
        assert_eq!(codes(&[4, 2, 2, 2, 0, 2, 2, 70, 0]), [2]);
    }

    #[test]
    fn an_open_that_is_cut_anywhere_keeps_the_fields_before() {
        let bytes = open(&[4, 2, 2, 2, 0]);
        for cut in 0..bytes.len() {
            let open = Open::parse(&bytes[..cut]);
            assert_eq!(open.my_as, if cut < 22 { 0 } else { 65001 }, "{cut}");
            assert_eq!(open.raw.len(), cut);
        }
    }
}
