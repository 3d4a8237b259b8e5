//! Values as network engineers write them.

mod evpn;
mod extended_community;
mod flow_specification;
mod link_state;
mod other;

use std::fmt::Write;

pub use evpn::evpn_route;
pub use extended_community::{extended_community, ipv6_extended_community};
pub use flow_specification::flow_specification;
pub use link_state::{igp_router_id, isis_area, link_state};
pub use other::other_route;

use crate::{record, v1::Prefix};

/// An address of 4 or 16 octets; any other length in hexadecimal digits.
#[must_use]
pub fn address(bytes: &[u8]) -> String {
    record::ip(bytes).map_or_else(|| hex(bytes), |ip| ip.to_string())
}

/// `192.0.2.0/24`.
#[must_use]
pub fn prefix(prefix: &Prefix) -> String {
    format!("{}/{}", address(&prefix.address), prefix.length)
}

/// Hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A MAC address or an Ethernet segment: `00:11:22:33:44:55`.
#[must_use]
pub fn colons(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(":")
}
