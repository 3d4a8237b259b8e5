//! Compares the database with what the routers' command lines show, for `make interop`.
//!
//! ```text
//! gobgp, vtysh ──► gobgp, frr ──► table ◄── database ◄── compose/interop.sql
//!                                   │
//!                                compare ── known ──► what differs
//! ```

pub mod compare;
mod database;
pub mod frr;
pub mod gobgp;
mod gobgp_nlri;
mod known;
pub mod table;

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::{
    compare::{Difference, compare},
    frr::Frr,
    gobgp::Gobgp,
    known::KNOWN,
    table::{Place, Tables},
};

/// Compares the database with what the routers of `make interop` say.
#[derive(Debug, Parser)]
#[command(name = "ribstream-interop", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What it can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Wait until the database says what the routers say, and print what was compared
    Compare(Options),
    /// Print what the routers are known to get wrong, which is excepted
    Known,
}

/// Whom to ask.
#[derive(Args, Debug)]
pub struct Options {
    /// The database
    #[arg(long, value_name = "URL")]
    pub database_url: String,
    /// API port of the GoBGP that speaks BMP
    #[arg(long, value_name = "PORT")]
    pub gobgp: u16,
    /// API port of the GoBGP that FRR and it learn from
    #[arg(long, value_name = "PORT")]
    pub families: u16,
    /// Directory of FRR's sockets
    #[arg(long, value_name = "DIRECTORY")]
    pub frr: PathBuf,
    /// The routers have stopped: nothing may be current
    #[arg(long)]
    pub stopped: bool,
    /// How many seconds to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub timeout: u64,
}

/// How GoBGP, FRR and the one that both learn from know each other; see compose/routers.
const FAMILIES_AT_GOBGP: &str = "127.0.0.32";
const FAMILIES_AT_FRR: &str = "127.0.0.42";
const FRR: &str = "127.0.0.33";
const PATHS: &str = "127.0.0.34";
const GOBGP: &str = "127.0.0.31";

/// What was found at one time.
#[derive(Default)]
struct Found {
    compared: BTreeMap<Place, usize>,
    paths: usize,
    differences: Vec<Difference>,
    path_ids: Vec<String>,
}

/// Asks everyone, again and again until the database agrees or the time is over. What was
/// compared, and whether all of it agrees.
pub async fn agree(options: &Options) -> Result<(String, bool)> {
    let limit = Instant::now() + Duration::from_secs(options.timeout);
    loop {
        let found = look(options).await?;
        if found.agrees() || Instant::now() > limit {
            return Ok((found.report(), found.agrees()));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// What the routers are known to get wrong, one a line, as Markdown.
#[must_use]
pub fn known() -> String {
    KNOWN.iter().fold(String::new(), |list, known| list + "- " + known.reason + "\n")
}

/// Asks everyone once.
async fn look(options: &Options) -> Result<Found> {
    let mut told = Vec::new();
    let mut ids = Vec::new();
    if !options.stopped {
        let (gobgp, families) = (Gobgp(options.gobgp), Gobgp(options.families));
        told.push(gobgp.tables("gobgp").context("GoBGP")?);
        told.push(Frr(options.frr.clone()).tables("frr").context("FRR")?);
        // What was sent is what has been received, and is told with all attributes.
        told.push(families.sent(GOBGP, "gobgp", FAMILIES_AT_GOBGP)?);
        told.push(families.sent(FRR, "frr", FAMILIES_AT_FRR)?);
        for option in ["ipv4", "ipv6"] {
            ids.extend(gobgp.path_ids(PATHS, option)?);
        }
    }
    let current = database::current(&options.database_url).await?;
    let mut found = Found::default();
    for told in &told {
        found.add(told, &current.tables);
    }
    let all = Tables::default();
    let asked = |place: &Place| told.iter().any(|told| told.0.contains_key(place));
    found.differences.extend(compare(&all, &current.tables, |place| !asked(place)));
    found.compare_path_ids(ids, &current);
    Ok(found)
}

impl Found {
    fn add(&mut self, told: &Tables, held: &Tables) {
        for (place, routes) in &told.0 {
            *self.compared.entry(place.clone()).or_default() +=
                routes.values().map(Vec::len).sum::<usize>();
        }
        self.differences.extend(compare(told, held, |_| false));
    }

    /// Those of the peer that sends several paths of a prefix.
    fn compare_path_ids(&mut self, told: Vec<String>, current: &database::Current) {
        let pre = current.path_ids.iter().filter(|(place, _)| place.view == "adj-rib-in-pre");
        let mut held: Vec<String> = pre.map(|(_, path)| path.clone()).collect();
        let mut told = told;
        held.sort();
        told.sort();
        self.paths = told.len();
        let only = |these: &[String], those: &[String], who: &str| -> Vec<String> {
            let missing = these.iter().filter(|path| !those.contains(path));
            missing.map(|path| format!("path {path}: only {who} has it")).collect()
        };
        self.path_ids = only(&told, &held, "the router");
        self.path_ids.extend(only(&held, &told, "the database"));
    }

    fn unknown(&self) -> impl Iterator<Item = &Difference> {
        self.differences
            .iter()
            .filter(|difference| !KNOWN.iter().any(|known| (known.explains)(difference)))
    }

    fn agrees(&self) -> bool {
        self.unknown().next().is_none() && self.path_ids.is_empty()
    }

    /// Everything that was compared, and every difference.
    fn report(&self) -> String {
        let mut lines: BTreeMap<(&str, &str, &str), Vec<String>> = BTreeMap::new();
        for (place, count) in &self.compared {
            if *count > 0 {
                let line = lines.entry((&place.router, &place.peer, &place.view)).or_default();
                line.push(format!("{} {count}", place.family));
            }
        }
        let mut report = String::new();
        for ((router, peer, view), families) in lines {
            let _ = writeln!(report, "  {router:<5} {peer:<10} {view:<15} {}", families.join(", "));
        }
        let _ = writeln!(
            report,
            "  {} routes compared in {} tables, {} path identifiers",
            self.compared.values().sum::<usize>(),
            self.compared.len(),
            self.paths
        );
        for known in &KNOWN {
            let count = self.differences.iter().filter(|found| (known.explains)(found)).count();
            if count > 0 {
                let _ = writeln!(report, "  {count} times: {}", known.reason);
            }
        }
        let unknown = self.unknown().map(ToString::to_string);
        for different in unknown.chain(self.path_ids.iter().cloned()) {
            let _ = writeln!(report, "  DIFFERENT {different}");
        }
        report
    }
}
