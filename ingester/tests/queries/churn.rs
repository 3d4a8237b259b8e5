//! The churn capture: two peers of a real router, to which a script announced and withdrew what is
//! in its files, line by line. What the database says of it is what follows from these files.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ribstream_testkit::captures::{capture, read};
use sqlx::Row as _;

use crate::{
    analyze,
    common::Bed,
    replay::{collect, store},
    rows,
};

const PEERS: [&str; 2] = ["192.0.2.11", "192.0.2.12"];

/// How many moments tables are compared at.
const MOMENTS: usize = 20;

/// An announcement with its path, or a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    prefix: String,
    path: Option<String>,
}

/// What the script made a line for.
struct Line {
    kind: String,
    said: Said,
}

/// A table: the path of each prefix.
type Table = BTreeMap<String, String>;

fn lines(peer: &str) -> Option<Vec<Line>> {
    let content = read(&format!("churn-gobgp-2p.{peer}.churn.tsv.zst"))?;
    let line = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let path = (fields[2] == "A").then(|| fields[4].to_owned());
        Line { kind: fields[1].to_owned(), said: Said { prefix: fields[3].to_owned(), path } }
    };
    Some(String::from_utf8(content).unwrap().lines().map(line).collect())
}

fn tell(table: &mut Table, said: &Said) {
    match &said.path {
        Some(path) => table.insert(said.prefix.clone(), path.clone()),
        None => table.remove(&said.prefix),
    };
}

/// A peer as its file and the rows of its events have it.
struct Peer {
    address: &'static str,
    /// Time of each event, in microseconds since 1970; those of the file are the last.
    times: Vec<i64>,
    /// What was there before the first line.
    before: Table,
    lines: Vec<Line>,
}

impl Peer {
    /// Reads the events of the latest session in their order, and holds them against the file.
    async fn load(bed: &Bed, address: &'static str, lines: Vec<Line>) -> Self {
        let mut connection = bed.database.connect().await.unwrap();
        let events = sqlx::query(
            "select (extract(epoch from e.time) * 1000000)::bigint, e.prefix::text, e.as_path \
             from route_events e join peers p on p.id = e.peer_id \
             where host(p.address) = $1 and e.session = (select max(session) from route_events) \
             order by e.sequence, e.ordinal",
        )
        .bind(address)
        .fetch_all(&mut connection)
        .await
        .unwrap();
        let times = events.iter().map(|event| event.get(0)).collect();
        let said: Vec<Said> =
            events.iter().map(|event| Said { prefix: event.get(1), path: event.get(2) }).collect();
        let (first, churn) = said.split_at(said.len() - lines.len());
        for (number, (event, line)) in churn.iter().zip(&lines).enumerate() {
            assert_eq!(*event, line.said, "{address}, line {number}");
        }
        let mut before = Table::new();
        for said in first {
            tell(&mut before, said);
        }
        Self { address, times, before, lines }
    }

    /// How many lines had been said by a moment.
    fn said_by(&self, moment: i64) -> usize {
        let first = self.times.len() - self.lines.len();
        self.times.iter().filter(|time| **time <= moment).count() - first
    }

    /// The table behind so many lines.
    fn table(&self, lines: usize) -> Table {
        let mut table = self.before.clone();
        for line in &self.lines[..lines] {
            tell(&mut table, &line.said);
        }
        table
    }

    /// The moment of a line.
    fn moment(&self, line: usize) -> i64 {
        self.times[self.times.len() - self.lines.len() + line]
    }

    /// Moments all over the file, from its first line on. Behind the last one peers go down, some
    /// perhaps in the same read.
    fn moments(&self, count: usize) -> Vec<i64> {
        (0..count).map(|number| self.moment(number * self.lines.len() / count)).collect()
    }
}

fn at(moment: i64) -> String {
    format!("(timestamptz 'epoch' + {moment} * interval '1 microsecond')")
}

