//! EVPN routes.

use std::fmt::Write;

use super::{address, colons, hex, other::sized_address};
use crate::{record, v1::EvpnRoute};

/// An EVPN route as routers print it: the route distinguisher, then `[type]` and
/// the fields that tell it from others, addresses with their length in bits
/// before them. `[*]` stands for any source or group.
///
/// `65001:7 [2]:[0]:[48]:[02:00:00:00:00:01]:[32]:[192.0.2.1]`
#[must_use]
pub fn evpn_route(route: &EvpnRoute) -> String {
    if route.route_distinguisher.is_empty() {
        return format!("[{}]:[{}]", route.route_type, hex(&route.raw));
    }
    let distinguisher = record::distinguisher_text(&route.route_distinguisher);
    let mut text = format!("{distinguisher} [{}]", route.route_type);
    if let Some(tag) = route.ethernet_tag {
        field(&mut text, &tag.to_string());
    }
    if matches!(route.route_type, 1 | 4 | 7 | 8) {
        field(&mut text, &colons(&route.esi));
    }
    match route.route_type {
        2 => {
            field(&mut text, "48");
            field(&mut text, &colons(&route.mac));
            if !route.ip.is_empty() {
                sized_address(&mut text, &route.ip);
            }
        }
        5 => {
            if let Some(prefix) = &route.prefix {
                field(&mut text, &prefix.length.to_string());
                field(&mut text, &address(&prefix.address));
            }
        }
        9 => field(&mut text, &hex(&route.region)),
        11 => field(&mut text, &hex(&route.route_key)),
        _ => {}
    }
    if matches!(route.route_type, 6..=8 | 10) {
        sized_address(&mut text, &route.source);
        sized_address(&mut text, &route.group);
    }
    if !route.originator.is_empty() {
        sized_address(&mut text, &route.originator);
    }
    text
}

fn field(text: &mut String, value: &str) {
    let _ = write!(text, ":[{value}]");
}
