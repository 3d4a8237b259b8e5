//! Route Monitoring (RFC 7854, 4.6), and what the drafts of version 4 make of it.
//!
//! Version 3 has BGP UPDATEs and nothing else. Version 4 (draft-ietf-grow-bmp-tlv)
//! adds TLVs, and each draft has its own way:
//!
//! ```text
//! | Type (2, the highest bit: enterprise) | Length (2) | Index (2) | Value |
//! ```
//!
//! The first drafts put the TLVs behind the UPDATE and had no index; later ones put
//! the UPDATE in a TLV too. Length counted the index for a while. The code points
//! were never the same for long. So a message is read in each way until one leads
//! from its begin to its end and comes by an UPDATE; which TLV that is tells the
//! draft, and so what the others are.

use ribstream_proto::family::AfiSafi;

use super::View;
use crate::{
    bgp::{self, AddPathMode, Capability},
    frame::VERSION_4,
    wire::{Malformed, Reader},
};

const ENTERPRISE_BIT: u16 = 0x8000;
/// RFC 6793.
const CAPABILITY_FOUR_OCTET_ASN: u8 = 65;

/// A Route Monitoring message, after its Per-Peer Header.
#[derive(Clone, Debug, Default)]
pub struct RouteMonitoring<'a> {
    /// BGP UPDATE messages, as yet unread.
    pub updates: &'a [u8],
    /// The TLVs beside them.
    pub tlvs: Vec<RouteTlv<'a>>,
    /// Why what follows the last whole TLV could not be read, if so.
    pub broken: Option<Malformed>,
}

/// A TLV of a Route Monitoring message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteTlv<'a> {
    /// Its type, without the Enterprise bit.
    pub kind: u16,
    /// Which of the NLRI it speaks of, from 1; 0 for all; a group has the highest
    /// bit set. The first drafts have none.
    pub index: Option<u16>,
    /// Whose type it is, where the Enterprise bit was set.
    pub enterprise: Option<u32>,
    /// What it is.
    pub meaning: Meaning,
    /// Its value.
    pub value: &'a [u8],
}

/// What a TLV is, in the draft that the message follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// BGP capabilities that tell how to read the UPDATE.
    StatelessParsing,
    /// The VRF/Table Name of RFC 9069.
    TableName,
    /// draft-ietf-grow-bmp-path-marking-tlv.
    PathMarking,
    /// Anything else, a group of indexes for one.
    Other,
}

/// The code points of a draft.
struct CodePoints {
    update: u16,
    stateless_parsing: u16,
    table_name: u16,
    path_marking: u16,
}

/// No TLV has this type: it has the Enterprise bit.
const NONE: u16 = u16::MAX;

const DRAFTS: [CodePoints; 4] = [
    CodePoints { update: 1, stateless_parsing: 4, table_name: 3, path_marking: 5 },
    CodePoints { update: 2, stateless_parsing: 1, table_name: 3, path_marking: 4 },
    CodePoints { update: 4, stateless_parsing: 1, table_name: 3, path_marking: 5 },
    CodePoints { update: 7, stateless_parsing: 6, table_name: 5, path_marking: NONE },
];

/// The UPDATE comes first: the drafts before it had a TLV.
const UPDATE_FIRST: CodePoints =
    CodePoints { update: NONE, stateless_parsing: NONE, table_name: NONE, path_marking: 0 };

impl CodePoints {
    fn meaning(&self, kind: u16) -> Meaning {
        match kind {
            _ if kind == self.stateless_parsing => Meaning::StatelessParsing,
            _ if kind == self.table_name => Meaning::TableName,
            _ if kind == self.path_marking => Meaning::PathMarking,
            _ => Meaning::Other,
        }
    }
}

/// How a draft frames TLVs.
#[derive(Clone, Copy)]
enum Framing {
    /// With an index, which Length does not count.
    Indexed,
    /// With an index, which Length counts.
    IndexCounted,
    /// Without.
    Plain,
}

