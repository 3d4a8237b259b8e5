//! NLRI: what an UPDATE announces or withdraws, family by family.
//!
//! [`NlriField`] is one field of an UPDATE with the way in which it is read.
//! Families whose NLRI are prefixes ([`prefix`]) are the bulk of the work, and
//! are read as borrowed values. All others ([`typed`]) are framed here and
//! decoded, each in a file of its own, straight into the event's types.

mod evpn;
mod field;
mod flow_specification;
mod link_state;
mod mdt;
mod mup;
mod mvpn;
mod path_ids;
mod prefix;
mod route_target_membership;
mod sr_policy;
mod typed;
mod vpls;

use ribstream_proto::family::AfiSafi;

pub use path_ids::PathIds;
pub(super) use path_ids::decide;
pub use prefix::{Prefix, Prefixes};
pub use typed::{TypedNlri, TypedNlris};

use prefix::Shape;
use typed::Typed;

/// How the NLRI of a family are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Prefixes(Shape),
    Typed(Typed),
}

impl Layout {
    /// `None` for a family that is not known.
    pub(super) fn of(family: AfiSafi) -> Option<Self> {
        Shape::of(family).map(Self::Prefixes).or_else(|| Typed::of(family).map(Self::Typed))
    }
}

/// The routes of one NLRI field.
#[derive(Clone, Copy, Debug)]
pub struct NlriField<'a> {
    /// Of which family.
    pub family: AfiSafi,
    /// The next hop that came with them, as sent; empty for withdrawn routes.
    pub next_hop: &'a [u8],
    /// The field.
    pub bytes: &'a [u8],
    /// How to read it; `None` where the family is not known.
    pub path_ids: Option<PathIds>,
}

/// The routes of a field.
#[derive(Clone, Debug)]
pub enum Nlris<'a> {
    /// Prefixes.
    Prefixes(Prefixes<'a>),
    /// Routes of a family that is not prefixes.
    Typed(TypedNlris<'a>),
    /// The family is not known: the whole field.
    Unknown(&'a [u8]),
}

impl<'a> NlriField<'a> {
    /// The routes.
    #[must_use]
    #[inline]
    pub fn nlris(&self) -> Nlris<'a> {
        match (self.path_ids, Layout::of(self.family)) {
            (Some(path_ids), Some(Layout::Prefixes(shape))) => {
                Nlris::Prefixes(Prefixes::new(self.bytes, shape, path_ids))
            }
            (Some(path_ids), Some(Layout::Typed(typed))) => {
                Nlris::Typed(TypedNlris::new(self.bytes, typed, self.family, path_ids))
            }
            _ => Nlris::Unknown(self.bytes),
        }
    }
}
