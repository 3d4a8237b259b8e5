//! What cannot be stored, a database that goes away, a topic that is not what it was.

mod common;

use std::{process::Stdio, time::Duration};

use bytes::Bytes;
use common::{Bed, Ingester, Speaker, binary, routes};
use prost::Message as _;
use ribstream_proto::v1::{DeadLetter, Prefix, PrefixRoute, RouteUpdate, event::Body};
use ribstream_testkit::{Database, Kafka, OwnPostgres};
use sqlx::AssertSqlSafe;

async fn execute(bed: &Bed, sql: &str) {
    let mut connection = bed.database.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
}

async fn letters(bed: &Bed) -> Vec<DeadLetter> {
    let records = bed.kafka.consume(&bed.dead_letter).await.unwrap();
    records.iter().map(|record| DeadLetter::decode(&*record.payload).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_no_event_is_parked_and_the_rest_goes_on() {
    let bed = Bed::new(1).await;
    let producer = bed.producer();
    let mut speaker = Speaker::new(1, 1);
    producer.send(&speaker.announce([1]));
    producer.send_raw("k", b"\xff\xff not protobuf");
    producer.send_raw("k", b"");
    let mut peerless = speaker.announce([2]);
    peerless.peer = None;
    producer.send(&peerless);
    let mut unknown = speaker.announce([3]);
    unknown.body = None;
    producer.send(&unknown);
    let mut bad = routes([4]);
    bad.prefixes.push(PrefixRoute {
        prefix: Some(Prefix { address: Bytes::from_static(&[10, 0, 0, 0]), length: 33 }),
        ..PrefixRoute::default()
    });
    producer.send(&speaker.event(Body::RouteUpdate(RouteUpdate {
        view: 1,
        announced: vec![bad],
        ..RouteUpdate::default()
    })));
    producer.send(&speaker.announce([5]));
    producer.flush();
    let ingester = bed.ingester(&[]);
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));

    assert_eq!(
        bed.text("select array_agg(prefix order by prefix) from route_events").await,
        "{10.0.1.0/24,10.0.5.0/24}"
    );
    let letters = letters(&bed).await;
    let reasons: Vec<_> = letters.iter().map(|it| (it.offset, it.reason.as_str())).collect();
    assert_eq!(
        reasons,
        [(1, "not_an_event"), (2, "no_body"), (3, "no_peer"), (4, "no_body"), (5, "bad_prefix")]
    );
    assert_eq!(letters[0].record, b"\xff\xff not protobuf"[..]);
    assert_eq!((letters[4].stage.as_str(), letters[4].topic.as_str()), ("ingester", &*bed.topic));
    assert_eq!((letters[4].router.as_str(), letters[4].sequence), ("192.0.2.1", 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_database_refuses_is_found_in_its_batch_and_parked() {
    let bed = Bed::new(1).await;
    execute(
        &bed,
        "alter table route_events add constraint no_seven check (prefix <> '10.0.7.0/24')",
    )
    .await;
    let producer = bed.producer();
    let mut speaker = Speaker::new(1, 1);
    for number in 0..300 {
        producer.send(&speaker.announce([number % 100]));
    }
    producer.flush();
    let ingester = bed.ingester(&[]);
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));

    assert_eq!(bed.number("select count(*) from route_events").await, 297);
    assert_eq!(bed.number("select count(distinct sequence) from route_events").await, 297);
    let letters = letters(&bed).await;
    let offsets: Vec<_> = letters.iter().map(|it| (it.offset, it.reason.as_str())).collect();
    assert_eq!(offsets, [7, 107, 207].map(|offset| (offset, "refused")));
    assert!(letters[0].detail.contains("no_seven"), "{}", letters[0].detail);
    assert_eq!(letters[0].sequence, 8);
    assert!(!letters[0].record.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_loses_nothing() {
    let postgres = OwnPostgres::start().await.unwrap();
    let database = Database::fresh_on(postgres.url()).await.unwrap();
    let bed = Bed::with(Kafka::shared().await.unwrap(), database, 2).await;
    let producer = bed.producer();
    let mut speakers = [Speaker::new(1, 1), Speaker::new(2, 2)];
    let publish = |speakers: &mut [Speaker]| {
        for _ in 0..2000 {
            for speaker in &mut *speakers {
                producer.send(&speaker.announce(0..5));
            }
        }
        producer.flush();
    };
    let mut ingester = bed.ingester(&["--batch-rows", "1000"]);
    publish(&mut speakers);
    common::wait_for("a start", async || bed.stored().await > 0).await;
    postgres.kill().await.unwrap();
    publish(&mut speakers);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(ingester.is_running());
    postgres.restart().await.unwrap();
    bed.wait_until_stored().await;
    postgres.stop().await.unwrap();
    publish(&mut speakers);
    postgres.restart().await.unwrap();
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));
    assert_eq!(bed.number("select count(*) from route_events").await, 60_000);
    assert_eq!(
        bed.number("select count(distinct (peer_id, sequence, ordinal)) from route_events").await,
        60_000
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_disk_is_full_loses_nothing_and_goes_on_when_there_is_room() {
    let Some(postgres) = OwnPostgres::start_on_a_disk_of("400M").await.unwrap() else {
        println!("left out: no right to mount a small disk");
        return;
    };
    let database = Database::fresh_on(postgres.url()).await.unwrap();
    let bed = Bed::with(Kafka::shared().await.unwrap(), database, 2).await;
    let producer = bed.producer();
    let mut speakers = [Speaker::new(1, 1), Speaker::new(2, 2)];
    let mut sent = 0;
    let mut publish = || {
        for _ in 0..4000 {
            for speaker in &mut speakers {
                producer.send(&speaker.announce(0..5));
                sent += 5;
            }
        }
        producer.flush();
        sent
    };
    publish();
    let mut ingester = bed.ingester(&["--batch-rows", "1000"]);
    bed.wait_until_stored().await;
    for _ in 0..2 {
        postgres.fill().await.unwrap();
        let (before, sent) = (bed.stored().await, publish());
        // Some of it has a place in pages and in the log that are there already.
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(ingester.is_running());
        postgres.free().await.unwrap();
        // One that could not write its log has ended, and is started again by who looks after it.
        postgres.restart().await.unwrap();
        assert!(bed.stored().await < before + 8000, "it was never full");
        bed.wait_until_stored().await;
        assert_eq!(bed.number("select count(*) from route_events").await, sent);
    }
    assert_eq!(ingester.stop(), Some(0));
    assert_eq!(
        bed.number("select count(distinct (peer_id, sequence, ordinal)) from route_events").await,
        bed.number("select count(*) from route_events").await
    );
    assert!(letters(&bed).await.is_empty());
}

/// What an operator, another client or the machine does to the database of `patient`, and what
/// ends it again.
struct Cause {
    what: &'static str,
    begin: String,
    end: String,
}

impl Cause {
    fn new(what: &'static str, begin: &str, end: &str) -> Self {
        Self { what, begin: begin.to_owned(), end: end.to_owned() }
    }

    /// The server gives this SQLSTATE to whoever writes a route.
    fn refusal(what: &'static str, code: &str) -> Self {
        let begin = format!(
            "create function refuse() returns trigger language plpgsql as $$
             begin raise exception 'the test says no' using errcode = '{code}'; end $$;
             create trigger refuse before insert on route_events
             for each row execute function refuse()"
        );
        Self::new(what, &begin, "drop function refuse cascade")
    }
}

fn causes() -> Vec<Cause> {
    let thrown_out =
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'patient'";
    let database = |setting: &str| {
        format!(
            "do $$ begin execute format('alter database %I {setting}', current_database()); end $$"
        )
    };
    let read_only = database("set default_transaction_read_only = on");
    let writable =
        format!("set transaction read write; {}", database("reset default_transaction_read_only"));
    vec![
        Cause::new("read-only", &format!("{read_only}; {thrown_out}"), &writable),
        Cause::new(
            "at its connection limit",
            &format!("alter role patient connection limit 0; {thrown_out}"),
            "alter role patient connection limit -1",
        ),
        Cause::new(
            "closed to the ingester",
            &format!("alter role patient nologin; {thrown_out}"),
            "alter role patient login",
        ),
        Cause::new(
            "without a right",
            "revoke insert on route_events from ribstream_ingester",
            "grant insert on route_events to ribstream_ingester",
        ),
        Cause::refusal("out of disk space", "53100"),
        Cause::refusal("out of memory", "53200"),
        Cause::refusal("in a deadlock", "40P01"),
        Cause::refusal("cancelling statements", "57014"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_for_a_while_loses_nothing() {
    let postgres = OwnPostgres::start().await.unwrap();
    let database = Database::fresh_on(postgres.url()).await.unwrap();
    let bed = Bed::with(Kafka::shared().await.unwrap(), database, 1).await;
    execute(&bed, "create role patient login password 'secret' in role ribstream_ingester").await;
    let url = bed.database.url().replace("ribstream:ribstream@", "patient:secret@");
    let mut command = bed.command_of(&bed.group, &url);
    let mut ingester = Ingester::spawn(command.args(["--http", "127.0.0.1:0"]));
    let producer = bed.producer();
    let mut speaker = Speaker::new(1, 1);
    let mut publish = || {
        for _ in 0..100 {
            producer.send(&speaker.announce(0..5));
        }
        producer.flush();
    };
    publish();
    bed.wait_until_stored().await;
    let mut rows = 500;
    for Cause { what, begin, end } in causes() {
        execute(&bed, &begin).await;
        publish();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(bed.number("select count(*) from route_events").await, rows, "{what}");
        execute(&bed, &end).await;
        bed.wait_until_stored().await;
        assert!(ingester.is_running(), "{what}");
        rows += 500;
        assert_eq!(bed.number("select count(*) from route_events").await, rows, "{what}");
    }
    // One that is only slow is waited for.
    let mut other = bed.database.connect().await.unwrap();
    let lock = "begin; lock table route_events in access exclusive mode";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    publish();
    tokio::time::sleep(Duration::from_secs(3)).await;
    sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));
    assert_eq!(
        bed.number("select count(distinct (sequence, ordinal)) from route_events").await,
        rows + 500
    );
    assert_eq!(bed.number("select count(*) from route_events").await, rows + 500);
    assert!(letters(&bed).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_outside_of_the_topic_halts_the_partition_until_it_is_put_right() {
    let bed = Bed::new(2).await;
    let producer = bed.producer();
    for number in 1..=8 {
        producer.send(&Speaker::new(number, number).announce([1]));
    }
    producer.flush();
    let lengths = bed.kafka.lengths(&bed.topic).await.unwrap();
    assert!(lengths.iter().all(|length| *length > 0), "{lengths:?}");
    execute(
        &bed,
        &format!("insert into ingest_offsets values ('{}', 1, 1000, null, now())", bed.topic),
    )
    .await;
    let mut ingester = bed.ingester(&[]);
    // The other partition goes on.
    common::wait_for("partition 0", async || {
        bed.number("select count(*) from route_events").await == lengths[0]
    })
    .await;
    assert!(ingester.is_running());
    assert_eq!(
        bed.number("select next_offset from ingest_offsets where partition = 1").await,
        1000
    );
    execute(&bed, "update ingest_offsets set next_offset = 0 where partition = 1").await;
    bed.wait_until_stored().await;
    assert_eq!(bed.number("select count(*) from route_events").await, 8);
    assert_eq!(ingester.stop(), Some(0));
}

/// What `run` says when it refuses to start.
async fn refusal(bed: &Bed) -> String {
    let child = binary()
        .args(["run", "--http", "127.0.0.1:0", "--kafka", bed.kafka.brokers()])
        .args(["--topic-events", &bed.topic, "--topic-dead-letter", &bed.dead_letter])
        .args(["--database-url", bed.database.url(), "--log", "off"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let wait = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap());
    let output = tokio::time::timeout(common::PATIENCE, wait).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.trim().lines().count(), 1, "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn another_schema_is_refused_by_one_line_with_the_remedy() {
    let bed = Bed::new(1).await;
    execute(
        &bed,
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         values (999, 'future', true, '', 0)",
    )
    .await;
    let text = refusal(&bed).await;
    assert!(text.contains("version 999, newer than this binary's"), "{text}");
    execute(&bed, "delete from _sqlx_migrations where version = 999").await;
    execute(&bed, "update _sqlx_migrations set version = version - 1").await;
    let text = refusal(&bed).await;
    assert!(
        text.contains("older than this binary's") && text.contains("ingester migrate`"),
        "{text}"
    );
    execute(&bed, "drop table _sqlx_migrations").await;
    let text = refusal(&bed).await;
    assert!(text.contains("no Ribstream schema") && text.contains("ingester migrate`"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_again_changes_nothing() {
    let bed = Bed::new(1).await;
    bed.migrate();
}