impl<'a> RouteMonitoring<'a> {
    /// Fails where no UPDATE is found.
    pub(super) fn parse(bytes: &'a [u8], version: u8) -> Result<Self, Malformed> {
        if version != VERSION_4 {
            return Ok(Self { updates: bytes, ..Self::default() });
        }
        if bytes.starts_with(&bgp::MARKER) {
            return Ok(Self::update_first(bytes));
        }
        let framings = [Framing::Indexed, Framing::IndexCounted, Framing::Plain];
        let mut first_error = None;
        for framing in framings {
            match Self::update_in_tlv(bytes, framing) {
                Ok(message) if message.broken.is_none() => return Ok(message),
                Ok(_) => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        // None leads to the end. The index is what routers send today.
        Self::update_in_tlv(bytes, Framing::Indexed).map_err(|error| first_error.unwrap_or(error))
    }

    /// UPDATEs as in version 3, then TLVs.
    fn update_first(bytes: &'a [u8]) -> Self {
        let mut reader = Reader::new(bytes);
        while reader.rest().starts_with(&bgp::MARKER) {
            if bgp::Message::read(&mut reader).is_err() {
                // Left for whoever reads the UPDATEs to complain of.
                return Self { updates: bytes, ..Self::default() };
            }
        }
        let tlvs = reader.rest();
        let updates = bytes.get(..bytes.len() - tlvs.len()).unwrap_or_default();
        let mut message = Self { updates, ..Self::default() };
        // Where an index is part of what Length counts, the framing is the same.
        for framing in [Framing::Indexed, Framing::Plain] {
            message.tlvs.clear();
            message.broken = message.read_tlvs(tlvs, framing, &UPDATE_FIRST).err();
            if message.broken.is_none() {
                break;
            }
        }
        message
    }

    fn update_in_tlv(bytes: &'a [u8], framing: Framing) -> Result<Self, Malformed> {
        const WHAT: &str = "route monitoring without a BGP UPDATE";
        let mut reader = Reader::new(bytes);
        let update = std::iter::from_fn(|| RouteTlv::read(&mut reader, framing).ok())
            .find(RouteTlv::is_update)
            .ok_or(Malformed::Short(WHAT))?;
        let mut message = Self { updates: update.value, ..Self::default() };
        let draft = DRAFTS.iter().find(|draft| draft.update == update.kind);
        let unknown = CodePoints { update: update.kind, path_marking: NONE, ..UPDATE_FIRST };
        let draft = draft.unwrap_or(&unknown);
        message.broken = message.read_tlvs(bytes, framing, draft).err();
        Ok(message)
    }

    fn read_tlvs(
        &mut self,
        bytes: &'a [u8],
        framing: Framing,
        draft: &CodePoints,
    ) -> Result<(), Malformed> {
        let mut reader = Reader::new(bytes);
        while reader.any_left() {
            let mut tlv = RouteTlv::read(&mut reader, framing)?;
            if tlv.enterprise.is_none() {
                tlv.meaning = draft.meaning(tlv.kind);
            }
            if tlv.kind != draft.update || tlv.value != self.updates {
                self.tlvs.push(tlv);
            }
        }
        Ok(())
    }

    /// The capabilities of the Stateless Parsing TLVs.
    fn capabilities(&self) -> impl Iterator<Item = Capability<'a>> + '_ {
        let stateless = self.tlvs.iter().filter(|tlv| tlv.meaning == Meaning::StatelessParsing);
        stateless.flat_map(|tlv| {
            let mut reader = Reader::new(tlv.value);
            std::iter::from_fn(move || Capability::read(&mut reader).ok())
        })
    }

    /// Whether the message itself says how NLRI of a family are encoded: the
    /// capability is the router's own, as in the OPEN that it sent.
    #[must_use]
    pub fn path_ids(&self, view: View, family: AfiSafi) -> Option<bgp::PathIds> {
        let (_, mode): (_, AddPathMode) =
            self.capabilities().flat_map(|c| c.add_path()).find(|(f, _)| *f == family)?;
        let present = match view {
            View::AdjInPre | View::AdjInPost => mode.receives(),
            View::AdjOutPre | View::AdjOutPost | View::LocRib => mode.sends(),
        };
        Some(if present { bgp::PathIds::Present } else { bgp::PathIds::Absent })
    }

    /// The message itself says that AS numbers have 4 octets.
    #[must_use]
    pub fn has_four_octet_as(&self) -> bool {
        self.capabilities().any(|c| c.code == CAPABILITY_FOUR_OCTET_ASN)
    }

    /// The name of the table, where the message has one.
    #[must_use]
    pub fn table_name(&self) -> Option<&'a [u8]> {
        self.tlvs.iter().find(|tlv| tlv.meaning == Meaning::TableName).map(|tlv| tlv.value)
    }
}

impl<'a> RouteTlv<'a> {
    fn read(reader: &mut Reader<'a>, framing: Framing) -> Result<Self, Malformed> {
        const WHAT: &str = "route monitoring TLV";
        let kind = reader.u16(WHAT)?;
        let length = reader.u16(WHAT)?.into();
        let (index, mut value) = match framing {
            Framing::Plain => (None, reader.sub(length, WHAT)?),
            Framing::Indexed => (Some(reader.u16(WHAT)?), reader.sub(length, WHAT)?),
            Framing::IndexCounted => {
                let mut value = reader.sub(length, WHAT)?;
                (Some(value.u16(WHAT)?), value)
            }
        };
        let enterprise =
            if kind & ENTERPRISE_BIT == 0 { None } else { Some(value.u32("enterprise number")?) };
        Ok(Self {
            kind: kind & !ENTERPRISE_BIT,
            index,
            enterprise,
            meaning: Meaning::Other,
            value: value.rest(),
        })
    }

