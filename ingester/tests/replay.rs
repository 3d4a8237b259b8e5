//! A range of the topic written again: into the database that has it, or into another.

mod common;

use std::process::Output;

use common::{Bed, START, Speaker, binary};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use ribstream_proto::v1::{Event, PeerDown, PeerDownReason, PeerUp, event::Body};
use sqlx::AssertSqlSafe;

/// Publishes the lives of four peers in two sessions each, the first of which has ended.
fn publish(bed: &Bed) {
    let producer = bed.producer();
    let mut lives: Vec<_> = (1..=4).map(|number| life(number).into_iter()).collect();
    let mut more = true;
    while more {
        more = false;
        for life in &mut lives {
            for event in life.by_ref().take(7) {
                more = true;
                producer.send(&event);
            }
        }
    }
    producer.flush();
}

fn life(number: u8) -> Vec<Event> {
    let mut first = Speaker::new(number, number);
    let mut events = first.story(300);
    let mut second = Speaker::new(number, number);
    second.session += 1_000_000;
    second.sequence = 1000;
    // The second session goes on: its peer is up at the end.
    let mut story = second.story(400);
    story.truncate(story.len() - 2);
    for (event, number) in events.iter_mut().zip(1..).chain(story.iter_mut().zip(1..)) {
        event.peer_sequence = if event.peer.is_some() { number } else { 0 };
    }
    events.extend(story);
    events
}

fn replay(bed: &Bed, arguments: &[&str]) -> Output {
    binary()
        .args(["replay", "--kafka", bed.kafka.brokers(), "--topic-events", &bed.topic])
        .args(["--database-url", bed.database.url()])
        .args(arguments)
        .output()
        .unwrap()
}

/// What it printed, of one that must succeed.
fn replayed(bed: &Bed, arguments: &[&str]) -> String {
    let done = replay(bed, arguments);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// What it complained of, of one that must not.
fn refused(bed: &Bed, arguments: &[&str]) -> String {
    let done = replay(bed, arguments);
    assert!(!done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    String::from_utf8_lossy(&done.stderr).into_owned()
}

async fn store(bed: &Bed) {
    // These events are of May: a session that has not ended would soon be silent.
    let ingester = bed.ingester(&["--session-silence", "1000d"]);
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));
}

async fn execute(bed: &Bed, sql: &str) {
    let mut connection = bed.database.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
}

/// Rows lost, rows of an ingester with a fault, rows that nobody knows where they are from,
/// and current tables that are wrong in every way.
const DAMAGE: &str = "
    delete from route_events where ordinal = 0 and sequence % 3 = 0;
    update route_events set med = 4711, change = 'new' where sequence % 5 = 0;
    insert into route_events select * from route_events where sequence % 7 = 1;
    delete from evpn_events;
    delete from peer_events where kind = 'down';
    update stats_reports set value = value + 1 where sequence % 2 = 0;
    delete from routes where prefix <<= '10.0.0.0/12' and changes > 1;
    update routes set withdrawn = null, local_pref = 7 where withdrawn is not null;
    update evpn_routes set epoch = epoch + 1;
    delete from other_routes;
    update peer_epochs set ended = now();
    update peer_holds set up = false;
    delete from rib_dumps;
    update peers set epoch = 17, up = false, since = now() where id % 2 = 0;
    update bmp_sessions set sys_name = 'nobody', ended = null;
    delete from bmp_sessions where session % 2 = 0;