async fn held(bed: &Bed, moment: i64, peer: &str) -> Table {
    let text = bed
        .text(&format!(
            "select coalesce(string_agg(prefix || ' ' || as_path, E'\\n'), '') \
             from rib_at({}, of_peer => '{peer}')",
            at(moment)
        ))
        .await;
    let pair = |line: &str| {
        let (prefix, path) = line.split_once(' ').unwrap();
        (prefix.to_owned(), path.to_owned())
    };
    let table: Table = text.lines().map(pair).collect();
    assert_eq!(table.len(), text.lines().count(), "a route is there twice at {moment}");
    table
}

/// The tables of both peers at moments of the capture.
async fn check_tables(bed: &Bed, peers: &[Peer], moments: usize) {
    for (moment, of) in peers[0].moments(moments).into_iter().zip(peers.iter().cycle()) {
        let expected = of.table(of.said_by(moment));
        let held = held(bed, moment, of.address).await;
        assert_eq!(held.len(), expected.len(), "{} at {moment}", of.address);
        assert!(held == expected, "{} at {moment}", of.address);
    }
}

/// What each line did is what the script meant by it.
async fn check_history(bed: &Bed, peer: &Peer) {
    let changes = format!(
        "select e.change, (e.changed & 8 <> 0) as path \
         from route_events e join peers p on p.id = e.peer_id \
         where host(p.address) = '{}' and e.session = (select max(session) from route_events) \
         order by e.sequence, e.ordinal",
        peer.address
    );
    let changes = rows(bed, &changes).await;
    let mut table = peer.before.clone();
    let of_lines = &changes[changes.len() - peer.lines.len()..];
    let mut kinds = HashMap::<String, usize>::new();
    for (number, (line, change)) in peer.lines.iter().zip(of_lines).enumerate() {
        let known = table.get(&line.said.prefix);
        let expected = match (&line.said.path, known) {
            (None, None) => "withdrawn-unknown -",
            (None, Some(_)) => "withdrawn -",
            (Some(_), None) => "new -",
            (Some(path), Some(known)) if path != known => "changed true",
            (Some(_), Some(_)) if line.kind == "attr-change" => "changed false",
            // The file does not have the other attributes: they may be as they were, or not.
            (Some(_), Some(_)) if change == "refresh -" => "refresh -",
            (Some(_), Some(_)) => "changed false",
        };
        assert_eq!(change, expected, "{}, line {number}, {}", peer.address, line.kind);
        *kinds.entry(format!("{} {change}", line.kind)).or_default() += 1;
        tell(&mut table, &line.said);
    }
    assert!(kinds["attr-change changed false"] > 1000, "{kinds:?}");
    assert!(kinds["duplicate refresh -"] > 1000, "{kinds:?}");
}

