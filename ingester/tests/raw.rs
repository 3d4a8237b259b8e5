//! BMP messages as received, and when each event passed where: each joins to its events.

mod common;
#[path = "common/replay.rs"]
mod replay;

use common::{Bed, Speaker};
use prost::Message as _;
use rdkafka::message::{Header, OwnedHeaders};
use replay::{collect_with, frames};
use ribstream_collector::raw::Framer;
use ribstream_proto::{
    record,
    v1::{DeadLetter, Event, PeerUp, event::Body},
};
use ribstream_testkit::captures::{capture, stats};
use serde_json::Value;

/// The tables of history, with what a row of them says of its message: the BMP type, and that
/// no message brought it.
const HISTORY: [(&str, &str, &str); 6] = [
    ("route_events", "0", "false"),
    ("evpn_events", "0", "false"),
    ("other_events", "0", "false"),
    ("peer_events", "case kind when 'up' then 3 when 'down' then 2 else 0 end", "reason = 256"),
    ("stats_reports", "1", "false"),
    ("mirrored_messages", "6", "false"),
];

/// What is not of this run: the database's ids and clock.
const RAW: &str = "select string_agg(md5(format('%s %s %s %s %s %s %s', time, router_time, session, \
    sequence, router_address, kafka_time, message)), '' order by session, sequence) \
    from raw_messages";
const TIMES: &str = "select md5(string_agg(format('%s %s %s %s %s %s %s', time, router_time, \
    session, sequence, partition, record_offset, kafka_time), '|' order by partition, record_offset)) \
    from processing_times";

fn raw_topic(bed: &Bed) -> String {
    format!("{}-raw", bed.topic)
}

/// Sends a stream to a collector that publishes raw messages too.
async fn collect(bed: &Bed, stream: &[u8]) {
    let raw = raw_topic(bed);
    bed.kafka.create_topic(&raw, 3).await.unwrap();
    collect_with(bed, stream, &["--raw", "--topic-raw", &raw]).await;
}

/// Stores all of both topics.
async fn store(bed: &Bed) {
    let raw = raw_topic(bed);
    let ingester = bed.ingester(&["--raw", "--topic-raw", &raw, "--processing-times"]);
    bed.wait_until_stored().await;
    bed.wait_until_stored_of(&raw).await;
    assert_eq!(ingester.stop(), Some(0));
}

/// The bytes in the database are the stream's, message by message.
async fn assert_stream(bed: &Bed, stream: &[u8]) {
    let mut connection = bed.database.connect().await.unwrap();
    let stored: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("select sequence, message from raw_messages order by sequence")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let frames = frames(stream);
    assert_eq!(stored.len(), frames.len());
    for ((sequence, message), (number, frame)) in stored.iter().zip((1..).zip(frames)) {
        assert_eq!(*sequence, number);
        assert!(message == frame, "message {number}");
    }
}

