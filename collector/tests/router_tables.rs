//! What a capture's routes say against what the router's own command line said of
//! them: GoBGP's tables of the families whose NLRI are not prefixes.

mod support;

use std::collections::BTreeSet;

use ribstream_proto::{
    record, text,
    v1::{EvpnRoute, FlowComponent, FlowOperation, OtherRoute, Routes, other_route::Nlri},
};
use ribstream_testkit::captures::{capture, read};
use serde_json::Value;
use support::Heard;

const CAPTURE: &str = "gobgp336-multi";

/// The files of a tar archive (POSIX, ustar): of each a header of 512 octets, then
/// its content, filled up to the next 512.
fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    const BLOCK: usize = 512;
    let mut files = Vec::new();
    let mut rest = archive;
    while let Some((header, after)) = rest.split_at_checked(BLOCK) {
        let text = |range: std::ops::Range<usize>| {
            let field = String::from_utf8_lossy(&header[range]);
            field.trim_matches(['\0', ' ']).to_owned()
        };
        let Ok(size) = usize::from_str_radix(&text(124..136), 8) else { break };
        files.push((text(0..100), after[..size].to_vec()));
        rest = &after[size.next_multiple_of(BLOCK)..];
    }
    files
}

/// The best paths of the router's global table of a family, halfway through and at
/// the end; none where the capture is not there.
fn table(family: &str) -> Vec<Value> {
    let Some(archive) = read(&format!("{CAPTURE}.cli.tar.zst")) else { return Vec::new() };
    let suffix = format!(".global-rib.{family}.json");
    let tables = files(&archive).into_iter().filter(|(name, _)| name.ends_with(&suffix));
    let table = |(_, content): (_, Vec<u8>)| {
        let table: Value = serde_json::from_slice(&content).unwrap();
        let routes = table.as_object().cloned().unwrap_or_default();
        routes.into_iter().map(|(_, paths)| paths[0].clone()).collect::<Vec<_>>()
    };
    tables.flat_map(table).collect()
}

/// What the capture announced in its Loc-RIB, as each of its fields of routes is shown.
fn announced(show: impl Fn(&Routes) -> Vec<String>) -> BTreeSet<String> {
    const LOC_RIB: i32 = 5;
    let Some(bytes) = capture(CAPTURE) else { return BTreeSet::new() };
    let updates = Heard::stream(&bytes).updates();
    updates
        .iter()
        .filter(|update| update.view == LOC_RIB)
        .flat_map(|update| &update.announced)
        .flat_map(show)
        .collect()
}

