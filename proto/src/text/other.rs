//! Routes of the families that are neither prefixes nor EVPN.

use std::fmt::Write;

use super::{address, extended_community, hex, prefix};
use crate::{
    record,
    v1::{
        MdtRoute, MupRoute, MvpnRoute, OtherRoute, RouteTargetMembership, SrPolicyRoute, VplsRoute,
        other_route::Nlri,
    },
};

/// A route as a router would print it, behind its route distinguisher where it
/// has one; its bytes in hexadecimal digits where it could not be decoded.
#[must_use]
pub fn other_route(route: &OtherRoute) -> String {
    let Some(nlri) = &route.nlri else { return hex(&route.raw) };
    let nlri = match nlri {
        Nlri::FlowSpecification(flow) => super::flow_specification(flow),
        Nlri::RouteTargetMembership(membership) => route_target_membership(membership),
        Nlri::Mvpn(mvpn) => self::mvpn(mvpn),
        Nlri::Mdt(mdt) => self::mdt(mdt),
        Nlri::Vpls(vpls) => self::vpls(vpls),
        Nlri::Mup(mup) => self::mup(mup),
        Nlri::SrPolicy(policy) => sr_policy(policy),
        Nlri::LinkState(nlri) => super::link_state(nlri),
    };
    if route.route_distinguisher.is_empty() {
        return nlri;
    }
    format!("{} {nlri}", record::distinguisher_text(&route.route_distinguisher))
}

/// `65001:rt:65001:7`, with `/17` behind a target of 17 bits; `65001:*` for all
/// targets of an AS, `default` for all.
fn route_target_membership(membership: &RouteTargetMembership) -> String {
    const ASN_BITS: u32 = 32;
    const MAX_BITS: u32 = 96;
    let Some(asn) = membership.origin_asn else { return "default".to_owned() };
    let Ok(target) = <[u8; 8]>::try_from(&*membership.route_target) else {
        return format!("{asn}:*");
    };
    let target = extended_community(u64::from_be_bytes(target));
    match membership.length {
        MAX_BITS.. => format!("{asn}:{target}"),
        length => format!("{asn}:{target}/{}", length.saturating_sub(ASN_BITS)),
    }
}

/// `[type]` and the fields in their order on the wire, addresses with their
/// length in bits before them.
fn mvpn(route: &MvpnRoute) -> String {
    let mut text = format!("[{}]", route.route_type);
    if !route.route_key.is_empty() {
        let _ = write!(text, ":[{}]", hex(&route.route_key));
    }
    if let Some(asn) = route.source_asn {
        let _ = write!(text, ":[{asn}]");
    }
    if matches!(route.route_type, 3 | 5..=7) {
        sized_address(&mut text, &route.source);
        sized_address(&mut text, &route.group);
    }
    if !route.originator.is_empty() {
        sized_address(&mut text, &route.originator);
    }
    text
}

fn mdt(route: &MdtRoute) -> String {
    format!("[{}]:[{}]", address(&route.source), address(&route.group))
}

fn vpls(route: &VplsRoute) -> String {
    if !route.pe_address.is_empty() {
        return format!("PE:{}", address(&route.pe_address));
    }
    let fields = [
        ("VE", route.ve_id),
        ("Offset", route.ve_block_offset),
        ("Size", route.ve_block_size),
        ("Label", route.label_base),
    ];
    let fields: Vec<String> = fields
        .iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name}:{value}")))
        .collect();
    fields.join(",")
}

/// `[type]` and the fields that identify it; behind them, of a session transformed
/// of type 1, its tunnel.
fn mup(route: &MupRoute) -> String {
    let mut text = format!("[{}]", route.route_type);
    if let Some(network) = &route.prefix {
        let _ = write!(text, ":[{}]", prefix(network));
    }
    if !route.address.is_empty() {
        let _ = write!(text, ":[{}]", address(&route.address));
    }
    let teid = route.teid.unwrap_or_default();
    if let Some(length) = route.teid_length {
        let _ = write!(text, ":[{}]:[{teid:#010x}/{length}]", address(&route.endpoint));
    } else if !route.endpoint.is_empty() {
        let qfi = route.qfi.unwrap_or_default();
        let endpoint = address(&route.endpoint);
        let _ = write!(text, ",TEID:{teid:#010x},QFI:{qfi},Endpoint:{endpoint}");
        if !route.source.is_empty() {
            let _ = write!(text, ",Source:{}", address(&route.source));
        }
    }
    text
}

/// As IOS XR prints it: distinguisher, color, endpoint.
fn sr_policy(route: &SrPolicyRoute) -> String {
    format!("[{}]:[{}]:[{}]", route.distinguisher, route.color, address(&route.endpoint))
}

/// `[32]:[192.0.2.1]`, or `[0]:[*]` where there is none.
pub(super) fn sized_address(text: &mut String, bytes: &[u8]) {
    let shown = if bytes.is_empty() { "*".to_owned() } else { address(bytes) };
    let _ = write!(text, ":[{}]:[{shown}]", bytes.len() * 8);
}