/// A capture's messages are stored as sent, and each row of history joins the one that it is of.
async fn check(name: &str) {
    let (Some(stream), Some(stats)) = (capture(name), stats(name)) else { return };
    let bed = Bed::new(4).await;
    collect(&bed, &stream).await;
    store(&bed).await;
    assert_stream(&bed, &stream).await;
    for (kind, count) in stats["messages"].as_object().unwrap() {
        let rows = format!("select count(*) from raw_log where message_type = '{kind}'");
        assert_eq!(bed.number(&rows).await, count.as_i64().unwrap(), "{kind}");
    }
    let whose = "select count(*) from raw_messages m join bmp_sessions s using (router_id, session) \
                 where m.collector = s.collector and m.router_address = s.address";
    assert_eq!(bed.number(whose).await, stats["total_messages"].as_i64().unwrap());

    for (table, message_type, of_none) in HISTORY {
        let rows = bed.number(&format!("select count(*) from {table}")).await;
        let of_none = bed.number(&format!("select count(*) from {table} where {of_none}")).await;
        for (joined, expected) in [
            // A message of the right kind, by the function and by hand.
            (
                format!(
                    "select count(*) from {table} e cross join lateral \
                     raw_message(e.peer_id, e.time, e.session, e.sequence) m \
                     where m.message_type = {message_type} \
                         and m.router_time is not distinct from e.router_time"
                ),
                rows - of_none,
            ),
            (
                format!(
                    "select count(*) from {table} \
                     join (select id as peer_id, router_id from peers) p using (peer_id) \
                     join raw_messages m using (router_id, session, sequence, time)"
                ),
                rows - of_none,
            ),
            (
                format!(
                    "select count(*) from {table} \
                     join processing_times t using (peer_id, session, sequence, time)"
                ),
                rows,
            ),
        ] {
            assert_eq!(bed.number(&joined).await, expected, "{joined}");
        }
    }
    // The message of a prefix has it as RFC 4271 writes it: its length, and as many octets.
    let holds = "position(set_byte('\\x00', 0, masklen(prefix)) \
        || substr(inet_send(prefix), 5, (masklen(prefix) + 7) / 8) in m.message) > 0";
    let unicast = "from route_events e cross join lateral \
        raw_message(e.peer_id, e.time, e.session, e.sequence) m where safi = 1";
    let rows = bed.number("select count(*) from route_events where safi = 1").await;
    assert_eq!(bed.number(&format!("select count(*) {unicast} and {holds}")).await, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_frr10_unicast_joins_the_message_that_it_was() {
    check("frr10-unicast").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_frr10_mirror_joins_the_message_that_it_was() {
    check("frr10-mirror").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_gobgp336_multi_joins_the_message_that_it_was() {
    check("gobgp336-multi").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ingesters_that_are_killed_leave_each_message_and_each_time_once() {
    let Some(stream) = capture("churn-gobgp-2p") else { return };
    let bed = Bed::new(4).await;
    collect(&bed, &stream).await;
    let raw = raw_topic(&bed);
    let both = async || {
        let raw: i64 = bed.kafka.lengths(&raw).await.unwrap().iter().sum();
        replay::records(&bed).await + raw
    };
    let total = both().await;
    let arguments = ["--raw", "--topic-raw", &raw, "--processing-times", "--batch-rows", "3000"];
    bed.store_by_ingesters_that_are_killed(total, &arguments).await;
    assert_stream(&bed, &stream).await;

    let beside = bed.beside().await;
    let ingester = beside.ingester(&arguments[..4]);
    beside.wait_until_stored().await;
    beside.wait_until_stored_of(&raw).await;
    assert_eq!(ingester.stop(), Some(0));
    for rows in [RAW, TIMES] {
        assert!(bed.text(rows).await == beside.text(rows).await, "{rows}");
    }
    assert_eq!(bed.digest().await, beside.digest().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_programs_write_is_stored_without_a_place_and_what_is_no_message_is_parked() {
    let bed = Bed::new(1).await;
    let raw = raw_topic(&bed);
    bed.kafka.create_topic(&raw, 2).await.unwrap();
    let producer = bed.producer();
    let mut framer = Framer::new("theirs", "2001:db8::1".parse().unwrap());
    let frame = framer.frame(&[3, 0, 0, 0, 6, 4], common::START).to_vec();
    let header = |key, value| OwnedHeaders::new().insert(Header { key, value: Some(value) });
    let whole = header(record::HEADER_ROUTER, "r1")
        .insert(Header { key: record::HEADER_SESSION, value: Some("77") })
        .insert(Header { key: record::HEADER_SEQUENCE, value: Some("1") });
    for headers in [
        OwnedHeaders::new(),
        header(record::HEADER_SESSION, "77"),
        header(record::HEADER_ROUTER, "r1")
            .insert(Header { key: record::HEADER_SESSION, value: Some("-1") })
            .insert(Header { key: record::HEADER_SEQUENCE, value: Some("1") }),
        whole.clone(),
    ] {
        producer.send_to(&raw, "theirs", b"no frame", &headers);
        producer.send_to(&raw, "theirs", &frame, &headers);
    }
    // An identity that cannot be one.
    let long = header(record::HEADER_ROUTER, &"r".repeat(2000))
        .insert(Header { key: record::HEADER_SESSION, value: Some("77") })
        .insert(Header { key: record::HEADER_SEQUENCE, value: Some("1") });
    producer.send_to(&raw, "theirs", &frame, &long);
    producer.flush();
    store(&bed).await;
    let rows = "select json_agg(json_build_array(session, sequence, router, router_id is null, \
        collector, message_type, message) order by session nulls first) from raw_log";
    let theirs = serde_json::json!([
        null,
        null,
        "2001:db8::1",
        true,
        "theirs",
        "initiation",
        "\\x030000000604"
    ]);
    let ours = serde_json::json!([77, 1, "r1", false, "theirs", "initiation", "\\x030000000604"]);
    let stored: Value = serde_json::from_str(&bed.text(rows).await).unwrap();
    assert_eq!(stored, serde_json::json!([theirs, theirs, theirs, ours]));
    let letters = bed.kafka.consume(&bed.dead_letter).await.unwrap();
    let mut reasons = Vec::new();
    for letter in &letters {
        let letter = DeadLetter::decode(letter.payload.as_slice()).unwrap();
        assert_eq!(letter.topic, raw);
        reasons.push(letter.reason);
    }
    reasons.sort();
    let refused = ["name_too_long", "not_openbmp", "not_openbmp", "not_openbmp", "not_openbmp"];
    assert_eq!(reasons, refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_s_times_are_in_order_and_its_place_is_that_of_its_record() {
    let Some(stream) = capture("frr10-unicast") else { return };
    let bed = Bed::new(3).await;
    collect(&bed, &stream).await;
    store(&bed).await;
    let records = bed.kafka.consume(&bed.topic).await.unwrap();
    let mut connection = bed.database.connect().await.unwrap();
    let times: Vec<(i32, i64, i64, i64)> = sqlx::query_as(
        "select partition, record_offset, session, sequence from processing_times \
         order by partition, record_offset",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let expected: Vec<_> = records
        .iter()
        .filter_map(|record| {
            let event = Event::decode(record.payload.as_slice()).unwrap();
            event.peer.as_ref()?;
            let number = |value: u64| i64::try_from(value).unwrap();
            Some((record.partition, record.offset, number(event.session), number(event.sequence)))
        })
        .collect();
    assert_eq!(times, expected);
    // Kafka's timestamps have milliseconds.
    let order = "select count(*) from processing_times \
        where kafka_time > time - interval '1 ms' and stored >= kafka_time \
            and stored <= now()";
    assert_eq!(bed.number(order).await, i64::try_from(times.len()).unwrap());
    let delays = "select count(*) from event_delays where to_kafka > interval '-1 ms' \
        and collector_to_database = to_kafka + to_database and router = '127.0.0.1'";
    assert_eq!(bed.number(delays).await, i64::try_from(times.len()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_told_twice_has_its_times_once_and_without_the_setting_none() {
    let bed = Bed::new(1).await;
    let mut speaker = Speaker::new(1, 1);
    let mut events = vec![speaker.event(Body::PeerUp(PeerUp::default())), speaker.announce(1..=10)];
    for (event, number) in events.iter_mut().zip(1..) {
        event.peer_sequence = number;
    }
    events.push(events[1].clone());
    let producer = bed.producer();
    for event in events {
        producer.send(&event);
    }
    producer.flush();
    let beside = bed.beside().await;
    for (bed, arguments, rows) in [(&bed, &["--processing-times"][..], 2), (&beside, &[], 0)] {
        let ingester = bed.ingester(arguments);
        bed.wait_until_stored().await;
        assert_eq!(ingester.stop(), Some(0));
        assert_eq!(bed.number("select count(*) from processing_times").await, rows);
        assert_eq!(bed.number("select count(*) from route_events").await, 10);
    }
}
