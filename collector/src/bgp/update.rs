//! UPDATE (RFC 4271, 4.3; RFC 4760).
//!
//! ```text
//! | Withdrawn Routes Length (2) | Withdrawn Routes |
//! | Total Path Attribute Length (2) | Path Attributes | NLRI |
//! ```

use ribstream_proto::family::AfiSafi;
use smallvec::SmallVec;

use super::{
    Message,
    as_path::AsWidth,
    attributes::{Attributes, RawAttribute, attribute_type as ty},
    message_type,
    nlri::{self, Layout, NlriField, PathIds},
};
use crate::wire::{Malformed, Reader};

/// How the session expects an UPDATE to be encoded, and what it learns from it.
pub trait ReadAs {
    /// The width of AS numbers to try first.
    fn as_width(&self) -> AsWidth;
    /// Whether NLRI of the family are expected to carry path identifiers.
    fn path_ids(&self, family: AfiSafi) -> PathIds;
    /// NLRI of the family read only in this way.
    fn learn_path_ids(&mut self, family: AfiSafi, path_ids: PathIds);
}

/// NLRI fields: seldom more than one of a kind.
type Fields<'a> = SmallVec<[NlriField<'a>; 1]>;

/// An UPDATE, borrowed from its frame.
#[derive(Clone, Debug, Default)]
pub struct Update<'a> {
    /// The path attributes of the announced routes.
    pub attributes: Attributes<'a>,
    /// One for each field that announces, in the order sent.
    pub announced: Fields<'a>,
    /// One for each field that withdraws, in the order sent.
    pub withdrawn: Fields<'a>,
    /// End-of-RIB markers (RFC 4724, 2).
    pub end_of_rib: Option<AfiSafi>,
}

impl<'a> Update<'a> {
    /// Reads an UPDATE. What RFC 7606 can mend is mended and noted in
    /// `attributes.errors`; an error means that the routes cannot be known.
    pub fn parse(message: Message<'a>, read_as: &mut impl ReadAs) -> Result<Self, Malformed> {
        if message.kind != message_type::UPDATE {
            return Err(Malformed::Value {
                what: "type of a BGP message that should be an UPDATE",
                value: message.kind.into(),
            });
        }
        let mut reader = Reader::new(message.body);
        let length = reader.u16("withdrawn routes length")?;
        let withdrawn = reader.take(length.into(), "withdrawn routes")?;
        let length = reader.u16("total path attribute length")?;
        let attributes = reader.take(length.into(), "path attributes")?;
        let announced = reader.take_rest();

        let mut update = Self::default();
        if withdrawn.is_empty() && attributes.is_empty() && announced.is_empty() {
            update.end_of_rib = Some(AfiSafi::IPV4_UNICAST);
            return Ok(update);
        }
        if !withdrawn.is_empty() {
            let field = field(AfiSafi::IPV4_UNICAST, &[], withdrawn, read_as)?;
            update.withdrawn.push(field);
        }
        let (reach, unreach) = (&mut update.announced, &mut update.withdrawn);
        let mut empty_unreach = None;
        update.attributes.read(attributes, Some(read_as.as_width()), |attribute| {
            if attribute.kind == ty::MP_REACH_NLRI {
                reach.push(mp_reach(attribute, read_as)?);
            } else {
                let field = mp_unreach(attribute, read_as)?;
                if field.bytes.is_empty() {
                    empty_unreach = Some(field.family);
                } else {
                    unreach.push(field);
                }
            }
            Ok(())
        })?;
        if !announced.is_empty() {
            let next_hop = update.attributes.next_hop.map_or(&[][..], |v| v);
            let field = field(AfiSafi::IPV4_UNICAST, next_hop, announced, read_as)?;
            update.announced.push(field);
        }
        if update.announced.is_empty() && update.withdrawn.is_empty() {
            // The routes may be in what was cut off: then they cannot be known (RFC
            // 7606, 3, j, and 5.2), and this is no End-of-RIB.
            if let Some(reason) = update.attributes.cut {
                return Err(reason);
            }
            update.end_of_rib = empty_unreach;
        }
        update.apply_rfc_7606(!announced.is_empty());
        Ok(update)
    }

    /// Turns announcements into withdrawals where an attribute demands it.
    fn apply_rfc_7606(&mut self, legacy: bool) {
        if self.announced.is_empty() {
            return;
        }
        self.attributes.require(ty::ORIGIN, "missing ORIGIN");
        // BGPsec_PATH stands in the place of AS_PATH (RFC 8205, 3).
        if !self.attributes.has(ty::BGPSEC_PATH) {
            self.attributes.require(ty::AS_PATH, "missing AS_PATH");
        }
        if legacy {
            self.attributes.require(ty::NEXT_HOP, "missing NEXT_HOP");
        }
        if self.attributes.treat_as_withdraw() {
            let announced = std::mem::take(&mut self.announced);
            self.withdrawn
                .extend(announced.into_iter().map(|field| NlriField { next_hop: &[], ..field }));
        }
    }
}

/// MP_REACH_NLRI (RFC 4760, 3): AFI, SAFI, next hop, a reserved octet, NLRI.
fn mp_reach<'a>(
    attribute: RawAttribute<'a>,
    read_as: &mut impl ReadAs,
) -> Result<NlriField<'a>, Malformed> {
    const WHAT: &str = "MP_REACH_NLRI";
    let mut reader = Reader::new(attribute.value);
    let family = family(&mut reader, WHAT)?;
    let length = reader.u8(WHAT)?;
    let next_hop = reader.take(length.into(), "MP_REACH_NLRI next hop")?;
    reader.u8(WHAT)?;
    field(family, next_hop, reader.take_rest(), read_as)
}

/// MP_UNREACH_NLRI (RFC 4760, 4): AFI, SAFI, NLRI.
fn mp_unreach<'a>(
    attribute: RawAttribute<'a>,
    read_as: &mut impl ReadAs,
) -> Result<NlriField<'a>, Malformed> {
    let mut reader = Reader::new(attribute.value);
    let family = family(&mut reader, "MP_UNREACH_NLRI")?;
    field(family, &[], reader.take_rest(), read_as)
}

fn family(reader: &mut Reader<'_>, what: &'static str) -> Result<AfiSafi, Malformed> {
    Ok(AfiSafi::new(reader.u16(what)?, reader.u8(what)?))
}

/// Checks the NLRI of a field and decides how to read them.
fn field<'a>(
    family: AfiSafi,
    next_hop: &'a [u8],
    bytes: &'a [u8],
    read_as: &mut impl ReadAs,
) -> Result<NlriField<'a>, Malformed> {
    let path_ids = match Layout::of(family) {
        None => None,
        Some(layout) => {
            let decision = nlri::decide(bytes, family, layout, read_as.path_ids(family))?;
            if decision.certain {
                read_as.learn_path_ids(family, decision.path_ids);
            }
            Some(decision.path_ids)
        }
    };
    Ok(NlriField { family, next_hop, bytes, path_ids })
}
