//! GoBGP's `gobgp global rib`, `gobgp neighbor` and `gobgp neighbor ADDRESS adj-in`.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};
use ribstream_interop::{
    gobgp,
    table::{Fields, Place},
};
use serde_json::Value;

use super::{LOC_RIB, POST, PRE, Told, place};

/// An answer in JSON; an empty table is told in words.
pub(crate) fn json(text: &str) -> Result<Value> {
    if text.starts_with("Network not in table") || text.trim().is_empty() {
        return Ok(Value::Null);
    }
    Ok(serde_json::from_str(text)?)
}

/// What a session that is not there has.
fn is_down(error: &str) -> bool {
    error.ends_with("session is not established") || error.starts_with("not found neighbor")
}

/// A peer's table. GoBGP's JSON has no path identifiers.
pub(crate) fn table(answer: &Value, place: &Place, told: &mut Told) -> Result<()> {
    told.table(place);
    if let Some(error) = answer["error"].as_str() {
        // A flow specification or the like that the version has no command for is not told.
        return if is_down(error) { Ok(()) } else { bail!("{error}") };
    }
    for path in gobgp::paths(answer) {
        let (key, fields) = route(&place.family, path)?;
        told.route(place, key, fields);
    }
    Ok(())
}

/// Every peer's routes as its policy left them, and the best of them.
pub(crate) fn global(answer: &Value, family: &str, told: &mut Told) -> Result<()> {
    told.all_of(POST, family);
    told.all_of(LOC_RIB, family);
    told.table(&place(LOC_RIB, LOC_RIB, family));
    for path in gobgp::paths(answer) {
        let (key, fields) = route(family, path)?;
        if path["best"] == true {
            told.route(&place(LOC_RIB, LOC_RIB, family), key.clone(), fields.clone());
        }
        let peer = path["neighbor-ip"].as_str().unwrap_or_default();
        // Its own routes are from nobody.
        if peer.parse::<IpAddr>().is_ok_and(|peer| !peer.is_unspecified()) {
            told.route(&place(POST, peer, family), key, fields);
        }
    }
    Ok(())
}

fn route(family: &str, path: &Value) -> Result<(String, Fields)> {
    let (key, mut fields) = gobgp::route(family, path)?;
    let attributes = path["attrs"].as_array().into_iter().flatten();
    let mut aggregator = String::new();
    let mut atomic = String::new();
    for attribute in attributes {
        match attribute["type"].as_u64() {
            Some(6) => "true".clone_into(&mut atomic),
            Some(7) => {
                let address = attribute["address"].as_str().unwrap_or_default();
                aggregator = format!("{} {address}", attribute["as"]);
            }
            _ => {}
        }
    }
    fields.insert("aggregator", aggregator);
    fields.insert("atomic_aggregate", atomic);
    // A next hop of an IPv6 family is an IPv6 address, and may be an IPv4-mapped one (RFC 4659,
    // 3.2.1.2; RFC 4798, 2). Go shows that as IPv4.
    if family.starts_with("ipv6") || family.starts_with("vpnv6") {
        let next_hop = fields.get_mut("next_hop").filter(|hop| hop.parse::<Ipv4Addr>().is_ok());
        if let Some(next_hop) = next_hop {
            next_hop.insert_str(0, "::ffff:");
        }
    }
    Ok((key, fields))
}

/// The state of the peers: how many routes each has, none where it is not up.
pub(crate) fn neighbors(answer: &Value, told: &mut Told) -> Result<()> {
    const ESTABLISHED: u64 = 6;
    for neighbor in answer.as_array().context("no list of neighbours")? {
        let state = &neighbor["state"];
        let peer = state["neighbor_address"].as_str().context("a neighbour has no address")?;
        if state["session_state"].as_u64() != Some(ESTABLISHED) {
            told.down.push(peer.to_owned());
            continue;
        }
        for family in neighbor["afi_safis"].as_array().into_iter().flatten() {
            let state = &family["state"];
            let number = |value: &Value| value.as_u64().unwrap_or_default();
            let (afi, safi) = (number(&state["family"]["afi"]), number(&state["family"]["safi"]));
            let Some(family) = gobgp::name(afi, safi) else { continue };
            // What it counts as accepted, its policy may still have rejected.
            let count = usize::try_from(number(&state["received"]))?;
            told.counts.push((place(PRE, peer, family), count));
        }
    }
    Ok(())
}

/// A peer's table as people read it:
///
/// ```text
///    ID  Network       Next Hop     AS_PATH      Age        Attrs
///    0   1.11.26.0/24  192.0.2.11   1299 701     00:00:53   [{Origin: ?} {Med: 16}]
/// ```
pub(crate) fn text(text: &str, place: &Place, told: &mut Told) -> Result<()> {
    told.table(place);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if line.starts_with("Network not in table") || line.trim_start().starts_with("ID ") {
            continue;
        }
        let (key, fields) = line_of_text(line).with_context(|| line.to_owned())?;
        told.route(place, key, fields);
    }
    Ok(())
}

