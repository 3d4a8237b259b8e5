//! What GoBGP's command line says.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    gobgp_nlri as nlri,
    table::{Fields, Place, Tables},
};

/// A gobgpd, by the port of its API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gobgp(pub(crate) u16);

/// Families as the command line and as the database name them.
const FAMILIES: [(&str, &str); 12] = [
    ("ipv4", "ipv4-unicast"),
    ("ipv6", "ipv6-unicast"),
    ("ipv4-mpls", "ipv4-labeled"),
    ("ipv6-mpls", "ipv6-labeled"),
    ("vpnv4", "vpnv4"),
    ("vpnv6", "vpnv6"),
    ("evpn", "evpn"),
    ("ipv4-flowspec", "ipv4-flowspec"),
    ("ipv6-flowspec", "ipv6-flowspec"),
    ("ipv4-l3vpn-flowspec", "vpnv4-flowspec"),
    ("rtc", "rtc"),
    ("ipv4-mup", "ipv4-mup"),
];

impl Gobgp {
    fn run(self, arguments: &[&str]) -> Result<String> {
        let output =
            Command::new("gobgp").arg("-p").arg(self.0.to_string()).args(arguments).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!(
                "gobgp {}: {text}{}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(text.into_owned())
    }

    fn json(self, arguments: &[&str]) -> Result<Value> {
        let text = self.run(arguments)?;
        // An empty table is not JSON.
        if text.starts_with("Network not in table") {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .with_context(|| format!("gobgp {} says {text}", arguments.join(" ")))
    }

    /// Every peer that is up, with the families that it has negotiated.
    fn peers(self) -> Result<Vec<(String, Vec<&'static str>)>> {
        let neighbors = self.json(&["neighbor", "-j"])?;
        let mut peers = Vec::new();
        for neighbor in neighbors.as_array().context("no list of neighbours")? {
            let state = &neighbor["state"];
            if state["session_state"] != 6 {
                continue;
            }
            let address =
                state["neighbor_address"].as_str().context("a neighbour has no address")?;
            let families = neighbor["afi_safis"].as_array().map_or(&[][..], Vec::as_slice);
            let families = families
                .iter()
                .map(|family| &family["config"]["family"])
                .filter_map(|family| name(family["afi"].as_u64()?, family["safi"].as_u64()?))
                .collect();
            peers.push((address.to_owned(), families));
        }
        Ok(peers)
    }

    /// All that it holds, of every view that its BMP tells of.
    pub(crate) fn tables(self, router: &str) -> Result<Tables> {
        let mut tables = Tables::default();
        let place = |peer: &str, view: &str, family: &str| Place {
            router: router.to_owned(),
            peer: peer.to_owned(),
            view: view.to_owned(),
            family: family.to_owned(),
        };
        let peers = self.peers()?;
        for (option, family) in FAMILIES {
            for (peer, families) in &peers {
                if !families.contains(&family) {
                    continue;
                }
                tables.at(place(peer, "adj-rib-in-post", family));
                let received = self.json(&["neighbor", peer, "adj-in", "-j", "-a", option])?;
                let table = tables.at(place(peer, "adj-rib-in-pre", family));
                for path in paths(&received) {
                    let (key, fields) = route(family, path)?;
                    table.entry(key).or_default().push(fields);
                }
            }
            let best = self.json(&["global", "rib", "-j", "-a", option])?;
            tables.at(place("loc-rib", "loc-rib", family));
            for path in paths(&best) {
                let (key, fields) = route(family, path)?;
                let peer = path["neighbor-ip"].as_str().unwrap_or_default();
                if path["best"] == true {
                    let table = tables.at(place("loc-rib", "loc-rib", family));
                    table.entry(key.clone()).or_default().push(fields.clone());
                }
                let table = tables.at(place(peer, "adj-rib-in-post", family));
                table.entry(key).or_default().push(fields);
            }
        }
        Ok(tables)
    }

    /// What it has sent to a neighbour: the neighbour's pre-policy table, named so.
    pub(crate) fn sent(self, to: &str, router: &str, peer: &str) -> Result<Tables> {
        let mut tables = Tables::default();
        let families = self.peers()?.into_iter().find(|(address, _)| address == to);
        for family in families.map_or_else(Vec::new, |(_, families)| families) {
            let (option, _) =
                FAMILIES.into_iter().find(|(_, name)| *name == family).context(family)?;
            let sent = self.json(&["neighbor", to, "adj-out", "-j", "-a", option])?;
            let table = tables.at(Place {
                router: router.to_owned(),
                peer: peer.to_owned(),
                view: "adj-rib-in-pre".to_owned(),
                family: family.to_owned(),
            });
            for path in paths(&sent) {
                let (key, fields) = route(family, path)?;
                table.entry(key).or_default().push(fields);
            }
        }
        Ok(tables)
    }

    /// The path identifiers that a neighbour has sent: with prefix and next hop, as the table for
    /// people shows them. The JSON has none.
    pub(crate) fn path_ids(self, peer: &str, option: &str) -> Result<Vec<String>> {
        if !self.peers()?.iter().any(|(address, _)| address == peer) {
            return Ok(Vec::new());
        }
        let text = self.run(&["neighbor", peer, "adj-in", "-a", option])?;
        let mut paths: Vec<String> = text
            .lines()
            .filter(|line| line.starts_with(' ') && !line.contains("Network"))
            .map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
            .collect();
        paths.sort();
        Ok(paths)
    }
}

/// A family's name in the database.
#[must_use]
pub fn name(afi: u64, safi: u64) -> Option<&'static str> {
    Some(match (afi, safi) {
        (1, 1) => "ipv4-unicast",
        (2, 1) => "ipv6-unicast",
        (1, 4) => "ipv4-labeled",
        (2, 4) => "ipv6-labeled",
        (1, 128) => "vpnv4",
        (2, 128) => "vpnv6",
        (25, 70) => "evpn",
        (1, 133) => "ipv4-flowspec",
        (2, 133) => "ipv6-flowspec",
        (1, 134) => "vpnv4-flowspec",
        (1, 132) => "rtc",
        (1, 85) => "ipv4-mup",
        _ => return None,
    })
}

/// The paths of a table, whatever their key.
pub fn paths(table: &Value) -> impl Iterator<Item = &Value> {
    table
        .as_object()
        .into_iter()
        .flat_map(|table| table.values())
        .filter_map(Value::as_array)
        .flatten()
}

/// A path of a table as the database would have it.
pub fn route(family: &str, path: &Value) -> Result<(String, Fields)> {
    let (key, mut fields) =
        nlri::route(family, &path["nlri"]).with_context(|| format!("{family} {}", path["nlri"]))?;
    let attributes: BTreeMap<u64, &Value> = path["attrs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|attribute| Some((attribute["type"].as_u64()?, attribute)))
        .collect();
    let number = |code: u64, name: &str| {
        attributes.get(&code).map_or_else(String::new, |attribute| attribute[name].to_string())
    };
    let list = |code: u64, name: &str, text: fn(&Value) -> Result<String>| -> Result<String> {
        let list = attributes.get(&code).and_then(|attribute| attribute[name].as_array());
        let texts: Result<Vec<String>> = list.into_iter().flatten().map(text).collect();
        Ok(texts?.join(" "))
    };
    let origin = number(1, "value");
    fields
        .insert("origin", ["igp", "egp", "incomplete"][origin.parse::<usize>()?.min(2)].to_owned());
    fields.insert("as_path", list(2, "as_paths", segment)?);
    fields.insert("med", number(4, "metric"));
    fields.insert("local_pref", number(5, "value"));
    fields.insert("communities", list(8, "communities", community)?);
    fields.insert("extended_communities", list(16, "value", extended_community)?);
    fields.insert("large_communities", list(32, "value", large_community)?);
    // A flow specification goes nowhere: what the command line shows is made up.
    if !family.ends_with("flowspec") {
        let next_hop = attributes.get(&14).or_else(|| attributes.get(&3));
        let next_hop = next_hop.and_then(|attribute| attribute["nexthop"].as_str());
        fields.insert("next_hop", next_hop.unwrap_or_default().to_owned());
    }
    Ok((key, fields))
}

fn segment(segment: &Value) -> Result<String> {
    let asns = segment["asns"].as_array().context("a segment without ASNs")?;
    let asns: Vec<String> = asns.iter().map(ToString::to_string).collect();
    Ok(match segment["segment_type"].as_u64() {
        Some(1) => format!("{{{}}}", asns.join(",")),
        Some(2) => asns.join(" "),
        Some(3) => format!("({})", asns.join(" ")),
        Some(4) => format!("[{}]", asns.join(",")),
        _ => bail!("{segment}"),
    })
}

fn community(community: &Value) -> Result<String> {
    let value = community.as_u64().context("no community")?;
    Ok(format!("{}:{}", value >> 16, value & 0xffff))
}

fn large_community(community: &Value) -> Result<String> {
    let part = |name| community[name].as_u64().context("no large community");
    Ok(format!("{}:{}:{}", part("ASN")?, part("LocalData1")?, part("LocalData2")?))
}

/// An administrator and a number. GoBGP has dots in an AS of 4 octets (RFC 5396), the database an
/// L behind one that 2 octets could hold.
fn administered(kind: u64, text: &str) -> Result<String> {
    if kind != 2 {
        return Ok(text.to_owned());
    }
    let (administrator, assigned) = text.rsplit_once(':').context("no colon")?;
    let asn = nlri::asn(administrator)?;
    let long = if asn <= u16::MAX.into() { "L" } else { "" };
    Ok(format!("{asn}{long}:{assigned}"))
}

/// The text that the database has for it.
fn extended_community(community: &Value) -> Result<String> {
    let number = |name: &str| community[name].as_u64().unwrap_or_default();
    let text = |name: &str| community[name].as_str().unwrap_or_default();
    Ok(match (number("type"), number("subtype")) {
        (kind @ 0..=2, 2) => format!("rt:{}", administered(kind, text("value"))?),
        (kind @ 0..=2, 3) => format!("soo:{}", administered(kind, text("value"))?),
        (3, 12) => match number("tunnel_type") {
            8 => "encap:vxlan".to_owned(),
            9 => "encap:nvgre".to_owned(),
            10 => "encap:mpls".to_owned(),
            other => bail!("a tunnel type that this does not know: {other}"),
        },
        (3, 13) => "default-gateway".to_owned(),
        // GoBGP has the label in all 24 bits of the field, where RFC 7432, 7.5 has it in the
        // upper 20.
        (6, 1) => {
            let single = community["is_single_active"] == true;
            let mode = if single { "single-active" } else { "all-active" };
            let field = number("label");
            match field & 0xf {
                0 => format!("esi-label:{}:{mode}", field >> 4),
                1 => format!("esi-label:{}/s:{mode}", field >> 4),
                _ => format!("esi-label:{field}/24:{mode}"),
            }
        }
        (6, 2) => format!("es-import:{}", text("value")),
        (6, 3) => format!("router-mac:{}", text("mac")),
        (128, 6) => format!("traffic-rate-bytes:{}:{}", number("as"), community["rate"]),
        (128, 7) => {
            let action = match (community["sample"] == true, community["terminal"] == true) {
                (true, true) => "sample-terminal",
                (true, false) => "sample",
                (false, true) => "terminal",
                (false, false) => "none",
            };
            format!("traffic-action:{action}")
        }
        (kind @ 128..=130, 8) => format!("redirect:{}", administered(kind & 3, text("value"))?),
        (128, 9) => format!("traffic-marking:{}", number("value")),
        _ => bail!("an extended community that this does not know: {community}"),
    })
}
