//! The Community edition of TimescaleDB: its continuous aggregates, policies and columnstore
//! give the same answers as the Apache edition's views, number by number.

#[path = "common/blocks.rs"]
mod blocks;
mod common;

use std::{collections::BTreeMap, fs, path::Path, process};

use clap::Parser as _;
use common::{Bed, START, Speaker};
use ribstream_ingester::config::{Cli, Command};
use ribstream_ingester::migrate::aggregates::{Edition, aggregates};
use ribstream_proto::v1::{Event, PeerUp, RouteUpdate, event::Body};
use serde_json::{Value, json};

/// Tables with rows, each after those that it refers to.
const TABLES: [&str; 13] = [
    "routers",
    "peers",
    "bmp_sessions",
    "peer_holds",
    "peer_epochs",
    "rib_dumps",
    "routes",
    "peer_events",
    "route_events",
    "evpn_events",
    "other_events",
    "stats_reports",
    "dump_events",
];

/// Three days of three peers: a dump, then news every few minutes, and flaps.
fn days(number: u8) -> Vec<Event> {
    let mut speaker = Speaker::new(number, number);
    let mut events = vec![speaker.event(Body::PeerUp(PeerUp::default()))];
    for first in (0..200).step_by(10) {
        let mut dump = speaker.announce(first..first + 10);
        if let Some(Body::RouteUpdate(update)) = &mut dump.body {
            update.initial_dump = true;
        }
        events.push(dump);
    }
    let mut story = speaker.story(600);
    story.truncate(story.len() - 1);
    events.append(&mut story);
    events.push(speaker.event(Body::PeerUp(PeerUp::default())));
    events.push(speaker.event(Body::RouteUpdate(RouteUpdate::default())));
    for first in 0..40 {
        events.push(speaker.announce([first, first * 7 % 31]));
    }
    // Over three days and some hours, each peer at its own pace.
    for (event, place) in events.iter_mut().zip(0..) {
        event.received_at = START + place * (380 + u64::from(number)) * 1_000_000;
    }
    events
}

/// The jobs of the history's tables, with how they are configured, in seconds.
const POLICIES: &str = "select format('%s %s %s %s', hypertable_name, proc_name, job_id, \
    extract(epoch from coalesce(config->>'drop_after', config->>'compress_after')::interval)) \
    from timescaledb_information.jobs where hypertable_schema = 'public' \
        and proc_name in ('policy_retention', 'policy_compression') order by 1";

/// What an ingester would say to the database.
fn policies(keep: &str) -> Vec<String> {
    let arguments = ["ribstream-ingester", "run", "--database-url", "x", "--retention", keep];
    let others = ["--retention-of", "peer_events=400d"];
    let Command::Run(options) = Cli::parse_from(arguments.into_iter().chain(others)).command else {
        unreachable!("it says run")
    };
    options.lifecycle.policies()
}

/// Every aggregate's rows in an order of their own.
fn question(name: &str) -> String {
    format!("select to_jsonb(a)::text as line from {name} a order by 1")
}

fn exec(statement: impl Into<String>) -> Value {
    json!(["exec", statement.into()])
}

/// The schema.
fn migrations() -> Vec<Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| exec(fs::read_to_string(file).unwrap())).collect()
}

/// What migrate does after that.
fn make_aggregates() -> Vec<Value> {
    let made = aggregates(Edition::Community).into_iter().flat_map(|aggregate| {
        let refresh = aggregate.refresh.map(|_| refresh(&aggregate.name));
        [Some(aggregate.create()), Some(aggregate.describe()), refresh, aggregate.policy()]
    });
    made.flatten().map(exec).chain([exec("select grant_roles()")]).collect()
}

fn refresh(name: &str) -> String {
    format!("call refresh_continuous_aggregate('{name}', null, null)")
}

/// The rows of one database for another: those of before a moment or from then on, with the
/// former the inventory.
async fn rows(bed: &Bed, when: &str) -> Vec<Value> {
    // A midnight: buckets that have begun are kept as they are until the next refresh.
    let midnight = START / 1_000_000 / 86_400 * 86_400 + 2 * 86_400;
    let mut steps = Vec::new();
    for table in TABLES {
        let hyper = table.ends_with("_events") || table == "stats_reports";
        let needed = hyper && table != "dump_events";
        let which = if hyper {
            format!("where time {when} to_timestamp({midnight})")
        } else if when == "<" {
            String::new()
        } else {
            continue;
        };
        let rows = format!("select jsonb_agg(to_jsonb(t)) from (select * from {table} {which}) t");
        let rows = bed.text(&rows).await;
        if rows == "null" {
            assert!(!needed, "{table} has no rows");
            continue;
        }
        let rows = rows.replace('\'', "''");
        steps.push(exec(format!(
            "insert into {table} overriding system value \
             select r.* from jsonb_populate_recordset(null::{table}, '{rows}'::jsonb) r"
        )));
    }
    steps
}

