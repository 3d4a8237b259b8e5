//! EVPN routes.

use crate::v1::EvpnRoute;

/// An EVPN route as `[type]:[…]`, the fields that tell it from others in their
/// order on the wire.
#[must_use]
pub fn evpn_route(route: &EvpnRoute) -> String {
    super::hex(&route.raw)
}
