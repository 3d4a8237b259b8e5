//! ExaBGP's test cases against what ExaBGP makes of them: its fields, put
//! together as our text of a route has them.

mod support;

use ribstream_proto::{text, v1::Routes};
use serde_json::Value;
use support::exabgp::{Case, cases};

fn string(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `[32]:[192.0.2.1]`
fn sized(address: &Value) -> String {
    let address = string(address);
    format!("[{}]:[{address}]", if address.contains(':') { 128 } else { 32 })
}

/// Our routes of a case, announced or withdrawn, as text.
fn ours(case: &Case) -> Vec<String> {
    let fields = case.update.announced.iter().chain(&case.update.withdrawn);
    let texts = |routes: &Routes| {
        let evpn = routes.evpn.iter().map(text::evpn_route);
        evpn.chain(routes.other.iter().map(text::other_route)).collect::<Vec<_>>()
    };
    fields.flat_map(texts).collect()
}

/// Compares all cases of a file that ExaBGP gives routes of `family` for, and
/// says how many routes those were.
fn compare(name: &str, family: &str, theirs: impl Fn(&Value) -> String) -> usize {
    let mut compared = 0;
    for case in cases(name) {
        let expected: Vec<String> = case.routes(family).into_iter().map(&theirs).collect();
        if !expected.is_empty() {
            assert_eq!(ours(&case), expected, "{name}: {}", case.json());
            compared += expected.len();
        }
    }
    compared
}

#[test]
fn evpn_withdrawals_name_the_routes_that_exabgp_names() {
    let compared = compare("bgp-evpn-1", "l2vpn evpn", |route| {
        if route["parsed"] == false {
            // A multicast leave, which ExaBGP does not decode: its bytes are
            // enough to check ours.
            assert_eq!(
                string(&route["raw"]),
                "08260001252C37768EAD000002001600000000030000085D0020EFFFFFFF20252C37760000000000"
            );
            return "37.44.55.118:36525 [8]:[2141]:[00:00:02:00:16:00:00:00:00:03]:[0]:[*]:[32]:\
                    [239.255.255.255]:[32]:[37.44.55.118]"
                .to_owned();
        }
        let mac = string(&route["mac"]).to_lowercase();
        let tag = &route["ethernet-tag"];
        let mut text = format!("{} [2]:[{tag}]:[48]:[{mac}]", string(&route["rd"]));
        if !route["ip"].is_null() {
            text.push(':');
            text.push_str(&sized(&route["ip"]));
        }
        text
    });
    assert_eq!(compared, 6);
}

/// ExaBGP's names of flow components and ours, by type.
const COMPONENTS: [(&str, &str); 17] = [
    ("destination-ipv4", "Dest"),
    ("destination-ipv6", "Dest"),
    ("source-ipv4", "Source"),
    ("source-ipv6", "Source"),
    ("protocol", "Proto"),
    ("next-header", "NextHdr"),
    ("port", "Port"),
    ("destination-port", "DPort"),
    ("source-port", "SPort"),
    ("icmp-type", "ICMPType"),
    ("icmp-code", "ICMPCode"),
    ("tcp-flags", "TCPFlags"),
    ("packet-length", "Length"),
    ("dscp", "DSCP"),
    ("traffic-class", "DSCP"),
    ("fragment", "Frag"),
    ("flow-label", "FlowLabel"),
];

/// ExaBGP's names of values, and ours.
const VALUES: [(&str, &str); 16] = [
    ("tcp", "6"),
    ("udp", "17"),
    ("unreachable", "3"),
    ("echo-request", "8"),
    ("echo-reply", "0"),
    ("first-fragment", "FF"),
    ("last-fragment", "LF"),
    ("is-fragment", "IsF"),
    ("fin", "FIN"),
    ("syn", "SYN"),
    ("rst", "RST"),
    ("push", "PSH"),
    ("ack", "ACK"),
    ("urg", "URG"),
    ("ece", "ECE"),
    ("cwr", "CWR"),
];

fn flow(route: &Value) -> String {
    let components: Vec<String> = COMPONENTS
        .iter()
        .filter_map(|(theirs, ours)| {
            let values = route[theirs].as_array()?;
            let values: Vec<String> =
                values.iter().map(|value| flow_value(theirs, value)).collect();
            Some(format!("{ours}:{}", values.join("|")))
        })
        .collect();
    let flow = components.join(",");
    match route["rd"].as_str() {
        Some(distinguisher) => format!("{distinguisher} {flow}"),
        None => flow,
    }
}

fn flow_value(component: &str, value: &Value) -> String {
    let value = string(value);
    if component.ends_with("ipv6") {
        // Address, length and offset.
        let parts: Vec<&str> = value.split('/').collect();
        return match parts[..] {
            [address, length, "0"] => format!("{address}/{length}"),
            [address, length, offset] => format!("{address}/{offset}-{length}"),
            _ => value,
        };
    }
    if component.ends_with("ipv4") {
        return value;
    }
    let named = |word: &str| {
        let known = VALUES.iter().find(|(theirs, _)| *theirs == word);
        known.map_or_else(|| word.to_owned(), |(_, ours)| (*ours).to_owned())
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut text = String::new();
    for part in value.split_inclusive(|c| !is_word(c)) {
        let word = part.trim_end_matches(|c| !is_word(c));
        text.push_str(&named(word));
        text.push_str(&part[word.len()..]);
    }
    text
}

#[test]
fn flow_specifications_read_as_exabgp_reads_them() {
    for name in ["bgp-flow-2", "bgp-flow-3", "bgp-flow-4", "bgp-flow-5"] {
        assert_eq!(compare(name, "ipv4 flow", flow), 1, "{name}");
    }
    assert_eq!(compare("bgp-flow-1", "ipv6 flow", flow), 1);
    assert_eq!(compare("conf-flow.ci", "ipv4 flow", flow), 11);
    assert_eq!(compare("conf-flow.ci", "ipv6 flow", flow), 1);
    assert_eq!(compare("conf-flow.ci", "ipv4 flow-vpn", flow), 2);
    assert_eq!(compare("conf-flow-redirect.ci", "ipv4 flow", flow), 5);
}

#[test]
fn mvpn_routes_read_as_exabgp_reads_them() {
    let theirs = |route: &Value| {
        let asn = match route["source-as"].as_str() {
            Some(asn) => format!("[{asn}]:"),
            None => String::new(),
        };
        format!(
            "{} [{}]:{asn}{}:{}",
            string(&route["rd"]),
            route["code"],
            sized(&route["source"]),
            sized(&route["group"])
        )
    };
    assert_eq!(compare("conf-mvpn.ci", "ipv4 mcast-vpn", theirs), 3);
    assert_eq!(compare("conf-mvpn.ci", "ipv6 mcast-vpn", theirs), 3);
}

#[test]
fn vpls_routes_read_as_exabgp_reads_them() {
    let compared = compare("conf-l2vpn.ci", "l2vpn vpls", |route| {
        format!(
            "{} VE:{},Offset:{},Size:{},Label:{}",
            string(&route["rd"]),
            route["endpoint"],
            route["offset"],
            route["size"],
            route["base"]
        )
    });
    assert_eq!(compared, 3);
}

/// Of a part of a TEID ExaBGP gives the octets sent, we the bits counted.
#[test]
fn mup_routes_read_as_exabgp_reads_them() {
    let theirs = |route: &Value| {
        let start = format!("{} [{}]:", string(&route["rd"]), route["code"]);
        let teid: u32 = route["teid"].as_str().map_or(0, |teid| teid.parse().unwrap());
        let prefix = format!("[{}/{}]", string(&route["prefix_ip"]), route["prefix_ip_len"]);
        let endpoint = string(&route["endpoint_ip"]);
        let end = match route["code"].as_u64() {
            Some(1) => prefix,
            Some(2) => format!("[{}]", string(&route["ip"])),
            Some(3) => {
                let source = match route["source_ip_len"].as_u64() {
                    Some(0) => String::new(),
                    _ => format!(",Source:{}", string(&route["source_ip"])),
                };
                let qfi = string(&route["qfi"]);
                format!("{prefix},TEID:{teid:#010x},QFI:{qfi},Endpoint:{endpoint}{source}")
            }
            _ => {
                let width = if endpoint.contains(':') { 128 } else { 32 };
                let bits = route["endpoint_len"].as_u64().unwrap() - width;
                let teid = if bits == 23 { teid >> 1 << 9 } else { teid };
                format!("[{endpoint}]:[{teid:#010x}/{bits}]")
            }
        };
        start + &end
    };
    assert_eq!(compare("conf-srv6-mup.ci", "ipv4 mup", theirs), 6);
    assert_eq!(compare("conf-srv6-mup.ci", "ipv6 mup", theirs), 4);
    assert_eq!(compare("conf-srv6-mup-v3.ci", "ipv4 mup", theirs), 1);
    assert_eq!(compare("conf-srv6-mup-v3.ci", "ipv6 mup", theirs), 1);
}

fn sr_policy(route: &Value) -> String {
    format!("[{}]:[{}]:[{}]", route["distinguisher"], route["color"], string(&route["endpoint"]))
}

#[test]
fn sr_policies_read_as_exabgp_reads_them() {
    for name in ["bgp-sr-policy-1", "bgp-sr-policy-2"] {
        assert_eq!(compare(name, "ipv4 sr-policy", sr_policy), 1, "{name}");
    }
}

#[test]
fn sr_policies_are_those_that_exabgp_was_told_to_announce() {
    let mut compared = 0;
    for case in cases("conf-sr-policy.ci") {
        let words: Vec<&str> = case.command.split(' ').collect();
        let after = |name| {
            words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1)).copied()
        };
        if let (Some(distinguisher), Some(color), Some(endpoint)) =
            (after("distinguisher"), after("color"), after("endpoint"))
        {
            assert_eq!(ours(&case), [format!("[{distinguisher}]:[{color}]:[{endpoint}]")]);
            compared += 1;
        }
    }
    assert_eq!(compared, 4);
}

#[test]
fn a_vpn_route_with_a_next_hop_of_the_other_family_reads_as_exabgp_reads_it() {
    let case = cases("vpnv4-extended-nexthop-1").remove(0);
    let json = case.json();
    let routes = &json["announced"][0];
    let expected = &case.expected["announce"]["ipv4 mpls-vpn"];
    assert_eq!(expected[string(&routes["next_hop"])].as_array().map(Vec::len), Some(1));
    let (ours, theirs) = (&routes["prefixes"][0], case.routes("ipv4 mpls-vpn")[0]);
    assert_eq!(ours["prefix"], theirs["nlri"]);
    assert_eq!(ours["route_distinguisher"], theirs["rd"]);
    assert_eq!(ours["labels"][0], theirs["label"][0][0]);
}

#[test]
fn every_end_of_rib_of_a_family_is_one() {
    for (name, count) in [("conf-flow.ci", 3), ("conf-l2vpn.ci", 1), ("conf-sr-policy.ci", 2)] {
        let ends: usize = cases(name)
            .iter()
            .filter(|case| case.command.contains(" eor "))
            .map(|case| case.update.end_of_rib.len())
            .sum();
        assert_eq!(ends, count, "{name}");
    }
}