    fn is_update(&self) -> bool {
        self.enterprise.is_none() && self.value.starts_with(&bgp::MARKER)
    }

    /// Path status and reason. The first draft had the index in front of them.
    #[must_use]
    pub fn path_marking(&self) -> Option<(u32, Option<u16>)> {
        const WHAT: &str = "path marking";
        let mut reader = Reader::new(self.value);
        if self.meaning != Meaning::PathMarking {
            return None;
        }
        if self.index.is_none() && self.value.len() >= 6 {
            reader.u16(WHAT).ok()?;
        }
        Some((reader.u32(WHAT).ok()?, reader.u16(WHAT).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An UPDATE that is an End-of-RIB.
    fn update() -> Vec<u8> {
        let mut message = bgp::MARKER.to_vec();
        message.extend([0, 23, 2, 0, 0, 0, 0]);
        message
    }

    fn tlv(kind: u16, index: Option<u16>, counted: bool, value: &[u8]) -> Vec<u8> {
        let length = value.len() + if counted { 2 } else { 0 };
        let mut tlv = kind.to_be_bytes().to_vec();
        tlv.extend(u16::try_from(length).unwrap().to_be_bytes());
        tlv.extend(index.iter().flat_map(|index| index.to_be_bytes()));
        tlv.extend(value);
        tlv
    }

    fn parse(bytes: &[u8]) -> RouteMonitoring<'_> {
        RouteMonitoring::parse(bytes, VERSION_4).unwrap()
    }

    #[test]
    fn each_draft_has_its_code_points_and_its_framing() {
        let add_path = [69, 4, 0, 1, 1, 1];
        for (update_type, stateless, counted) in
            [(1, 4, false), (2, 1, true), (2, 1, false), (4, 1, false), (7, 6, false)]
        {
            let bytes = [
                tlv(stateless, Some(0), counted, &add_path),
                tlv(update_type, Some(0), counted, &update()),
            ]
            .concat();
            let message = parse(&bytes);
            assert_eq!(message.updates, update(), "{update_type}");
            assert_eq!(message.tlvs.len(), 1);
            assert_eq!(message.broken, None);
            let path_ids = |view| message.path_ids(view, AfiSafi::IPV4_UNICAST);
            assert_eq!(path_ids(View::AdjInPre), Some(bgp::PathIds::Present));
            assert_eq!(path_ids(View::AdjOutPre), Some(bgp::PathIds::Absent));
            assert_eq!(message.path_ids(View::AdjInPre, AfiSafi::IPV6_UNICAST), None);
        }
    }

    #[test]
    fn tlvs_behind_the_update_are_read_with_an_index_and_without() {
        let marking = [0, 0, 0, 10, 0, 3];
        for (index, value) in
            [(Some(1), marking.to_vec()), (None, [&[0, 1], &marking[..]].concat())]
        {
            let bytes = [update(), tlv(0, index, false, &value)].concat();
            let message = parse(&bytes);
            assert_eq!(message.updates, update());
            assert_eq!(message.tlvs[0].path_marking(), Some((10, Some(3))));
        }
        assert_eq!(parse(&update()).updates, update());
    }

    #[test]
    fn an_enterprise_tlv_keeps_its_number() {
        let bytes =
            [tlv(4, Some(0), false, &update()), tlv(0x8005, Some(1), false, &[0, 0, 0, 9, 1, 2])]
                .concat();
        let message = parse(&bytes);
        let tlv = message.tlvs[0];
        assert_eq!((tlv.kind, tlv.enterprise, tlv.value), (5, Some(9), &[1, 2][..]));
        assert_eq!(tlv.path_marking(), None);
    }

    #[test]
    fn a_broken_tlv_leaves_the_update() {
        let bytes = [tlv(4, Some(0), false, &update()), vec![0, 5, 0, 9]].concat();
        let message = parse(&bytes);
        assert_eq!(message.updates, update());
        assert!(message.broken.is_some());
    }

    #[test]
    fn a_message_without_an_update_is_refused() {
        assert!(RouteMonitoring::parse(&tlv(3, Some(0), false, b"a"), VERSION_4).is_err());
        assert!(RouteMonitoring::parse(&[], VERSION_4).is_err());
    }
}
