//! Routes of the families that are neither prefixes nor EVPN.

use crate::v1::{OtherRoute, other_route::Nlri};

/// A route as a router would print it; its bytes in hexadecimal digits where it
/// could not be decoded.
#[must_use]
pub fn other_route(route: &OtherRoute) -> String {
    match &route.nlri {
        Some(Nlri::FlowSpecification(flow)) => super::flow_specification(flow),
        Some(Nlri::LinkState(nlri)) => super::link_state(nlri),
        _ => super::hex(&route.raw),
    }
}
