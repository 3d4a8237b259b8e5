//! Everything arrives, once, in order.

use std::time::{Duration, Instant};

use ribstream_proto::v1::{RouterDownReason, event::Body};
use ribstream_testkit::{Kafka, captures};
use tokio::io::AsyncWriteExt;

use crate::{
    collector::{Collector, assert_same, expected, messages},
    identity::initiation,
};

/// The capture, or a word that the test was skipped.
macro_rules! capture_or_skip {
    ($name:literal) => {
        match captures::capture($name) {
            Some(bytes) => bytes,
            None => {
                println!("skipped: {} is not here", $name);
                return;
            }
        }
    };
}
pub(crate) use capture_or_skip;

#[tokio::test(flavor = "multi_thread")]
async fn each_peer_has_its_events_in_the_order_of_the_stream_however_it_is_split() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    for chunk in [1, 7, 1 << 20] {
        let collector = Collector::start(&kafka, &[]).await;
        // Byte by byte takes its time: the beginning has every kind of message.
        let stream = if chunk == 1 { messages(&stream, 60) } else { stream.as_slice() };
        collector.play(stream, chunk).await;
        let topics = collector.stop().await;
        assert_same(&topics.events().await, &expected(stream, RouterDownReason::Disconnect));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_topics_that_a_collector_makes_have_the_brokers_time() {
    let kafka = Kafka::shared().await.unwrap();
    let collector = Collector::start(&kafka, &[]).await;
    let mut connection = collector.connect().await;
    connection.write_all(&initiation(b"r1")).await.unwrap();
    // Nothing that is BMP.
    connection.write_all(&[9; 40]).await.unwrap();
    collector.sessions_closed(1).await;
    // How long Kafka took is measured all the same, by nobody's time of day.
    let count = "ribstream_collector_publish_seconds_count ";
    let mut measured = Some("0".to_owned());
    for _ in 0..200 {
        let metrics = collector.get("/metrics").await;
        measured = metrics.lines().find_map(|line| line.strip_prefix(count)).map(str::to_owned);
        if measured.as_deref() != Some("0") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let measured: usize = measured.unwrap().parse().unwrap();
    let (events, dead_letter) = (collector.events.clone(), collector.dead_letter.clone());
    collector.stop().await;
    let mut records = kafka.consume(&events).await.unwrap();
    records.extend(kafka.consume(&dead_letter).await.unwrap());
    assert!(measured > 0 && records.len() >= measured, "{measured} of {records:?}");
    assert!(records.iter().all(|record| record.appended.is_some()), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_sends_everything_and_closes_at_once_loses_nothing() {
    let stream = capture_or_skip!("churn-gobgp-2p");
    let kafka = Kafka::shared().await.unwrap();
    let collector = Collector::start(&kafka, &[]).await;
    collector.play(&stream, 1 << 20).await;
    let topics = collector.stop().await;
    assert_same(&topics.events().await, &expected(&stream, RouterDownReason::Disconnect));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_publish_buffer_holds_the_router_back_and_loses_nothing() {
    let stream = capture_or_skip!("churn-gobgp-2p");
    let stream = messages(&stream, 20_000);
    let kafka = Kafka::shared().await.unwrap();
    // Some sixty records: the session waits for Kafka again and again.
    let collector = Collector::start(&kafka, &["--publish-buffer", "50kB"]).await;
    collector.play(stream, 1 << 20).await;
    let waited = collector.get("/metrics").await;
    let waited = waited
        .lines()
        .find_map(|line| line.strip_prefix("ribstream_collector_backpressure_seconds_total "))
        .unwrap();
    assert!(waited.parse::<f64>().unwrap() > 0.0);
    let topics = collector.stop().await;
    assert_same(&topics.events().await, &expected(stream, RouterDownReason::Disconnect));
}

#[tokio::test(flavor = "multi_thread")]
async fn routers_at_once_have_sessions_of_their_own() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let collector = Collector::start(&kafka, &[]).await;
    let play = async || {
        let mut connection = collector.connect().await;
        connection.write_all(&stream).await.unwrap();
    };
    tokio::join!(play(), play(), play());
    collector.sessions_closed(3).await;
    let topics = collector.stop().await;
    assert!(topics.numbered().await > 0);
    let mut sessions: Vec<u64> = topics.decoded().await.iter().map(|event| event.session).collect();
    sessions.sort_unstable();
    let each: Vec<usize> = sessions.chunk_by(|a, b| a == b).map(<[u64]>::len).collect();
    let one: usize = expected(&stream, RouterDownReason::Disconnect).values().map(Vec::len).sum();
    assert_eq!(each, [one; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_session_says_so_and_a_silent_one_may_be_closed() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let limits = ["--heartbeat-interval", "100ms", "--idle-timeout", "1s"];
    let collector = Collector::start(&kafka, &limits).await;
    let mut connection = collector.connect().await;
    connection.write_all(messages(&stream, 5)).await.unwrap();
    collector.sessions_closed(1).await;
    let topics = collector.stop().await;
    let events = topics.decoded().await;
    let beats: Vec<u64> = events
        .iter()
        .filter_map(|event| match &event.body {
            Some(Body::Heartbeat(beat)) => Some(beat.messages),
            _ => None,
        })
        .collect();
    assert!(beats.len() >= 3, "{beats:?}");
    assert_eq!(beats.last(), Some(&5));
    let ends = topics.ends().await;
    assert_eq!(ends, [(RouterDownReason::Idle, "nothing received for 1s".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_event_does_not_wait_for_company() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let collector = Collector::start(&kafka, &[]).await;
    let mut connection = collector.connect().await;
    // The first also has the producer look for the topic's leaders.
    connection.write_all(messages(&stream, 1)).await.unwrap();
    collector.metric_reaches("ribstream_collector_records_acknowledged_total", 1).await;
    let sent = Instant::now();
    let second = &messages(&stream, 2)[messages(&stream, 1).len()..];
    connection.write_all(second).await.unwrap();
    collector.metric_reaches("ribstream_collector_records_acknowledged_total", 2).await;
    assert!(sent.elapsed() < Duration::from_secs(1), "{:?}", sent.elapsed());
    drop(connection);
    collector.stop().await;
}
