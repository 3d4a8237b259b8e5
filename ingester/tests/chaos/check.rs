//! What must be true when all is over.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
};

use prost::Message as _;
use ribstream_proto::v1::{DeadLetter, Event};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::common::{Bed, OF_PEERS, ROW, TABLES, WHOSE, number};

/// How many rows of a difference are shown.
const SHOWN: usize = 5;

/// What of a current view is not the same in two runs: Ribstream's own numbers, the sessions,
/// times of receipt, and how often a route was told.
const LEFT_OUT: &str = "'{peer_id,session,sequence,since,heard,heard_logged,first_seen,epoch_seen,changes,withdrawals}'::text[]";

/// Since when a peer's routes are sure, where a session that has died still holds it: since the
/// latest Peer Up of one that lives. A capture that is played again is a router whose clock is
/// set back: a Peer Down may be from before the dead session's Peer Up, and not end its hold. What
/// has not come again is gone only with the end of the dump then, which an empty table does not
/// have ("What cannot be told" in docs/sessions.md).
const SURE: &str = "sure as ( \
    select h.peer_id, \
        max(h.logged) filter (where s.ended is null and s.silent_since is null) as since \
    from peer_holds h \
    join peers p on p.id = h.peer_id \
    join bmp_sessions s on s.router_id = p.router_id and s.session = h.session \
    where h.up \
    group by h.peer_id \
    having bool_or(s.ended is not null or s.silent_since is not null))";

/// What the routers hold, as the database tells it: rows in order, by name.
pub(crate) type Held = BTreeMap<String, Vec<String>>;

/// All current views, the peers that are up, and the keys of all routes that ever were.
pub(crate) async fn held(bed: &Bed) -> Held {
    let mut connection = bed.database.connect().await.unwrap();
    let mut held = Held::new();
    for view in ["current_routes", "current_evpn_routes", "current_other_routes"] {
        // With when it was logged, which is the one clock of all sessions.
        let definition = bed.text(&format!("pg_get_viewdef('{view}'::regclass)")).await;
        let (columns, tables) = definition.split_once("\n   FROM ").expect("a select");
        let tables = tables.trim_end_matches(';');
        let sql = format!(
            "with {SURE}, v as ({columns}, r.heard_logged from {tables}) \
             select (to_jsonb(v) - {LEFT_OUT})::text from v \
             left join sure using (peer_id) where sure.since is null or v.heard_logged >= sure.since"
        );
        held.insert(view.to_owned(), rows(&mut connection, sql).await);
    }
    for table in ["routes", "evpn_routes", "other_routes"] {
        let sql = format!("select {WHOSE} || ' ' || encode(e.key, 'hex') from {table} {OF_PEERS}");
        held.insert(table.to_owned(), rows(&mut connection, sql).await);
    }
    let sql = format!("select {WHOSE} from live_peers {OF_PEERS}");
    held.insert("live_peers".to_owned(), rows(&mut connection, sql).await);
    held
}

/// How many routes are current.
pub(crate) fn routes(held: &Held) -> usize {
    let views = held.iter().filter(|(name, _)| name.starts_with("current_"));
    views.map(|(_, rows)| rows.len()).sum()
}

async fn rows(connection: &mut PgConnection, sql: String) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap();
    let mut rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    rows.sort_unstable();
    rows
}

/// What is in one and not in the other, in words; nothing where they are equal.
pub(crate) fn difference(expected: &Held, found: &Held) -> String {
    let mut text = String::new();
    for (name, expected) in expected {
        describe(&mut text, name, expected, &found[name]);
    }
    text
}

fn describe(text: &mut String, name: &str, expected: &[String], found: &[String]) {
    let (missing, surplus) = (without(expected, found), without(found, expected));
    for (what, rows) in [("missing", missing), ("not in the undisturbed run", surplus)] {
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{name}: {} of {} rows {what}:", rows.len(), expected.len());
        for row in rows.iter().take(SHOWN) {
            let _ = writeln!(text, "    {row}");
        }
    }
}

/// The rows of a sorted list that another has not, each as often as it has it more.
fn without<'a>(rows: &'a [String], others: &[String]) -> Vec<&'a String> {
    let mut others = others.iter().peekable();
    rows.iter()
        .filter(|row| {
            while others.next_if(|other| other < row).is_some() {}
            others.next_if(|other| other == row).is_none()
        })
        .collect()
}

/// Whether each session that a router keeps has told of all its octets, and all others have
/// ended or are known to be silent.
pub(crate) async fn has_settled(bed: &Bed, router: &str, octets: usize, sessions: usize) -> bool {
    let live = format!(
        "from bmp_sessions s join routers r on r.id = s.router_id \
         where r.identity = '{router}' and s.ended is null and s.silent_since is null"
    );
    let whole = bed.number(&format!("select count(*) {live} and s.octets = {octets}")).await;
    let all = bed.number(&format!("select count(*) {live}")).await;
    usize::try_from(whole) == Ok(sessions) && whole == all
}

/// Whether all sessions have ended or are known to be silent.
pub(crate) async fn all_ended(bed: &Bed) -> bool {
    let live = "select count(*) from bmp_sessions where ended is null and silent_since is null";
    bed.number(live).await == 0
}

