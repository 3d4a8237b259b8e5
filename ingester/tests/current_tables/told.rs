//! What a router's command line says, file by file: whole tables, in the form of the database.

mod frr;
mod gobgp;
mod truth;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
};

use anyhow::{Context, Result, bail};
use ribstream_interop::table::{Fields, Place};

use crate::capture::{Capture, CliFile};

/// Routes by their key, each with what is said of its paths. A million of them have a few
/// thousand different attributes.
pub(crate) type Routes = HashMap<Box<str>, Vec<Rc<Fields>>>;

/// What one file tells.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) tables: BTreeMap<Place, Routes>,
    /// All tables of these views and families are told of; those that are not above are empty.
    pub(crate) all_of: Vec<(String, String)>,
    /// Nothing is held of these peers.
    pub(crate) down: Vec<String>,
    /// How many routes there are.
    pub(crate) counts: Vec<(Place, usize)>,
    /// The router's own AS and BGP Identifier, where the file has them.
    pub(crate) local_as: Option<String>,
    pub(crate) router_id: Option<String>,
    attributes: HashSet<Rc<Fields>>,
}

impl Told {
    /// The table, which is empty until routes are put into it.
    fn table(&mut self, place: &Place) {
        self.tables.entry(place.clone()).or_default();
    }

    fn route(&mut self, place: &Place, key: String, fields: Fields) {
        let fields = self.attributes.get(&fields).cloned().unwrap_or_else(|| {
            let fields = Rc::new(fields);
            self.attributes.insert(Rc::clone(&fields));
            fields
        });
        if !self.tables.contains_key(place) {
            self.table(place);
        }
        let table = self.tables.get_mut(place).expect("it is there now");
        table.entry(key.into_boxed_str()).or_default().push(fields);
    }

    fn all_of(&mut self, view: &str, family: &str) {
        self.all_of.push((view.to_owned(), family.to_owned()));
    }

    /// A table that the router's BMP never speaks of is empty in the database.
    pub(crate) fn drop_unmonitored(&mut self, capture: &Capture) -> Vec<Place> {
        let silent = |place: &Place| !capture.monitored(&place.view, &place.family);
        self.counts.retain(|(place, _)| !silent(place));
        let mut dropped = Vec::new();
        for (place, routes) in self.tables.iter_mut().filter(|(place, _)| silent(place)) {
            if !routes.is_empty() {
                dropped.push(place.clone());
            }
            routes.clear();
        }
        dropped
    }
}

/// A table of a capture's router.
pub(crate) fn place(view: &str, peer: &str, family: &str) -> Place {
    Place {
        router: String::new(),
        peer: peer.to_owned(),
        view: view.to_owned(),
        family: family.to_owned(),
    }
}

pub(crate) const PRE: &str = "adj-rib-in-pre";
pub(crate) const POST: &str = "adj-rib-in-post";
pub(crate) const OUT: &str = "adj-rib-out-post";
pub(crate) const LOC_RIB: &str = "loc-rib";

/// A family as command lines name it.
fn family(option: &str) -> Result<&'static str> {
    Ok(match option {
        "ipv4" | "ipv4-unicast" => "ipv4-unicast",
        "ipv6" | "ipv6-unicast" => "ipv6-unicast",
        "ipv4-multicast" => "ipv4-multicast",
        "ipv6-multicast" => "ipv6-multicast",
        "ipv4-mpls" | "ipv4-labeled" | "ipv4-labeled-unicast" => "ipv4-labeled",
        "ipv6-mpls" | "ipv6-labeled" | "ipv6-labeled-unicast" => "ipv6-labeled",
        "vpnv4" | "ipv4-vpn" | "l3vpn-ipv4" => "vpnv4",
        "vpnv6" | "ipv6-vpn" | "l3vpn-ipv6" => "vpnv6",
        "evpn" | "l2vpn-evpn" => "evpn",
        "ipv4-flowspec" => "ipv4-flowspec",
        "ipv6-flowspec" => "ipv6-flowspec",
        "ipv4-l3vpn-flowspec" => "vpnv4-flowspec",
        "ipv6-l3vpn-flowspec" => "vpnv6-flowspec",
        "rtc" => "rtc",
        "ls" => "bgp-ls",
        "vpls" => "vpls",
        "ipv4-mup" => "ipv4-mup",
        "ipv6-mup" => "ipv6-mup",
        "ipv4-srpolicy" => "ipv4-srpolicy",
        "ipv6-srpolicy" => "ipv6-srpolicy",
        other => bail!("{other} is no family that this knows"),
    })
}

/// A peer's address in a file's name has `_` for `:`.
fn peer(text: &str) -> String {
    text.replace('_', ":")
}

/// What a file says; none where it is known to say nothing of tables.
pub(crate) fn read(file: &CliFile) -> Result<Option<Told>> {
    // MOMENT.WHAT.OF-WHOM.FORMAT, where an address has points as well.
    let (_, rest) = file.name.split_once('.').context("its name has no moment")?;
    let (rest, format) = rest.rsplit_once('.').context("its name has no extension")?;
    let text = std::str::from_utf8(&file.content)?;
    let mut told = Told::default();
    match (rest.split('.').next().unwrap_or_default(), format) {
        ("summary" | "rib-summary" | "show-bmp" | "show-version" | "show-summary", _) => {
            return Ok(None);
        }
        ("neighbors", "json") => gobgp::neighbors(&serde_json::from_str(text)?, &mut told)?,
        ("adj-in" | "adj-out", _) => {
            let (table, option) = rest.rsplit_once('.').context("of which family?")?;
            let (table, address) = table.split_once('.').context("of which peer?")?;
            let view = if table == "adj-in" { PRE } else { OUT };
            let place = place(view, &peer(address), family(option)?);
            match format {
                "json" => gobgp::table(&gobgp::json(text)?, &place, &mut told)?,
                _ => gobgp::text(text, &place, &mut told)?,
            }
        }
        ("global-rib", "json") => {
            let (_, option) = rest.split_once('.').context("of which family?")?;
            gobgp::global(&gobgp::json(text)?, family(option)?, &mut told)?;
        }
        ("truth", "tsv") => {
            let (_, address) = rest.split_once('.').context("of which peer?")?;
            truth::table(text, address, &mut told)?;
        }
        ("show-neighbors", "json") => frr::neighbors(&serde_json::from_str(text)?, &mut told)?,
        ("received" | "routes", "json") => {
            let (table, address) = rest.split_once('.').context("of which family?")?;
            let (option, address) = address.split_once('.').context("of which peer?")?;
            let view = if table == "received" { PRE } else { POST };
            let place = place(view, &peer(address), family(option)?);
            frr::neighbor(&frr::json(text)?, &place, &mut told)?;
        }
        (show, "json") if show.starts_with("show-bgp-") => {
            let option = show.trim_start_matches("show-bgp-");
            frr::global(&frr::json(text)?, family(option)?, &mut told)?;
        }
        _ => bail!("it is no file that this can read"),
    }
    Ok(Some(told))
}
