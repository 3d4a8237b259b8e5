//! FRR's `show bgp FAMILY json`, `… detail json`, `show bgp FAMILY neighbors ADDRESS
//! received-routes json` and `… routes json`.

use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use ribstream_interop::{
    frr,
    table::{Fields, Place},
};
use serde_json::Value;

use super::{LOC_RIB, POST, Told, place};

/// An answer in JSON; a table that is not there is told in words or as `{}`.
pub(crate) fn json(text: &str) -> Result<Value> {
    if text.starts_with("% ") || text.trim().is_empty() {
        return Ok(Value::Null);
    }
    Ok(serde_json::from_str(text)?)
}

/// Whose answer it is.
fn instance(answer: &Value, told: &mut Told) -> Result<()> {
    if let Some(vrf) = answer["vrfName"].as_str().filter(|vrf| *vrf != "default") {
        bail!("it is of the VRF {vrf}, whose distinguisher it does not tell");
    }
    if answer["localAS"].is_number() {
        told.local_as = Some(answer["localAS"].to_string());
    }
    let id = answer["routerId"].as_str().or_else(|| answer["bgpLocalRouterId"].as_str());
    told.router_id = id.map(str::to_owned);
    Ok(())
}

/// A peer's routes, as received or as its policy left them.
pub(crate) fn neighbor(answer: &Value, place: &Place, told: &mut Told) -> Result<()> {
    instance(answer, told)?;
    told.table(place);
    let routes = if place.view == POST { &answer["routes"] } else { &answer["receivedRoutes"] };
    paths(routes, &place.family, &mut |key, path| {
        told.route(place, key, fields(path)?);
        Ok(())
    })
}

/// Every peer's routes as its policy left them, and the best of them.
pub(crate) fn global(answer: &Value, family: &str, told: &mut Told) -> Result<()> {
    instance(answer, told)?;
    told.all_of(POST, family);
    told.all_of(LOC_RIB, family);
    told.table(&place(LOC_RIB, LOC_RIB, family));
    let routes = if family == "evpn" { answer } else { &answer["routes"] };
    paths(routes, family, &mut |key, path| {
        let fields = fields(path)?;
        if path["bestpath"] == true || path["bestpath"]["overall"] == true {
            told.route(&place(LOC_RIB, LOC_RIB, family), key.clone(), fields.clone());
        }
        let peer = path["peerId"].as_str().or_else(|| path["peer"]["peerId"].as_str());
        let peer = peer.context("a path from nobody")?;
        // Its own routes are from (unspec), 0.0.0.0 or ::.
        if peer.parse::<IpAddr>().is_ok_and(|peer| !peer.is_unspecified()) {
            told.route(&place(POST, peer, family), key, fields);
        }
        Ok(())
    })
}

/// The paths of a table: under their prefix, and of VPN routes that under the distinguisher.
fn paths(
    routes: &Value,
    family: &str,
    tell: &mut impl FnMut(String, &Value) -> Result<()>,
) -> Result<()> {
    if family == "evpn" {
        for (_, route) in frr::distinguished(routes).flat_map(|(_, of)| frr::distinguished(of)) {
            let key = frr::evpn_key(route)?;
            frr::nested(&route["paths"]).try_for_each(|path| tell(key.clone(), path))?;
        }
        return Ok(());
    }
    let distinguished = matches!(family, "vpnv4" | "vpnv6");
    let by_rd = Some(&routes["routeDistinguishers"]).filter(|of| of.is_object());
    if distinguished {
        for (rd, routes) in frr::distinguished(by_rd.unwrap_or(routes)) {
            each(routes, &format!("{rd} "), tell)?;
        }
        Ok(())
    } else {
        each(routes, "", tell)
    }
}

