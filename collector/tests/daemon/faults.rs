//! Kafka away, routers that break off, streams that are no BMP.

use std::time::Duration;

use ribstream_proto::v1::RouterDownReason;
use ribstream_testkit::{Kafka, OwnKafka, captures};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    collector::{Collector, assert_same, expected, frames, messages},
    delivery::capture_or_skip,
    proxy::Proxy,
};

#[tokio::test(flavor = "multi_thread")]
async fn kafka_stopped_for_20_s_in_mid_stream_loses_nothing() {
    let stream = capture_or_skip!("churn-gobgp-2p");
    let kafka = OwnKafka::start().await.unwrap();
    // Long enough for the watchdog, which finds that others do not reach Kafka either.
    let options = ["--publish-buffer", "2MB", "--publish-stall-timeout", "4s"];
    let collector = Collector::start(kafka.kafka(), &options).await;
    let mut connection = collector.connect().await;
    let (before, after) = stream.split_at(stream.len() / 4);
    connection.write_all(before).await.unwrap();
    // In mid-stream: not before the collector has its topics.
    collector.metric_reaches("ribstream_collector_records_acknowledged_total", 1000).await;
    kafka.pause().await.unwrap();
    let rest = async {
        connection.write_all(after).await.unwrap();
        drop(connection);
    };
    let pause = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        let published = collector.metric("ribstream_collector_records_published_total").await;
        assert!(published < 60_000, "{published} records taken while Kafka was stopped");
        kafka.resume().await.unwrap();
    };
    tokio::join!(rest, pause);
    collector.sessions_closed(1).await;
    let topics = collector.stop().await;
    assert_same(&topics.events().await, &expected(&stream, RouterDownReason::Disconnect));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_is_not_blamed_for_the_time_in_which_it_is_not_read() {
    let stream = capture_or_skip!("churn-gobgp-2p");
    let kafka = OwnKafka::start().await.unwrap();
    let limits = ["--message-timeout", "2s", "--idle-timeout", "2s", "--publish-buffer", "50kB"];
    let collector = Collector::start(kafka.kafka(), &limits).await;
    let mut connection = collector.connect().await;
    // A message is begun before Kafka stops, and another when it goes on.
    let stream = messages(&stream, 1000);
    let (begun, cut) = (messages(stream, 10).len() + 3, stream.len() - 3);
    connection.write_all(&stream[..begun]).await.unwrap();
    collector.metric_reaches("ribstream_collector_records_acknowledged_total", 10).await;
    kafka.pause().await.unwrap();
    connection.write_all(&stream[begun..cut]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(collector.metric("ribstream_collector_sessions_closed_total").await, 0);
    let read = collector.metric("ribstream_collector_messages_received_total").await;
    assert!(read < 999, "{read} messages read while Kafka was stopped");
    kafka.resume().await.unwrap();
    collector.metric_reaches("ribstream_collector_messages_received_total", 999).await;
    // Kafka is waited for no longer by then.
    tokio::time::sleep(Duration::from_millis(500)).await;
    connection.write_all(&stream[cut..]).await.unwrap();
    drop(connection);
    collector.sessions_closed(1).await;
    let topics = collector.stop().await;
    assert_same(&topics.events().await, &expected(stream, RouterDownReason::Disconnect));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_alone_is_cut_off_from_kafka_ends_the_collector() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let proxy = Proxy::start(kafka.brokers()).await;
    let stall = ["--publish-stall-timeout", "4s"];
    let collector = Collector::start_by_way_of(&proxy.address(), &kafka, &stall).await;
    let mut connection = collector.connect().await;
    let (before, after) = stream.split_at(messages(&stream, 3).len());
    connection.write_all(before).await.unwrap();
    collector.metric_reaches("ribstream_collector_records_acknowledged_total", 3).await;
    proxy.cut();
    connection.write_all(after).await.unwrap();
    let reason = collector.failure().await;
    assert!(reason.contains("while a new client reaches the brokers"), "{reason}");
    assert!(reason.contains("restart"), "{reason}");
    assert_eq!(connection.read(&mut [0; 1]).await.unwrap_or(0), 0, "the connection is closed");

    // The next process does what this one could not.
    let collector = Collector::start_by_way_of(&proxy.address(), &kafka, &stall).await;
    collector.play(&stream, 1 << 20).await;
    let topics = collector.stop().await;
    assert_same(&topics.events().await, &expected(&stream, RouterDownReason::Disconnect));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_was_told_of_no_broker_finds_it_again_or_ends_the_collector() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let proxy = Proxy::start(kafka.brokers()).await;
    let stall = ["--publish-stall-timeout", "10s"];
    let collector = Collector::start_by_way_of(&proxy.address(), &kafka, &stall).await;
    let mut connection = collector.connect().await;
    let (before, after) = stream.split_at(messages(&stream, 3).len());
    connection.write_all(before).await.unwrap();
    collector.metric_reaches("ribstream_collector_records_acknowledged_total", 3).await;
    proxy.hide_broker_once();
    // The question whether Kafka is well is the next.
    while !proxy.has_hidden_broker() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    connection.write_all(after).await.unwrap();
    // Which of the two is a matter of librdkafka's threads.
    let events = collector.events.clone();
    let all = frames(&stream).len();
    let published = async {
        while kafka.consume(&events).await.unwrap().len() < all {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = published => {}
        reason = collector.failure() => {
            assert!(reason.contains("while a new client reaches the brokers"), "{reason}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_fails_for_good_closes_its_session() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = OwnKafka::start().await.unwrap();
    // A producer that may not wait for long stands for one that Kafka refuses.
    let impatient = ["--kafka-property", "message.timeout.ms=2000"];
    let collector = Collector::start(kafka.kafka(), &impatient).await;
    let mut connection = collector.connect().await;
    connection.write_all(messages(&stream, 3)).await.unwrap();
    collector.metric_reaches("ribstream_collector_records_acknowledged_total", 3).await;
    kafka.pause().await.unwrap();
    connection.write_all(&stream[messages(&stream, 3).len()..]).await.unwrap();
    collector.sessions_closed(1).await;
    let metrics = collector.get("/metrics").await;
    assert!(
        metrics.contains("ribstream_collector_sessions_closed_total{reason=\"publish-failed\"} 1"),
        "{metrics}"
    );
    assert!(collector.metric("ribstream_collector_records_failed_total").await > 0);
    assert_eq!(connection.read(&mut [0; 1]).await.unwrap_or(0), 0, "the connection is closed");
    kafka.resume().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_resets_in_mid_message_keeps_what_was_whole() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let collector = Collector::start(&kafka, &[]).await;
    let whole = messages(&stream, 300);
    let mut connection = collector.connect().await;
    connection.write_all(&stream[..whole.len() + 20]).await.unwrap();
    collector.metric_reaches("ribstream_collector_messages_received_total", 300).await;
    SockRef::from(&connection).set_linger(Some(Duration::ZERO)).unwrap();
    drop(connection);
    collector.sessions_closed(1).await;
    assert_eq!(collector.metric("ribstream_collector_incomplete_bytes_total").await, 20);
    let topics = collector.stop().await;
    assert_same(&topics.events().await, &expected(whole, RouterDownReason::Disconnect));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_over_long_message_closes_the_session_with_its_reason() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let collector = Collector::start(&kafka, &[]).await;
    let whole = messages(&stream, 10);
    let mut connection = collector.connect().await;
    connection.write_all(whole).await.unwrap();
    connection.write_all(&[3, 0, 0x20, 0, 0, 0]).await.unwrap();
    assert_eq!(connection.read(&mut [0; 1]).await.unwrap_or(0), 0, "the connection is closed");
    collector.sessions_closed(1).await;
    let metrics = collector.get("/metrics").await;
    assert!(
        metrics.contains("ribstream_collector_sessions_closed_total{reason=\"length-long\"} 1"),
        "{metrics}"
    );
    let topics = collector.stop().await;
    let detail = "BMP message length 2097152 is over the limit of 1000000 bytes".to_owned();
    assert_eq!(topics.ends().await, [(RouterDownReason::BadFrame, detail)]);
    assert_same(&topics.events().await, &expected(whole, RouterDownReason::BadFrame));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_message_goes_to_the_dead_letters_and_the_session_goes_on() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let collector = Collector::start(&kafka, &[]).await;
    // A message of type 200 between good ones.
    let mut odd = messages(&stream, 10).to_vec();
    odd.extend([3, 0, 0, 0, 7, 200, 0]);
    odd.extend(&stream[messages(&stream, 10).len()..]);
    collector.play(&odd, 1 << 20).await;
    let topics = collector.stop().await;
    assert_eq!(topics.dead_letters().await, 1);
    assert_same(&topics.events().await, &expected(&odd, RouterDownReason::Disconnect));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_past_the_limit_is_refused_and_the_others_stay() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let collector = Collector::start(&kafka, &["--max-connections", "1"]).await;
    let mut first = collector.connect().await;
    first.write_all(messages(&stream, 1)).await.unwrap();
    collector.metric_reaches("ribstream_collector_sessions", 1).await;
    let mut second = collector.connect().await;
    assert_eq!(second.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(collector.metric("ribstream_collector_connections_refused_total").await, 1);
    first.write_all(&stream[messages(&stream, 1).len()..]).await.unwrap();
    drop(first);
    collector.sessions_closed(1).await;
    let topics = collector.stop().await;
    assert_same(&topics.events().await, &expected(&stream, RouterDownReason::Disconnect));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_tells_every_session_and_waits_for_its_events() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let collector = Collector::start(&kafka, &[]).await;
    let mut connection = collector.connect().await;
    connection.write_all(&stream).await.unwrap();
    let count = {
        let mut count = 0;
        let mut rest = stream.as_slice();
        while let Some(length) = ribstream_collector::frame::next_frame(rest, 1_000_000).unwrap() {
            count += 1;
            rest = &rest[length..];
        }
        count
    };
    collector.metric_reaches("ribstream_collector_messages_received_total", count).await;
    let topics = collector.stop().await;
    let events = topics.events().await;
    assert_same(&events, &expected(&stream, RouterDownReason::CollectorShutdown));
}
