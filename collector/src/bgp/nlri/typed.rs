//! NLRI that are not prefixes: how each family frames them, and who decodes them.

use prost::bytes::Bytes;
use ribstream_proto::{family::AfiSafi, v1};

use super::{
    PathIds, evpn, flow_specification, link_state, mdt, mup, mvpn, route_target_membership,
    sr_policy, vpls,
};
use crate::wire::{Malformed, Reader};

/// A family, or several that share a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Typed {
    Evpn,
    FlowSpecification,
    RouteTargetMembership,
    Mvpn,
    Mdt,
    Vpls,
    Mup,
    SrPolicy,
    LinkState,
}

impl Typed {
    pub(super) const fn of(family: AfiSafi) -> Option<Self> {
        Some(match (family.afi, family.safi) {
            (25, 70) => Self::Evpn,
            (1 | 2, 133 | 134) => Self::FlowSpecification,
            (1, 132) => Self::RouteTargetMembership,
            (1 | 2, 5) => Self::Mvpn,
            (1, 66) => Self::Mdt,
            (25, 65) => Self::Vpls,
            (1 | 2, 85) => Self::Mup,
            (1 | 2, 73) => Self::SrPolicy,
            // SAFI 80 is BGP-LS-SPF (RFC 9815), with the same NLRI.
            (16388, 71 | 72 | 80) => Self::LinkState,
            _ => return None,
        })
    }

    /// Takes the next NLRI, header included.
    fn frame<'a>(self, reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
        const WHAT: &str = "NLRI header";
        let start = *reader;
        let length = match self {
            Self::Evpn | Self::Mvpn => {
                reader.u8(WHAT)?;
                reader.u8(WHAT)?.into()
            }
            Self::Mup => {
                reader.take(3, WHAT)?;
                reader.u8(WHAT)?.into()
            }
            Self::FlowSpecification => match reader.u8(WHAT)? {
                // RFC 8955, 4.1: 12 bits where the first four are set.
                high @ 0xf0.. => usize::from(high & 0x0f) << 8 | usize::from(reader.u8(WHAT)?),
                length => length.into(),
            },
            Self::RouteTargetMembership | Self::Mdt | Self::SrPolicy => {
                usize::from(reader.u8(WHAT)?).div_ceil(8)
            }
            Self::Vpls => vpls::length(reader)?.into(),
            Self::LinkState => {
                reader.u16(WHAT)?;
                reader.u16(WHAT)?.into()
            }
        };
        reader.take(length, "NLRI")?;
        let used = start.rest().len() - reader.rest().len();
        Ok(start.rest().get(..used).unwrap_or_default())
    }
}

/// One NLRI of a family that is not prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypedNlri<'a> {
    family: AfiSafi,
    typed: Typed,
    /// RFC 7911.
    pub path_id: Option<u32>,
    /// As sent, without the path identifier.
    pub bytes: &'a [u8],
}

impl<'a> TypedNlri<'a> {
    fn read(
        reader: &mut Reader<'a>,
        typed: Typed,
        family: AfiSafi,
        path_ids: PathIds,
    ) -> Result<Self, Malformed> {
        let path_id = match path_ids {
            PathIds::Present => Some(reader.u32("path identifier")?),
            PathIds::Absent => None,
        };
        Ok(Self { family, typed, path_id, bytes: typed.frame(reader)? })
    }

    /// Whether the content can be decoded too.
    fn is_plausible(&self) -> bool {
        match self.typed {
            Typed::Evpn => evpn::decode(self.bytes, false).is_ok(),
            _ => self.decode(&mut v1::OtherRoute::default()).is_ok(),
        }
    }

    /// Whether it is an EVPN route, which has a type of its own in the event.
    #[must_use]
    pub fn is_evpn(&self) -> bool {
        self.typed == Typed::Evpn
    }

    /// As an EVPN route; its labels are VNIs where `virtual_networks`, and say
    /// nothing where that is not known, in a withdrawal. Where the content cannot
    /// be decoded, nothing but its type and bytes.
    #[must_use]
    pub fn evpn(&self, virtual_networks: Option<bool>) -> v1::EvpnRoute {
        let decoded = evpn::decode(self.bytes, virtual_networks.unwrap_or_default());
        let mut route = decoded.unwrap_or_else(|_| v1::EvpnRoute {
            route_type: self.bytes.first().copied().unwrap_or_default().into(),
            ..v1::EvpnRoute::default()
        });
        if virtual_networks.is_none() {
            route.labels.clear();
        }
        v1::EvpnRoute { path_id: self.path_id, raw: Bytes::copy_from_slice(self.bytes), ..route }
    }

    /// As a route of any other family. Where the content cannot be decoded,
    /// nothing but its bytes.
    #[must_use]
    pub fn other(&self) -> v1::OtherRoute {
        let mut route = v1::OtherRoute::default();
        if self.decode(&mut route).is_err() {
            route = v1::OtherRoute::default();
        }
        v1::OtherRoute { path_id: self.path_id, raw: Bytes::copy_from_slice(self.bytes), ..route }
    }

    /// Fills in `nlri` and, where there is one, `route_distinguisher`.
    fn decode(&self, route: &mut v1::OtherRoute) -> Result<(), Malformed> {
        let Self { family, bytes, .. } = *self;
        match self.typed {
            Typed::Evpn => Ok(()),
            Typed::FlowSpecification => flow_specification::decode(bytes, family, route),
            Typed::RouteTargetMembership => route_target_membership::decode(bytes, route),
            Typed::Mvpn => mvpn::decode(bytes, route),
            Typed::Mdt => mdt::decode(bytes, route),
            Typed::Vpls => vpls::decode(bytes, route),
            Typed::Mup => mup::decode(bytes, family, route),
            Typed::SrPolicy => sr_policy::decode(bytes, family, route),
            Typed::LinkState => link_state::decode(bytes, family, route),
        }
    }
}

/// Iterates over NLRI; ends at the first that is malformed.
#[derive(Clone, Debug)]
pub struct TypedNlris<'a> {
    reader: Reader<'a>,
    typed: Typed,
    family: AfiSafi,
    path_ids: PathIds,
}

impl<'a> TypedNlris<'a> {
    pub(super) const fn new(
        bytes: &'a [u8],
        typed: Typed,
        family: AfiSafi,
        path_ids: PathIds,
    ) -> Self {
        Self { reader: Reader::new(bytes), typed, family, path_ids }
    }

    /// Whether the rest is nothing but whole NLRI and, if so, whether a router would
    /// write them: each can be decoded, and without path identifiers none comes
    /// twice in a row, as the octets of an identifier do.
    pub(super) fn check(&mut self) -> Result<bool, Malformed> {
        let mut plausible = true;
        let mut last: &[u8] = &[];
        while self.reader.any_left() {
            let nlri = TypedNlri::read(&mut self.reader, self.typed, self.family, self.path_ids)?;
            let repeated = self.path_ids == PathIds::Absent && nlri.bytes == last;
            plausible &= !repeated && nlri.is_plausible();
            last = nlri.bytes;
        }
        Ok(plausible)
    }
}

impl<'a> Iterator for TypedNlris<'a> {
    type Item = TypedNlri<'a>;

    fn next(&mut self) -> Option<TypedNlri<'a>> {
        if !self.reader.any_left() {
            return None;
        }
        TypedNlri::read(&mut self.reader, self.typed, self.family, self.path_ids).ok()
    }
}