/// Flaps, origin changes and differences, each worked out from the file.
async fn check_answers(bed: &Bed, peer: &Peer) {
    let mut table = peer.before.clone();
    let (mut away, mut flaps) = (BTreeSet::new(), BTreeMap::<&str, usize>::new());
    let mut origins = 0;
    let origin = |path: &str| path.rsplit(' ').next().map(str::to_owned);
    for line in &peer.lines {
        let prefix = line.said.prefix.as_str();
        match (&line.said.path, table.get(prefix)) {
            (None, Some(_)) => {
                away.insert(prefix);
            }
            (Some(_), None) if away.remove(prefix) => *flaps.entry(prefix).or_default() += 1,
            (Some(path), Some(known)) if origin(path) != origin(known) => origins += 1,
            _ => {}
        }
        tell(&mut table, &line.said);
    }
    let since = at(peer.moment(0));
    let expected: Vec<String> = flaps
        .iter()
        .filter(|(_, flaps)| **flaps >= 3)
        .map(|(prefix, flaps)| format!("{prefix} {flaps}"))
        .collect();
    assert!(expected.len() > 50, "{}", expected.len());
    let found = format!(
        "select prefix, flaps from flapping_prefixes({since}) \
         where host(peer) = '{}' order by prefix::text collate \"C\"",
        peer.address
    );
    assert!(rows(bed, &found).await == expected, "flaps of {}", peer.address);
    let changes = format!(
        "select count(*) from origin_changes({since}) where host(peer) = '{}'",
        peer.address
    );
    assert_eq!(bed.number(&changes).await, origins, "origins of {}", peer.address);

    let (early, late) = (peer.moment(peer.lines.len() / 4), peer.moment(peer.lines.len() / 2));
    let (was, is) = (peer.table(peer.said_by(early)), peer.table(peer.said_by(late)));
    let mut expected = BTreeMap::from([("appeared", 0), ("disappeared", 0), ("path", 0)]);
    for (prefix, path) in &is {
        match was.get(prefix) {
            None => *expected.get_mut("appeared").unwrap() += 1,
            Some(before) if before != path => *expected.get_mut("path").unwrap() += 1,
            Some(_) => {}
        }
    }
    let gone = was.keys().filter(|prefix| !is.contains_key(*prefix)).count();
    expected.insert("disappeared", gone);
    let diff = format!(
        "select case when 'as_path' = any (parts) then 'path' else difference end, count(*) \
         from rib_diff({}, {}, of_peer => '{}') \
         where difference <> 'changed' or 'as_path' = any (parts) group by 1 order by 1",
        at(early),
        at(late),
        peer.address
    );
    let expected: Vec<String> =
        expected.iter().map(|(what, count)| format!("{what} {count}")).collect();
    assert_eq!(rows(bed, &diff).await, expected, "{}", peer.address);
}

/// The history of the prefix that the file has most often.
async fn check_prefix(bed: &Bed, peer: &Peer) {
    let mut counts = HashMap::<&str, usize>::new();
    for line in &peer.lines {
        *counts.entry(&line.said.prefix).or_default() += 1;
    }
    let (prefix, count) = counts.into_iter().max_by_key(|(_, count)| *count).unwrap();
    let history = format!(
        "select coalesce(as_path, 'withdrawn') from route_history('{prefix}', \
             since => {}, of_peer => '{}')",
        at(peer.moment(0)),
        peer.address
    );
    let expected: Vec<String> = peer
        .lines
        .iter()
        .filter(|line| line.said.prefix == prefix)
        .map(|line| line.said.path.clone().unwrap_or_else(|| "withdrawn".to_owned()))
        .collect();
    let history = rows(bed, &history).await;
    assert_eq!(history[history.len() - count..], expected, "{prefix}");
}

async fn peers(bed: &Bed) -> Vec<Peer> {
    let mut peers = Vec::new();
    for address in PEERS {
        peers.push(Peer::load(bed, address, lines(address).unwrap()).await);
    }
    peers
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_histories_and_flaps_are_those_of_what_was_announced_and_withdrawn() {
    let Some(stream) = capture("churn-gobgp-2p") else { return };
    if PEERS.iter().any(|peer| lines(peer).is_none()) {
        return;
    }
    let bed = Bed::new(2).await;
    collect(&bed, &stream).await;
    store(&bed).await;
    analyze(&bed).await;
    let first = peers(&bed).await;
    check_tables(&bed, &first, MOMENTS).await;
    for peer in &first {
        check_history(&bed, peer).await;
        check_answers(&bed, peer).await;
        check_prefix(&bed, peer).await;
    }
    // The session has ended: nothing was held from then on.
    let last = *first.iter().filter_map(|peer| peer.times.last()).max().unwrap();
    assert_eq!(
        bed.number(&format!("select count(*) from rib_at({})", at(last + 3_600_000_000))).await,
        0
    );

    // The router comes back. What its tables were is no longer what the current tables show.
    collect(&bed, &stream).await;
    store(&bed).await;
    analyze(&bed).await;
    check_tables(&bed, &first, 4).await;
    check_tables(&bed, &peers(&bed).await, 4).await;
}