fn each(
    routes: &Value,
    rd: &str,
    tell: &mut impl FnMut(String, &Value) -> Result<()>,
) -> Result<()> {
    for (prefix, route) in routes.as_object().into_iter().flatten() {
        let key = || format!("{rd}{prefix}");
        match route {
            // In detail, in a line each, or of received ones the only one.
            Value::Object(of) if of.contains_key("paths") => {
                frr::nested(&route["paths"]).try_for_each(|path| tell(key(), path))?;
            }
            Value::Array(_) => frr::nested(route).try_for_each(|path| tell(key(), path))?,
            Value::Object(of) if of.contains_key("network") => tell(key(), route)?,
            _ => bail!("{prefix}: {route}"),
        }
    }
    Ok(())
}

fn fields(path: &Value) -> Result<Fields> {
    if path["aspath"].is_object() { Ok(detail(path)) } else { line(path) }
}

/// What FRR tells in a line.
fn line(path: &Value) -> Result<Fields> {
    let number = |name: &str| {
        let value = &path[name];
        if value.is_null() { String::new() } else { value.to_string() }
    };
    let text = |name: &str| path[name].as_str().unwrap_or_default();
    let origin = match (text("origin"), text("bgpOriginCode")) {
        ("IGP", _) | (_, "i") => "igp",
        ("EGP", _) | (_, "e") => "egp",
        ("incomplete", _) | (_, "?") => "incomplete",
        _ => bail!("{path} has no origin"),
    };
    let next_hop = match text("nextHop").to_owned() + text("nextHopGlobal") {
        next_hop if next_hop.is_empty() => global_next_hop(path),
        next_hop => next_hop,
    };
    Ok(Fields::from([
        ("origin", origin.to_owned()),
        ("as_path", text("path").to_owned()),
        ("med", number("metric")),
        ("local_pref", number("locPrf")),
        ("next_hop", next_hop),
    ]))
}

/// The one of an IPv6 route that is not link-local.
fn global_next_hop(path: &Value) -> String {
    let hops = path["nexthops"].as_array().map_or(&[][..], Vec::as_slice);
    let global = hops.iter().find(|hop| hop["scope"] != "link-local").or(hops.first());
    global.and_then(|hop| hop["ip"].as_str()).unwrap_or_default().to_owned()
}

/// What FRR tells in detail.
fn detail(path: &Value) -> Fields {
    let mut fields = frr::fields(path);
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let aggregator =
        [text(&path["aggregatorAs"]), text(&path["aggregatorId"])].join(" ").trim().to_owned();
    let clusters = path["clusterList"]["list"].as_array().into_iter().flatten();
    fields.insert("next_hop", global_next_hop(path));
    fields.insert("aggregator", aggregator);
    fields.insert("atomic_aggregate", text(&path["atomicAggregate"]));
    fields.insert("originator_id", text(&path["originatorId"]));
    fields.insert("cluster_list", clusters.map(text).collect::<Vec<_>>().join(" "));
    fields
}

/// The state of the peers: how many routes their policy left each, none where it is not up.
pub(crate) fn neighbors(answer: &Value, told: &mut Told) -> Result<()> {
    for (peer, neighbor) in answer.as_object().context("no neighbours")? {
        if !neighbor.is_object() {
            continue;
        }
        if neighbor["bgpState"] != "Established" {
            told.down.push(peer.clone());
            continue;
        }
        for (family, state) in neighbor["addressFamilyInfo"].as_object().into_iter().flatten() {
            let family = match family.as_str() {
                "ipv4Unicast" => "ipv4-unicast",
                "ipv6Unicast" => "ipv6-unicast",
                "ipv4LabeledUnicast" => "ipv4-labeled",
                "ipv6LabeledUnicast" => "ipv6-labeled",
                "ipv4Vpn" => "vpnv4",
                "ipv6Vpn" => "vpnv6",
                "l2VpnEvpn" => "evpn",
                other => bail!("{other} is no family that this knows"),
            };
            if let Some(count) = state["acceptedPrefixCounter"].as_u64() {
                told.counts.push((place(POST, peer, family), usize::try_from(count)?));
            }
        }
    }
    Ok(())
}