fn line_of_text(line: &str) -> Result<(String, Fields)> {
    let (columns, attributes) = line.split_once(" [{").context("no attributes")?;
    let mut words: Vec<&str> = columns.split_whitespace().collect();
    let age = words.pop().context("no age")?;
    if age.split(':').count() != 3 {
        bail!("{age} is no age");
    }
    // Days have a word of their own.
    words.pop_if(|word| word.strip_suffix('d').is_some_and(|days| days.parse::<u32>().is_ok()));
    let [id, prefix, next_hop, path @ ..] = words.as_slice() else { bail!("too few columns") };
    let attributes = attributes.strip_suffix("}]").context("its attributes do not end")?;
    let mut fields: Fields = ["med", "local_pref", "communities", "large_communities"]
        .into_iter()
        .chain(["extended_communities", "aggregator", "atomic_aggregate"])
        .map(|name| (name, String::new()))
        .collect();
    fields.insert("path_id", if *id == "0" { String::new() } else { (*id).to_owned() });
    fields.insert("next_hop", (*next_hop).to_owned());
    fields.insert("as_path", path.join(" "));
    for attribute in attributes.split("} {") {
        let (name, value) = attribute.split_once(": ").unwrap_or((attribute, ""));
        let (name, value) = match name {
            "Origin" => ("origin", origin(value)?.to_owned()),
            "Med" => ("med", value.to_owned()),
            "LocalPref" => ("local_pref", value.to_owned()),
            "Communities" => ("communities", communities(value)?),
            "LargeCommunity" => ("large_communities", words_of(value)),
            "AtomicAggregate" => ("atomic_aggregate", "true".to_owned()),
            "Aggregate" => ("aggregator", aggregator(value)?),
            _ => bail!("{name} is no attribute that this knows"),
        };
        fields.insert(name, value);
    }
    Ok(((*prefix).to_owned(), fields))
}

fn origin(value: &str) -> Result<&'static str> {
    Ok(match value {
        "i" => "igp",
        "e" => "egp",
        "?" => "incomplete",
        _ => bail!("{value} is no origin"),
    })
}

/// `[ 1:2:3, 4:5:6]`, or the same without brackets.
fn words_of(list: &str) -> String {
    let list = list.trim_matches(['[', ']', ' ']);
    list.split(", ").map(str::trim).collect::<Vec<_>>().join(" ")
}

/// GoBGP names the well-known ones (IANA, BGP Well-known Communities).
fn communities(list: &str) -> Result<String> {
    let number = |word: &str| {
        if word.contains(':') {
            return Ok(word.to_owned());
        }
        let low = match word {
            "planned-shut" => 0,
            "accept-own" => 1,
            "llgr-stale" => 6,
            "no-llgr" => 7,
            "blackhole" => 666,
            "no-export" => 65281,
            "no-advertise" => 65282,
            "no-export-subconfed" => 65283,
            "no-peer" => 65284,
            _ => bail!("{word} is no community that this knows"),
        };
        Ok(format!("65535:{low}"))
    };
    Ok(words_of(list).split(' ').map(number).collect::<Result<Vec<_>>>()?.join(" "))
}

/// `{AS: 209854, Address: 192.0.2.106}`, the last brace of which may be gone.
fn aggregator(value: &str) -> Result<String> {
    let value = value.trim_matches(['{', '}']);
    let (asn, address) = value.split_once(", Address: ").context("no address")?;
    Ok(format!("{} {address}", asn.trim_start_matches("AS: ")))
}

#[test]
fn a_line_for_people_is_a_route() {
    let (key, fields) = line_of_text(
        "   7   2.59.202.0/23        192.0.2.11           1299 6453 {45430,64506}    1d 00:00:10   \
         [{Origin: ?} {Med: 16} {AtomicAggregate} {Aggregate: {AS: 209854, Address: 192.0.2.106}} \
         {Communities: 1299:3000, no-export} {LargeCommunity: [ 1:2:3, 4:5:6]}]",
    )
    .unwrap();
    assert_eq!(key, "2.59.202.0/23");
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        fields,
        [
            "aggregator=209854 192.0.2.106",
            "as_path=1299 6453 {45430,64506}",
            "atomic_aggregate=true",
            "communities=1299:3000 65535:65281",
            "extended_communities=",
            "large_communities=1:2:3 4:5:6",
            "local_pref=",
            "med=16",
            "next_hop=192.0.2.11",
            "origin=incomplete",
            "path_id=7",
        ]
    );
    assert!(line_of_text("   0   1.0.0.0/8   192.0.2.11   1   00:00:10   [{Colour: 7}]").is_err());
}
