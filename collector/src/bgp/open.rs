//! OPEN and its capabilities (RFC 4271, 4.2; RFC 5492; RFC 9072), and NOTIFICATION.

use ribstream_proto::family::AfiSafi;

use super::{Message, message_type};
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

/// Optional parameters that are known to be whole.
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
    /// Reads an OPEN. One that is nothing but a header (FRR sends such) has no
    /// fields and no capabilities.
    pub fn parse(message: Message<'a>) -> Result<Self, Malformed> {
        if message.kind != message_type::OPEN {
            return Err(Malformed::Value {
                what: "type of a BGP message that should be an OPEN",
                value: message.kind.into(),
            });
        }
        let mut open = Self {
            version: 0,
            my_as: 0,
            hold_time: 0,
            bgp_id: [0; 4],
            raw: message.raw,
            parameters: Parameters { bytes: &[], extended: false },
        };
        if message.body.is_empty() {
            return Ok(open);
        }
        let mut reader = Reader::new(message.body);
        open.version = reader.u8("OPEN version")?;
        open.my_as = reader.u16("OPEN my AS")?;
        open.hold_time = reader.u16("OPEN hold time")?;
        open.bgp_id = reader.array("OPEN BGP identifier")?;
        open.parameters = Parameters::parse(&mut reader)?;
        Ok(open)
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
    fn parse(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        const WHAT: &str = "OPEN optional parameters";
        let length = reader.u8(WHAT)?;
        let extended =
            length == EXTENDED_PARAMETERS && reader.rest().first() == Some(&EXTENDED_PARAMETERS);
        let bytes = if extended {
            reader.u8(WHAT)?;
            let length = reader.u16(WHAT)?;
            reader.take(length.into(), WHAT)?
        } else {
            reader.take(length.into(), WHAT)?
        };
        let parameters = Self { bytes, extended };
        let mut reader = Reader::new(bytes);
        while reader.any_left() {
            let (kind, value) = parameters.next(&mut reader)?;
            if kind == CAPABILITIES_PARAMETER {
                let mut capabilities = Reader::new(value);
                while capabilities.any_left() {
                    Capability::read(&mut capabilities)?;
                }
            }
        }
        Ok(parameters)
    }

    fn next(self, reader: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Malformed> {
        const WHAT: &str = "OPEN optional parameter";
        let kind = reader.u8(WHAT)?;
        let length = if self.extended { reader.u16(WHAT)? } else { reader.u8(WHAT)?.into() };
        Ok((kind, reader.take(length.into(), WHAT)?))
    }

    fn capabilities(self) -> impl Iterator<Item = Capability<'a>> + use<'a> {
        let mut parameters = Reader::new(self.bytes);
        let mut capabilities = Reader::new(&[]);
        std::iter::from_fn(move || {
            while !capabilities.any_left() {
                let (kind, value) = self.next(&mut parameters).ok()?;
                if kind == CAPABILITIES_PARAMETER {
                    capabilities = Reader::new(value);
                }
            }
            Capability::read(&mut capabilities).ok()
        })
    }
}

impl<'a> Capability<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        const WHAT: &str = "OPEN capability";
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

/// A NOTIFICATION message (RFC 4271, 4.5).
#[derive(Clone, Copy, Debug)]
pub struct Notification<'a> {
    /// Error code.
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// What follows.
    pub data: &'a [u8],
}

impl<'a> Notification<'a> {
    /// Reads a NOTIFICATION.
    pub fn parse(message: Message<'a>) -> Result<Self, Malformed> {
        if message.kind != message_type::NOTIFICATION {
            return Err(Malformed::Value {
                what: "type of a BGP message that should be a NOTIFICATION",
                value: message.kind.into(),
            });
        }
        let mut reader = Reader::new(message.body);
        Ok(Self {
            code: reader.u8("NOTIFICATION code")?,
            subcode: reader.u8("NOTIFICATION subcode")?,
            data: reader.take_rest(),
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

    fn parse(bytes: &[u8]) -> Result<Open<'_>, Malformed> {
        Open::parse(Message::read(&mut Reader::new(bytes))?)
    }

    #[test]
    fn capabilities_read_the_same_in_one_parameter_and_in_many() {
        let one = open(&[14, 2, 12, 1, 4, 0, 1, 0, 1, 65, 4, 0, 1, 0, 0]);
        let many = open(&[16, 2, 6, 1, 4, 0, 1, 0, 1, 2, 6, 65, 4, 0, 1, 0, 0]);
        let (one, many) = (parse(&one).unwrap(), parse(&many).unwrap());
        assert!(one.capabilities().eq(many.capabilities()));
        assert_eq!(one.asn(), 65536);
        assert_eq!(one.capabilities().find_map(|c| c.multiprotocol()), Some(AfiSafi::IPV4_UNICAST));
    }

    #[test]
    fn extended_optional_parameters_are_read() {
        let bytes = open(&[255, 255, 0, 11, 2, 0, 8, 69, 6, 0, 1, 1, 3, 0, 2]);
        let open = parse(&bytes).unwrap();
        let mode = open.add_path(AfiSafi::IPV4_UNICAST);
        assert!(mode.sends() && mode.receives());
        assert_eq!(open.add_path(AfiSafi::IPV6_UNICAST), AddPathMode(0));
    }

    #[test]
    fn peer_up_open_of_19_bytes_has_no_fields() {
        let mut bytes = vec![0xff; 16];
        bytes.extend([0, 19, 1]);
        let open = parse(&bytes).unwrap();
        assert_eq!((open.asn(), open.capabilities().count()), (0, 0));
    }

    #[test]
    fn a_capability_past_its_parameter_is_refused() {
        assert_eq!(parse(&open(&[4, 2, 2, 1, 4])).err(), Some(Malformed::Short("OPEN capability")));
    }
}
