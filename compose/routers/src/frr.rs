//! What FRR's command line says.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::table::{Fields, Place, Tables};

/// An FRR, by the directory of its sockets.
#[derive(Clone, Debug)]
pub(crate) struct Frr(pub(crate) PathBuf);

/// Families as the command line and as the database name them.
const FAMILIES: [(&str, &str); 4] = [
    ("ipv4 unicast", "ipv4-unicast"),
    ("ipv6 unicast", "ipv6-unicast"),
    ("ipv4 vpn", "vpnv4"),
    ("ipv6 vpn", "vpnv6"),
];

impl Frr {
    /// The answers to some commands, each of which is JSON.
    fn json(&self, commands: &[String]) -> Result<Vec<Value>> {
        let mut vtysh = Command::new("vtysh");
        vtysh.arg("--vty_socket").arg(&self.0);
        for command in commands {
            vtysh.arg("-c").arg(command);
        }
        let output = vtysh.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let answers: Result<Vec<Value>, _> =
            serde_json::Deserializer::from_str(&text).into_iter().collect();
        let answers = answers.with_context(|| format!("vtysh {commands:?} says {text}"))?;
        if answers.len() != commands.len() {
            bail!("vtysh {commands:?} says {text}{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(answers)
    }

    fn one(&self, command: &str) -> Result<Value> {
        self.json(&[command.to_owned()])?.pop().context("no answer")
    }

    /// Its peers that are up.
    fn peers(&self) -> Result<Vec<String>> {
        let summary = self.one("show bgp ipv4 unicast summary json")?;
        let peers = summary["peers"].as_object().context("no peers")?;
        let up = peers.iter().filter(|(_, peer)| peer["state"] == "Established");
        Ok(up.map(|(address, _)| address.clone()).collect())
    }

    /// All that it holds, of every view that its BMP tells of. Of EVPN it does not show what it
    /// has received before its policy.
    pub(crate) fn tables(&self, router: &str) -> Result<Tables> {
        let mut tables = Tables::default();
        let place = |peer: &str, view: &str, family: &str| Place {
            router: router.to_owned(),
            peer: peer.to_owned(),
            view: view.to_owned(),
            family: family.to_owned(),
        };
        let peers = self.peers()?;
        for (option, family) in FAMILIES {
            for peer in &peers {
                tables.at(place(peer, "adj-rib-in-post", family));
                let command = format!("show bgp {option} neighbors {peer} received-routes json");
                let answer = self.one(&command)?;
                let table = tables.at(place(peer, "adj-rib-in-pre", family));
                received(&answer["receivedRoutes"], "", &mut |key, fields| {
                    table.entry(key).or_default().push(fields);
                });
            }
            for (key, path) in self.paths(option)? {
                let table = tables.at(place(sender(&path), "adj-rib-in-post", family));
                table.entry(key).or_default().push(fields(&path));
            }
        }
        for peer in &peers {
            tables.at(place(peer, "adj-rib-in-post", "evpn"));
        }
        let evpn = self.one("show bgp l2vpn evpn route detail json")?;
        for route in distinguished(&evpn).flat_map(|(_, routes)| distinguished(routes)) {
            let (_, route) = route;
            for path in nested(&route["paths"]) {
                let (key, mut fields) = (evpn_key(route)?, fields(path));
                if let Some(labels) = path["vni"].as_str() {
                    fields.insert("label_fields", labels.replace('/', " "));
                }
                let table = tables.at(place(sender(path), "adj-rib-in-post", "evpn"));
                table.entry(key).or_default().push(fields);
            }
        }
        Ok(tables)
    }

    /// Every path of a family with all that FRR tells of it, which it does for one prefix at a
    /// time.
    fn paths(&self, option: &str) -> Result<Vec<(String, Value)>> {
        let table = self.one(&format!("show bgp {option} json"))?;
        let routes = &table["routes"];
        let mut prefixes: Vec<String> = Vec::new();
        let tables: Vec<&Value> = routes["routeDistinguishers"]
            .as_object()
            .map_or_else(|| vec![routes], |distinguishers| distinguishers.values().collect());
        for table in tables {
            prefixes
                .extend(table.as_object().into_iter().flatten().map(|(prefix, _)| prefix.clone()));
        }
        prefixes.sort();
        prefixes.dedup();
        if prefixes.is_empty() {
            return Ok(Vec::new());
        }
        let commands: Vec<String> =
            prefixes.iter().map(|prefix| format!("show bgp {option} {prefix} json")).collect();
        let mut paths = Vec::new();
        for (prefix, answer) in prefixes.iter().zip(self.json(&commands)?) {
            if answer["paths"].is_array() {
                paths.extend(nested(&answer["paths"]).map(|path| (prefix.clone(), path.clone())));
            } else {
                for (rd, route) in answer.as_object().into_iter().flatten() {
                    let key = format!("{rd} {prefix}");
                    paths.extend(nested(&route["paths"]).map(|path| (key.clone(), path.clone())));
                }
            }
        }
        Ok(paths)
    }
}

/// The peer that a path is from. FRR's own are from none, and in its BMP from 0.0.0.0.
#[must_use]
pub fn sender(path: &Value) -> &str {
    let peer = path["peer"]["peerId"].as_str();
    peer.filter(|peer| !matches!(*peer, "(unspec)" | "::")).unwrap_or("0.0.0.0")
}

/// Members that are themselves objects: distinguishers, or a distinguisher's routes.
pub fn distinguished(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten().filter(|(_, value)| value.is_object())
}

/// A list of paths, or a list of such lists.
pub fn nested(paths: &Value) -> impl Iterator<Item = &Value> {
    paths
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|path| path.as_array().map_or_else(|| std::slice::from_ref(path), Vec::as_slice))
}

/// Routes as received: by prefix, or by distinguisher and prefix. What it shows there as local
/// preference and MED is of the policy's making.
pub fn received(routes: &Value, rd: &str, tell: &mut impl FnMut(String, Fields)) {
    for (key, route) in routes.as_object().into_iter().flatten() {
        if !route.is_object() {
            continue;
        }
        if route["network"].is_null() {
            received(route, &format!("{key} "), tell);
            continue;
        }
        let text = |name: &str| route[name].as_str().unwrap_or_default().to_owned();
        let origin = match route["bgpOriginCode"].as_str() {
            Some("i") => "igp",
            Some("e") => "egp",
            _ => "incomplete",
        };
        tell(
            format!("{rd}{key}"),
            Fields::from([
                ("origin", origin.to_owned()),
                ("as_path", text("path")),
                ("next_hop", text("nextHop") + &text("nextHopGlobal")),
            ]),
        );
    }
}

/// What FRR tells of a path in detail.
#[must_use]
pub fn fields(path: &Value) -> Fields {
    let number = |value: &Value| if value.is_null() { String::new() } else { value.to_string() };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let path_text = text(&path["aspath"]["string"]);
    let mut fields = Fields::from([
        ("origin", text(&path["origin"]).to_lowercase()),
        ("as_path", if path_text == "Local" { String::new() } else { path_text }),
        ("med", number(&path["metric"])),
        ("local_pref", number(&path["locPrf"])),
        ("communities", communities(&text(&path["community"]["string"]))),
        ("large_communities", text(&path["largeCommunity"]["string"])),
        ("next_hop", text(&path["nexthops"][0]["ip"])),
    ]);
    if !path["remoteLabel"].is_null() {
        fields.insert("labels", path["remoteLabel"].to_string());
    }
    if let Some(esi) = path["esi"].as_str() {
        fields.insert("esi", esi.to_owned());
    }
    fields
}

/// FRR names the well-known ones (IANA, BGP Well-known Communities).
fn communities(text: &str) -> String {
    let names = [
        ("graceful-shutdown", "65535:0"),
        ("accept-own", "65535:1"),
        ("route-filter-translated-v4", "65535:2"),
        ("route-filter-v4", "65535:3"),
        ("route-filter-translated-v6", "65535:4"),
        ("route-filter-v6", "65535:5"),
        ("llgr-stale", "65535:6"),
        ("no-llgr", "65535:7"),
        ("accept-own-nexthop", "65535:8"),
        ("blackhole", "65535:666"),
        ("no-export", "65535:65281"),
        ("no-advertise", "65535:65282"),
        ("local-AS", "65535:65283"),
        ("no-peer", "65535:65284"),
    ];
    let plain = |word: &str| {
        let name = names.iter().find(|(name, _)| *name == word);
        name.map_or_else(|| word.to_owned(), |(_, number)| (*number).to_owned())
    };
    text.split_whitespace().map(plain).collect::<Vec<_>>().join(" ")
}

/// What tells an EVPN route from others.
pub fn evpn_key(route: &Value) -> Result<String> {
    let rd = route["rd"].as_str().context("an EVPN route without distinguisher")?;
    let tag = &route["ethTag"];
    let text = |name: &str| route[name].as_str().unwrap_or("-").to_owned();
    // [type]:[…], of which the last are what is not told otherwise.
    let parts: Vec<&str> = route["prefix"].as_str().unwrap_or_default().split("]:[").collect();
    let part = |index: usize| {
        let part = parts.get(index).copied().unwrap_or_default();
        part.trim_matches(['[', ']']).to_owned()
    };
    Ok(match route["routeType"].as_u64() {
        Some(1) => format!("1 {rd} {} {}", part(2), part(1)),
        Some(2) => format!("2 {rd} {tag} {} {}", text("mac"), text("ip")),
        Some(3) => format!("3 {rd} {} {}", part(1), part(3)),
        Some(4) => format!("4 {rd} {} {}", part(1), part(3)),
        Some(5) => format!("5 {rd} {} {}/{}", part(1), part(3), part(2)),
        _ => bail!("{route}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_evpn_route_is_known_by_what_tells_it_from_others() {
        let key = |prefix: &str, route_type: u8| {
            let route = json!({"rd": "65002:1", "prefix": prefix, "routeType": route_type,
                "ethTag": 20, "mac": "aa:bb:cc:00:00:01", "ip": "10.9.0.1"});
            evpn_key(&route).unwrap()
        };
        let esi = "03:aa:bb:cc:dd:ee:ff:00:00:64";
        assert_eq!(
            key(&format!("[1]:[200]:[{esi}]:[32]:[0.0.0.0]:[0]"), 1),
            format!("1 65002:1 {esi} 200")
        );
        assert_eq!(key("", 2), "2 65002:1 20 aa:bb:cc:00:00:01 10.9.0.1");
        assert_eq!(key("[3]:[100]:[32]:[10.0.0.2]", 3), "3 65002:1 100 10.0.0.2");
        assert_eq!(
            key(&format!("[4]:[{esi}]:[32]:[10.0.0.2]"), 4),
            format!("4 65002:1 {esi} 10.0.0.2")
        );
        assert_eq!(key("[5]:[0]:[64]:[2001:db8:77::]", 5), "5 65002:1 0 2001:db8:77::/64");
    }

    #[test]
    fn communities_that_have_names_are_numbers() {
        assert_eq!(communities("65002:1 no-export"), "65002:1 65535:65281");
    }
}