/// Every event is in the topic once and in order, and in the database once.
pub(crate) async fn exactly_once(bed: &Bed) -> String {
    let mut text = String::new();
    topic(bed, &mut text).await;
    let mut connection = bed.database.connect().await.unwrap();
    for (table, key) in [
        ("route_events", "peer_id, session, sequence, ordinal"),
        ("evpn_events", "peer_id, session, sequence, ordinal"),
        ("other_events", "peer_id, session, sequence, ordinal"),
        ("peer_events", "peer_id, session, sequence, ordinal"),
        ("event_gaps", "peer_id, session, after"),
    ] {
        let sql = format!("select count(*) - count(distinct ({key})) from {table}");
        let twice = number(&mut connection, &sql).await;
        if twice != 0 {
            let _ = writeln!(text, "{table}: {twice} rows are there twice");
        }
    }
    let gaps = number(&mut connection, "select count(*) from event_gaps").await;
    if gaps != 0 {
        let _ = writeln!(text, "event_gaps: {gaps} rows");
    }
    let ends = bed.kafka.lengths(&bed.topic).await.unwrap();
    let stored = bed.positions().await;
    if stored != ends {
        let _ = writeln!(text, "the database is at {stored:?}, the topic ends at {ends:?}");
    }
    for record in bed.kafka.consume(&bed.dead_letter).await.unwrap() {
        let letter = DeadLetter::decode(&*record.payload).unwrap();
        if letter.stage == "ingester" {
            let (offset, reason, detail) = (letter.offset, letter.reason, letter.detail);
            let _ = writeln!(text, "parked: {reason} at {}/{offset}: {detail}", letter.partition);
        }
    }
    text
}

/// The events of each peer in each session have the numbers 1, 2, 3 and so on.
async fn topic(bed: &Bed, text: &mut String) {
    let mut numbers = HashMap::new();
    for record in bed.kafka.consume(&bed.topic).await.unwrap() {
        let event = Event::decode(&*record.payload).unwrap();
        let peer = event.peer.map(|peer| {
            // Only of a Loc-RIB these are more than attributes.
            let loc_rib = (peer.r#type == 3).then_some((peer.bgp_id, peer.table_name));
            (peer.r#type, peer.distinguisher, peer.address, loc_rib)
        });
        let of = (event.router, event.session, peer);
        let latest: &mut u64 = numbers.entry(of.clone()).or_default();
        if event.peer_sequence != *latest + 1 {
            let place = format!("{}/{}", record.partition, record.offset);
            let found = event.peer_sequence;
            let _ = writeln!(text, "the topic at {place}: number {found} after {latest} of {of:?}");
        }
        *latest = event.peer_sequence;
    }
}

/// Where two databases differ that were written from the same topic: for each table and peer
/// that do, a few of the rows.
pub(crate) async fn difference_between(disturbed: &Bed, undisturbed: &Bed) -> String {
    let mut text = String::new();
    let mut left = disturbed.database.connect().await.unwrap();
    let mut right = undisturbed.database.connect().await.unwrap();
    for table in TABLES {
        let (expected, found) = (digests(&mut right, table).await, digests(&mut left, table).await);
        let all = expected.keys().chain(found.keys());
        let peers: BTreeSet<&String> =
            all.filter(|whose| expected.get(*whose) != found.get(*whose)).collect();
        let Some(first) = peers.first() else { continue };
        let _ = writeln!(text, "{table} differs for {} peers; of {first}:", peers.len());
        let sql = format!("select {ROW}::text from {table} {OF_PEERS} where {WHOSE} = '{first}'");
        let expected = rows(&mut right, sql.clone()).await;
        describe(&mut text, "    rows", &expected, &rows(&mut left, sql).await);
    }
    for sql in [
        "select (to_jsonb(r) - 'id')::text from routers r",
        "select concat_ws(' ', partition, next_offset, last_received) from ingest_offsets",
    ] {
        let (expected, found) =
            (rows(&mut right, sql.into()).await, rows(&mut left, sql.into()).await);
        describe(&mut text, sql, &expected, &found);
    }
    text
}

/// Number of rows and a digest of them in any order, by peer.
async fn digests(connection: &mut PgConnection, table: &str) -> BTreeMap<String, (i64, String)> {
    let sql = format!(
        "select {WHOSE}, count(*), sum(hashtextextended({ROW}::text, 0))::text \
         from {table} {OF_PEERS} group by 1"
    );
    let groups = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap();
    groups.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect()
}

#[test]
fn a_difference_counts_rows_that_are_there_more_often() {
    let held = |rows: &[&str]| {
        Held::from([("t".to_owned(), rows.iter().map(|row| (*row).to_owned()).collect())])
    };
    assert_eq!(difference(&held(&["a", "b"]), &held(&["a", "b"])), "");
    assert_eq!(
        difference(&held(&["a", "b", "b", "d"]), &held(&["b", "c", "d", "d"])),
        "t: 2 of 4 rows missing:\n    a\n    b\n\
         t: 2 of 4 rows not in the undisturbed run:\n    c\n    d\n"
    );
}