fn string(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn distinguisher(rd: &Value) -> String {
    format!("{}:{}", string(&rd["admin"]), rd["assigned"])
}

fn width(address: &str) -> usize {
    if address.contains(':') { 128 } else { 32 }
}

/// GoBGP's description of an Ethernet segment as its ten octets (RFC 7432, 5).
fn esi(description: &str) -> String {
    let (kind, fields) = description.split_once(" | ").unwrap_or((description, ""));
    let fields: Vec<&str> = fields.split(", ").collect();
    // Of `local discriminator 30`, the number in so many octets.
    let number = |field: &str, octets: usize| {
        let value: u32 = field.rsplit(' ').next().unwrap().parse().unwrap();
        text::colons(&value.to_be_bytes()[4 - octets..])
    };
    let mac = |field: &str| field.rsplit(' ').next().unwrap().to_owned();
    match kind {
        "single-homed" => text::colons(&[0; 10]),
        "ESI_ARBITRARY" => format!("00:{}", fields[0]),
        "ESI_LACP" => format!("01:{}:{}:00", mac(fields[0]), number(fields[1], 2)),
        "ESI_MSTP" => format!("02:{}:{}:00", mac(fields[0]), number(fields[1], 2)),
        "ESI_MAC" => format!("03:{}:{}", mac(fields[0]), number(fields[1], 3)),
        "ESI_ROUTERID" => {
            let address: std::net::Ipv4Addr = mac(fields[0]).parse().unwrap();
            format!("04:{}:{}:00", text::colons(&address.octets()), number(fields[1], 4))
        }
        "ESI_AS" => format!("05:{}:{}:00", number(fields[0], 4), number(fields[1], 4)),
        kind => panic!("{kind}"),
    }
}

/// Whether a path's encapsulation extended community says VXLAN.
fn is_vxlan(path: &Value) -> bool {
    let attributes = path["attrs"].as_array().into_iter().flatten();
    let mut values = attributes.filter_map(|attribute| attribute["value"].as_array()).flatten();
    values.any(|value| value["tunnel_type"] == 8)
}

/// GoBGP's EVPN route as our text and the fields that this does not have. It shows
/// labels of MPLS as it does VNIs, as the 24 bits of the field.
fn evpn(path: &Value) -> String {
    let nlri = &path["nlri"];
    let value = &nlri["value"];
    let (tag, ip) = (&value["etag"], string(&value["ip"]));
    let segment = value["esi"].as_str().map(esi).unwrap_or_default();
    let rest = match nlri["type"].as_u64() {
        Some(1) => format!("[1]:[{tag}]:[{segment}]"),
        Some(2) if ip == "<nil>" => format!("[2]:[{tag}]:[48]:[{}]", string(&value["mac"])),
        Some(2) => {
            format!("[2]:[{tag}]:[48]:[{}]:[{}]:[{ip}]", string(&value["mac"]), width(&ip))
        }
        Some(3) => format!("[3]:[{tag}]:[{}]:[{ip}]", width(&ip)),
        Some(4) => format!("[4]:[{segment}]:[{}]:[{ip}]", width(&ip)),
        _ => {
            let prefix = string(&value["prefix"]);
            let (address, length) = prefix.split_once('/').unwrap();
            format!("[5]:[{tag}]:[{length}]:[{address}]")
        }
    };
    let gateway = match string(&value["gateway"]).as_str() {
        "null" | "0.0.0.0" | "::" => String::new(),
        gateway => gateway.to_owned(),
    };
    let mut labels = value["labels"].as_array().cloned().unwrap_or_default();
    labels.extend(Some(value["label"].clone()).filter(Value::is_number));
    let shift = if is_vxlan(path) { 0 } else { 4 };
    let labels: Vec<u64> = labels.iter().filter_map(Value::as_u64).map(|l| l >> shift).collect();
    let distinguisher = distinguisher(&value["rd"]);
    format!("{distinguisher} {rest} esi {segment} labels {labels:?} gateway {gateway}")
}

fn our_evpn(route: &EvpnRoute) -> String {
    let labels: Vec<u32> = route.labels.iter().chain(&route.vnis).copied().collect();
    let gateway =
        if route.gateway.is_empty() { String::new() } else { text::address(&route.gateway) };
    let segment = text::colons(&route.esi);
    format!("{} esi {segment} labels {labels:?} gateway {gateway}", text::evpn_route(route))
}

#[test]
fn the_evpn_routes_of_a_capture_are_those_of_the_router_s_table() {
    let theirs: BTreeSet<String> = table("evpn").iter().map(evpn).collect();
    let ours = announced(|routes| routes.evpn.iter().map(our_evpn).collect());
    assert_eq!(ours, theirs);
}

/// GoBGP's components with the operators as octets.
fn flow(path: &Value) -> String {
    let nlri = &path["nlri"];
    let component = |component: &Value| {
        let (kind, value) = (&component["type"], &component["value"]);
        match value["prefix"].as_str() {
            Some(prefix) => format!("{kind} {prefix}"),
            None => format!("{kind} {value}"),
        }
    };
    let components: Vec<String> = nlri["value"].as_array().unwrap().iter().map(component).collect();
    let distinguisher = match &nlri["rd"] {
        Value::Null => String::new(),
        rd => distinguisher(rd),
    };
    format!("{distinguisher} {components:?}")
}

fn our_flow(route: &OtherRoute) -> Option<String> {
    let Some(Nlri::FlowSpecification(flow)) = &route.nlri else { return None };
    let component = |component: &FlowComponent| {
        if let Some(prefix) = &component.prefix {
            return format!("{} {}", component.r#type, text::prefix(prefix));
        }
        let count = component.operations.len();
        let operation = |(index, o): (usize, &FlowOperation)| {
            let length = match o.value {
                0..=0xff => 0,
                0x100..=0xffff => 0x10,
                _ => 0x20,
            };
            let bits = [
                (index + 1 == count, 0x80),
                (o.and, 0x40),
                (o.less_than, 4),
                (o.greater_than || o.not, 2),
                (o.equal || o.r#match, 1),
            ];
            let flags: u8 = bits.iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum();
            serde_json::json!({"op": flags + length, "value": o.value})
        };
        let operations: Vec<Value> =
            component.operations.iter().enumerate().map(operation).collect();
        format!("{} {}", component.r#type, Value::from(operations))
    };
    let components: Vec<String> = flow.components.iter().map(component).collect();
    let distinguisher = if route.route_distinguisher.is_empty() {
        String::new()
    } else {
        record::distinguisher_text(&route.route_distinguisher)
    };
    Some(format!("{distinguisher} {components:?}"))
}

#[test]
fn the_flow_specifications_of_a_capture_are_those_of_the_router_s_tables() {
    for (family, afi, safi) in
        [("ipv4-flowspec", 1, 133), ("ipv6-flowspec", 2, 133), ("ipv4-l3vpn-flowspec", 1, 134)]
    {
        let theirs: BTreeSet<String> = table(family).iter().map(flow).collect();
        let ours = announced(|routes| {
            let routes = Some(routes).filter(|routes| (routes.afi, routes.safi) == (afi, safi));
            routes.iter().flat_map(|routes| &routes.other).filter_map(our_flow).collect()
        });
        // Another peer's had come and gone before either table was taken.
        assert!(ours.is_superset(&theirs), "{family}: {theirs:#?} {ours:#?}");
        assert_eq!(ours.is_empty(), theirs.is_empty(), "{family}");
    }
}

/// GoBGP's `64014:64086.59905:7`: origin AS, then the target of an AS of 2 octets,
/// or of 4 in two parts.
fn membership(prefix: &str) -> (Option<u32>, Vec<u8>) {
    let Some((asn, target)) = prefix.split_once(':') else { return (None, Vec::new()) };
    let (administrator, number) = target.split_once(':').unwrap();
    let number: u32 = number.parse().unwrap();
    let octets = if let Some((high, low)) = administrator.split_once('.') {
        let asn = high.parse::<u32>().unwrap() << 16 | low.parse::<u32>().unwrap();
        [&[2, 2], &asn.to_be_bytes()[..], &number.to_be_bytes()[2..]].concat()
    } else {
        let asn: u16 = administrator.parse().unwrap();
        [&[0, 2], &asn.to_be_bytes()[..], &number.to_be_bytes()].concat()
    };
    (asn.parse().ok(), octets)
}

#[test]
fn the_route_targets_of_a_capture_are_those_of_the_router_s_table() {
    let theirs: BTreeSet<String> = table("rtc")
        .iter()
        .map(|path| format!("{:?}", membership(path["nlri"]["prefix"].as_str().unwrap())))
        .collect();
    let ours = announced(|routes| {
        let memberships = routes.other.iter().filter_map(|route| match &route.nlri {
            Some(Nlri::RouteTargetMembership(of)) => {
                Some(format!("{:?}", (of.origin_asn, of.route_target.to_vec())))
            }
            _ => None,
        });
        memberships.collect()
    });
    assert_eq!(ours, theirs);
}

#[test]
fn the_mup_routes_of_a_capture_are_those_of_the_router_s_table() {
    let theirs: BTreeSet<String> = table("ipv4-mup")
        .iter()
        .map(|path| {
            let nlri = &path["nlri"];
            let value = &nlri["value"];
            let distinguisher = distinguisher(&value["rd"]);
            format!("{distinguisher} [{}]:[{}]", nlri["route_type"], string(&value["prefix"]))
        })
        .collect();
    let ours = announced(|routes| {
        let mup = routes.other.iter().filter(|route| matches!(route.nlri, Some(Nlri::Mup(_))));
        mup.map(text::other_route).collect()
    });
    assert_eq!(ours, theirs);
}
