//! What tells a route from the others of its peer, view and family.
//!
//! An announcement and the withdrawal of the same route have the same key,
//! whatever else differs: labels, gateways, and what a withdrawal leaves out.

use bytes::Bytes;

use crate::v1::{EvpnRoute, OtherRoute};

/// The key of an EVPN route: the octets of its NLRI that identify it (see
/// `EvpnRoute` in `routes.proto`).
#[must_use]
pub fn evpn(route: &EvpnRoute) -> Bytes {
    route.raw.clone()
}

/// The key of another route.
#[must_use]
pub fn other(route: &OtherRoute) -> Bytes {
    route.raw.clone()
}