";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_right_is_left_alone_and_what_is_wrong_is_put_right() {
    let bed = Bed::new(2).await;
    publish(&bed);
    store(&bed).await;
    let right = bed.digest().await;
    let versions = "select md5(string_agg(tableoid || xmin::text || ctid::text, ' ' \
                    order by tableoid, ctid)) from route_events";
    let before = bed.text(versions).await;
    let said = replayed(&bed, &["--from", "earliest"]);
    assert_eq!(said.matches("nothing to change").count(), 2, "{said}");
    assert_eq!(bed.digest().await, right);
    assert_eq!(bed.text(versions).await, before, "no row was touched");

    execute(&bed, DAMAGE).await;
    let wrong = bed.digest().await;
    assert_ne!(wrong, right);
    let said = replayed(&bed, &["--from", "earliest", "--dry-run"]);
    assert!(said.contains("route_events: ") && said.contains("would be deleted"), "{said}");
    assert_eq!(bed.digest().await, wrong, "a dry run changes nothing");
    replayed(&bed, &["--from", "earliest"]);
    assert_eq!(bed.digest().await, right);
    assert_eq!(
        bed.number("select count(*) from pg_namespace where nspname = 'ribstream_replay'").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_range_is_written_into_another_database_and_its_current_tables_are_right() {
    let bed = Bed::new(1).await;
    publish(&bed);
    store(&bed).await;
    let end = bed.stored().await;
    let (from, to) = (end / 3, end / 2);
    let other = bed.beside().await;
    let bounds = [from.to_string(), to.to_string()];
    let said = replayed(&other, &["--from", &bounds[0], "--to", &bounds[1], "--dry-run"]);
    assert!(said.contains("route_events: 0 rows would be deleted"), "{said}");
    assert_eq!(other.number("select count(*) from routers").await, 0, "a dry run leaves nothing");
    replayed(&other, &["--from", &bounds[0], "--to", &bounds[1]]);
    assert_eq!(other.stored().await, to);

    // The same as a database that stops there, less the history before the range.
    let reference = bed.beside().await;
    replayed(&reference, &["--from", "0", "--to", &bounds[1]]);
    let all = reference.number("select count(*) from route_events").await;
    let some = other.number("select count(*) from route_events").await;
    assert!(some > 0 && some < all / 2, "{some} of {all}");
    let current = |digest: Vec<(String, i64, String)>| {
        digest
            .into_iter()
            .filter(|(table, ..)| !table.contains("event") && table != "stats_reports")
            .collect::<Vec<_>>()
    };
    assert_eq!(current(other.digest().await), current(reference.digest().await));

    // An ingester goes on from there, and with the rest replayed nothing is missing.
    store(&other).await;
    let mut other_bed = other;
    replayed(&other_bed, &["--from", "0", "--to", &bounds[0]]);
    assert_eq!(other_bed.digest().await, bed.digest().await);
    other_bed.topic = "no-such-topic".to_owned();
    assert!(refused(&other_bed, &["--from", "0"]).contains("no topic no-such-topic"));
}

/// A Peer Down that the collector makes bears the number of the last message: a range that begins
/// or ends between the two is not to take the one for the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_begins_or_ends_with_the_loss_of_a_session_leaves_its_last_message_alone() {
    let bed = Bed::new(1).await;
    let mut speaker = Speaker::new(1, 1);
    let mut events = vec![speaker.event(Body::PeerUp(PeerUp::default())), speaker.announce(1..=3)];
    let lost = PeerDown { reason: PeerDownReason::SessionLost as i32, ..PeerDown::default() };
    speaker.sequence -= 1;
    events.push(speaker.event(Body::PeerDown(lost)));
    bed.store(&events).await;
    let right = bed.digest().await;
    for range in [["--from", "2", "--to", "3"], ["--from", "0", "--to", "2"]] {
        let said = replayed(&bed, &range);
        assert!(said.contains("nothing to change"), "{range:?}: {said}");
        assert_eq!(bed.digest().await, right, "{range:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ingesters_go_on_meanwhile() {
    let bed = Bed::new(2).await;
    publish(&bed);
    store(&bed).await;
    execute(&bed, DAMAGE).await;
    let ingester = bed.ingester(&["--session-silence", "1000d", "--batch-rows", "200"]);
    let producer = bed.producer();
    let more = std::thread::spawn(move || {
        let mut speakers: Vec<_> = (1..=4).map(later).collect();
        for update in 0..400 {
            for speaker in &mut speakers {
                producer.send(&speaker.announce(update % 50..update % 50 + 3));
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        producer.flush();
    });
    replayed(&bed, &["--from", "0"]);
    more.join().unwrap();
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));
    let undisturbed = bed.beside().await;
    store(&undisturbed).await;
    assert_eq!(bed.digest().await, undisturbed.digest().await);
}

/// The peer's second session, further on.
fn later(number: u8) -> Speaker {
    let mut speaker = Speaker::new(number, number);
    speaker.session += 1_000_000;
    speaker.sequence = 5000;
    speaker
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_no_longer_holds_is_said_and_what_it_holds_is_replayed() {
    let bed = Bed::new(1).await;
    publish(&bed);
    store(&bed).await;
    let right = bed.digest().await;
    let low = bed.stored().await * 2 / 3;
    trim(&bed, low).await;

    let said = refused(&bed, &["--from", "0"]);
    assert!(
        said.contains("Kafka no longer holds the beginning of the range")
            && said.contains(&format!("begins at offset {low} ("))
            && said.contains("--from earliest"),
        "{said}"
    );
    let said = refused(&bed, &["--from", "2020-01-01T00:00:00Z"]);
    assert!(said.contains("--from 2020-01-01T00:00:00Z is before that"), "{said}");

    let said = replayed(&bed, &["--from", "earliest"]);
    assert!(said.contains("nothing to change"), "{said}");
    assert_eq!(bed.digest().await, right);

    // Of what is left of the topic everything comes back: here, the second sessions' rows
    // from the middle of their lives on.
    let time = bed
        .text(&format!("select max(time) from route_events where session > {}", START + 999_999))
        .await;
    execute(
        &bed,
        &format!(
            "update route_events set med = 4711 where time > timestamptz '{time}' - interval '100 ms'; \
             delete from evpn_events where time > timestamptz '{time}' - interval '100 ms'; \
             update routes set local_pref = 7 where heard > timestamptz '{time}' - interval '100 ms'; \
             update peers set up = false;"
        ),
    )
    .await;
    assert_ne!(bed.digest().await, right);
    replayed(&bed, &["--from", "earliest"]);
    assert_eq!(bed.digest().await, right);
}

/// Deletes the records of the topic before `low`, as retention does.
async fn trim(bed: &Bed, low: i64) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bed.kafka.brokers()).create().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&bed.topic, 0, Offset::Offset(low)).unwrap();
    admin.delete_records(&offsets, &AdminOptions::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_makes_no_sense_is_refused_with_what_to_do() {
    let bed = Bed::new(1).await;
    publish(&bed);
    store(&bed).await;
    let end = bed.stored().await;
    let beyond = (end + 1).to_string();
    for (arguments, words) in [
        (&["--from", "yesterday"][..], "is neither a time nor an offset"),
        (&["--from", &beyond], "is not in it"),
        (&["--from", "20", "--to", "10"], "--from 20 is after --to 10"),
        (&["--from", "0", "--partition", "7"], "has no partition 7"),
        (
            &[
                "--from",
                "2026-05-28T00:00:00Z",
                "--to",
                "2026-05-27T00:00:00Z",
                "--kafka-property",
                "x",
            ],
            "--kafka-property",
        ),
    ] {
        let said = refused(&bed, arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    let other = bed.beside().await;
    replayed(&other, &["--from", "0", "--to", "100"]);
    let said = refused(&other, &["--from", "200"]);
    assert!(said.contains("--from 100"), "{said}");
}