/// The history goes to the columnstore, after its policies were put as configured.
fn store_in_columns() -> Vec<Value> {
    let mut steps = vec![exec("set role ribstream_ingester")];
    for (keep, what) in [("90d", "first"), ("90d", "again"), ("200d", "longer")] {
        steps.extend(policies(keep).into_iter().map(exec));
        steps.push(json!([format!("policies {what}"), POLICIES]));
    }
    steps.push(exec("reset role"));
    for table in ["route_events", "evpn_events", "other_events"] {
        let compress = format!("select compress_chunk(c)::text from show_chunks('{table}') c");
        steps.push(json!([format!("chunks of {table}"), compress]));
    }
    steps
}

#[tokio::test(flavor = "multi_thread")]
async fn both_editions_give_the_same_answers() {
    let bed = Bed::new(1).await;
    let events: Vec<Event> = (1..=3).flat_map(days).collect();
    bed.store(&events).await;

    let mut steps = vec![exec("set time zone 'UTC'")];
    steps.extend(migrations());
    // What was there before the aggregates, and what comes while they are kept.
    steps.extend(rows(&bed, "<").await);
    steps.extend(make_aggregates());
    steps.extend(rows(&bed, ">=").await);
    let kept = aggregates(Edition::Community).into_iter().filter(|a| a.refresh.is_some());
    let kept: Vec<Value> = kept.map(|aggregate| exec(refresh(&aggregate.name))).collect();
    let names: Vec<String> =
        aggregates(Edition::Apache).into_iter().map(|aggregate| aggregate.name).collect();
    // As the last minutes are worked out when they are read, then as they are kept, then
    // with the history in the columnstore.
    let moments = [("read", Vec::new()), ("kept", kept), ("columnstore", store_in_columns())];
    for (moment, before) in &moments {
        steps.extend(before.iter().cloned());
        steps.push(exec("set role ribstream_reader"));
        let asked = names.iter().map(|name| json!([format!("{moment} {name}"), question(name)]));
        steps.extend(asked);
        steps.push(exec("reset role"));
    }
    // What the documentation asks works as well.
    steps.extend(blocks::blocks(true).into_iter().map(|(_, query)| exec(query)));
    let answers = community(&steps);
    assert_eq!(answers["policies first"].len(), 17, "retention of 9 tables, columnstore of 8");
    assert_eq!(answers["policies first"], answers["policies again"], "the same jobs");
    let longer = answers["policies longer"].iter().filter(|job| job.contains("17280000")).count();
    assert_eq!((answers["policies longer"].len(), longer), (17, 6));
    // A week, whatever is said for the history.
    let week = |table: &str| {
        let of = |job: &&String| job.starts_with(table) && job.ends_with(" 604800.000000");
        answers["policies longer"].iter().filter(of).count()
    };
    assert_eq!((week("raw_messages policy_retention"), week("processing_times")), (1, 1));
    for table in ["route_events", "evpn_events", "other_events"] {
        assert!(!answers[&format!("chunks of {table}")].is_empty());
    }
    let mut connection = bed.database.connect().await.unwrap();
    sqlx::raw_sql("set time zone 'UTC'").execute(&mut connection).await.unwrap();
    for name in &names {
        let apache: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(question(name)))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert!(!apache.is_empty(), "{name} has no rows");
        for (moment, _) in &moments {
            let community = &answers[&format!("{moment} {name}")];
            let differs = community.iter().zip(&apache).find(|(one, other)| one != other);
            assert_eq!(differs, None, "{name}, {moment}");
            assert_eq!(community.len(), apache.len(), "{name}, {moment}");
        }
    }
}

/// Runs steps on the Community edition; the named ones' rows.
fn community(steps: &[Value]) -> BTreeMap<String, Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("steps.json");
    fs::write(&script, serde_json::to_vec(steps).unwrap()).unwrap();
    let compose = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose");
    let done = process::Command::new(compose.join("community"))
        .arg(compose.join("community.mjs"))
        .arg(&script)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let answers: BTreeMap<String, Vec<Value>> = serde_json::from_slice(&done.stdout).unwrap();
    let text = |row: &Value| {
        row.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    };
    answers.into_iter().map(|(name, rows)| (name, rows.iter().map(text).collect())).collect()
}
