//! A cluster of several brokers whose partitions change their leaders, and which refuses:
//! librdkafka's mock cluster, for what cannot be asked of one real broker.

use std::time::{Duration, Instant};

use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use ribstream_proto::v1::RouterDownReason;
use ribstream_testkit::{Kafka, captures, topic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    collector::{Collector, assert_same, expected, messages},
    delivery::capture_or_skip,
};

const BROKERS: i32 = 3;
const PARTITIONS: i32 = 3;

type Cluster = MockCluster<'static, DefaultProducerContext>;

async fn start() -> (Cluster, Collector) {
    let cluster = MockCluster::new(BROKERS).unwrap();
    let (events, dead_letter) = (topic("events"), topic("dead-letter"));
    for name in [&events, &dead_letter] {
        cluster.create_topic(name, PARTITIONS, BROKERS).unwrap();
    }
    let kafka = Kafka::at(cluster.bootstrap_servers());
    let collector = Collector::start_into(events, dead_letter, kafka.brokers(), &kafka, &[]).await;
    (cluster, collector)
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_change_their_leaders_lose_and_reorder_nothing() {
    let stream = capture_or_skip!("frr10-unicast");
    let (cluster, collector) = start().await;
    let mut connection = collector.connect().await;
    for (turn, part) in (0..).zip(stream.chunks(stream.len() / 20 + 1)) {
        connection.write_all(part).await.unwrap();
        for partition in 0..PARTITIONS {
            let leader = (turn + partition) % BROKERS + 1;
            cluster.partition_leader(&collector.events, partition, Some(leader)).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for partition in 0..PARTITIONS {
        cluster.partition_leader(&collector.events, partition, Some(1)).unwrap();
    }
    drop(connection);
    collector.sessions_closed(1).await;
    assert_eq!(collector.metric("ribstream_collector_records_failed_total").await, 0);
    let topics = collector.stop().await;
    assert_same(&topics.events().await, &expected(&stream, RouterDownReason::Disconnect));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_may_not_be_written_to_ends_the_session_and_the_next_has_everything() {
    let stream = capture_or_skip!("frr10-unicast");
    let (cluster, collector) = start().await;
    let mut connection = collector.connect().await;
    let before = messages(&stream, 3);
    connection.write_all(before).await.unwrap();
    collector.metric_reaches("ribstream_collector_records_acknowledged_total", 3).await;
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Produce, &[refusal]);
    connection.write_all(&messages(&stream, 4)[before.len()..]).await.unwrap();
    assert_eq!(connection.read(&mut [0; 1]).await.unwrap_or(0), 0, "the connection is closed");
    collector.sessions_closed(1).await;
    let metrics = collector.get("/metrics").await;
    for said in [
        "ribstream_collector_sessions_closed_total{reason=\"publish-failed\"} 1",
        "ribstream_collector_records_failed_total{reason=\"TopicAuthorizationFailed\"} ",
    ] {
        assert!(metrics.contains(said), "{metrics}");
    }

    // The router comes again, and once the producer has found that it may, everything is there.
    let play = async || {
        let mut connection = collector.connect().await;
        // What is closed before all is sent has failed.
        connection.write_all(&stream).await.is_ok()
    };
    let failed = async || collector.metric("ribstream_collector_records_failed_total").await;
    let (began, mut sessions) = (Instant::now(), 1);
    loop {
        let before = failed().await;
        let sent = play().await;
        sessions += 1;
        collector.sessions_closed(sessions).await;
        if sent && failed().await == before {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it is refused for ever");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let topics = collector.stop().await;
    let events = topics.decoded().await;
    let session = events.iter().map(|event| event.session).max().unwrap();
    let whole: usize = expected(&stream, RouterDownReason::Disconnect).values().map(Vec::len).sum();
    assert_eq!(events.iter().filter(|event| event.session == session).count(), whole);
}
