//! The raw topic: what routers have sent, byte for byte, as OpenBMP's readers expect it.

use bgpkit_parser::parser::bmp::{messages::BmpMsgType, parse_bmp_msg, parse_openbmp_header};
use bytes::Bytes;
use ribstream_proto::{record, v1::RouterDownReason};
use ribstream_testkit::{Kafka, Record, captures, topic};
use tokio::io::AsyncWriteExt;

use crate::{
    collector::{Collector, assert_same, expected, frames},
    delivery::capture_or_skip,
};

/// The header's collector, router and time, and the BMP message behind it.
fn open(record: &Record) -> (String, String, f64, Bytes) {
    let mut bytes = Bytes::from(record.payload.clone());
    let whole = bytes.len();
    let header = parse_openbmp_header(&mut bytes).unwrap();
    assert_eq!(whole - bytes.len(), usize::from(header.header_len));
    assert_eq!(bytes.len(), usize::try_from(header.msg_len).unwrap());
    (header.admin_id, header.router_ip.to_string(), header.timestamp, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_raw_topic_holds_the_stream_message_by_message() {
    let stream = capture_or_skip!("frr10-unicast");
    // One that decoding refuses, between good ones.
    let (first, rest) = stream.split_at(frames(&stream)[0].len());
    let stream = [first, &[3, 0, 0, 0, 7, 200, 0], rest].concat();
    let kafka = Kafka::shared().await.unwrap();
    let raw = topic("raw");
    let collector = Collector::start(&kafka, &["--raw", "--topic-raw", &raw]).await;
    collector.play(&stream, 1 << 20).await;
    let count = frames(&stream).len() as u64;
    assert_eq!(collector.metric("ribstream_collector_raw_messages_total").await, count);
    let topics = collector.stop().await;
    assert_same(&topics.events().await, &expected(&stream, RouterDownReason::Disconnect));

    let records = kafka.consume(&raw).await.unwrap();
    assert_eq!(kafka.lengths(&raw).await.unwrap().len(), 3, "partitions as configured");
    let mut sent = Vec::new();
    let mut last = 0.0;
    let session = topics.decoded().await[0].session.to_string();
    for (record, number) in records.iter().zip(1_u64..) {
        assert_eq!(record.partition, records[0].partition, "a router has one partition");
        assert_eq!(record.key, b"127.0.0.1");
        assert_eq!(record.header(record::HEADER_EVENT), Some("raw"));
        assert_eq!(record.header(record::HEADER_ROUTER), Some("127.0.0.1"));
        assert_eq!(record.header(record::HEADER_CONTENT_TYPE), Some(record::CONTENT_TYPE_RAW));
        assert_eq!(record.header(record::HEADER_SESSION), Some(session.as_str()));
        assert_eq!(record.header(record::HEADER_SEQUENCE), Some(number.to_string().as_str()));
        let (collector, router, time, message) = open(record);
        assert_eq!((collector.as_str(), router.as_str()), ("test", "127.0.0.1"));
        assert!(time >= last && time > 1_700_000_000.0);
        last = time;
        sent.extend_from_slice(&message);
    }
    assert_eq!(records.len(), frames(&stream).len());
    assert!(sent == stream, "the records' bytes are the stream");
}

#[tokio::test(flavor = "multi_thread")]
async fn bgpkit_reads_a_raw_record_as_it_reads_the_router() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let raw = topic("raw");
    let collector = Collector::start(&kafka, &["--raw", "--topic-raw", &raw]).await;
    collector.play(&stream, 1 << 20).await;
    collector.stop().await;
    let records = kafka.consume(&raw).await.unwrap();
    let mut route_monitoring = 0;
    for (record, frame) in records.iter().zip(frames(&stream)) {
        let (.., mut message) = open(record);
        let (theirs, ours) =
            (parse_bmp_msg(&mut message), parse_bmp_msg(&mut Bytes::from(frame.to_vec())));
        assert_eq!(format!("{theirs:?}"), format!("{ours:?}"));
        if let Ok(theirs) = theirs
            && theirs.common_header.msg_type == BmpMsgType::RouteMonitoring
        {
            assert!(theirs.per_peer_header.is_some());
            route_monitoring += 1;
        }
    }
    // As many as the independent counter found.
    let stats = captures::stats("frr10-unicast").unwrap();
    assert_eq!(Some(route_monitoring), stats["messages"]["route-monitoring"].as_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_record_that_kafka_refuses_closes_its_session() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let raw = topic("raw");
    kafka.create_topic_with(&raw, 1, &[("max.message.bytes", "100")]).await.unwrap();
    let collector = Collector::start(&kafka, &["--raw", "--topic-raw", &raw]).await;
    let mut connection = collector.connect().await;
    connection.write_all(&stream).await.unwrap();
    collector.sessions_closed(1).await;
    let metrics = collector.get("/metrics").await;
    assert!(
        metrics.contains("ribstream_collector_sessions_closed_total{reason=\"publish-failed\"} 1"),
        "{metrics}"
    );
    let ends = collector.stop().await.ends().await;
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].0, RouterDownReason::PublishFailed);
    assert!(ends[0].1.contains(&raw), "{}", ends[0].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_raw_topic_is_made_unless_asked_for() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let raw = topic("raw");
    let collector = Collector::start(&kafka, &["--topic-raw", &raw]).await;
    collector.play(&stream, 1 << 20).await;
    assert_eq!(collector.metric("ribstream_collector_raw_messages_total").await, 0);
    collector.stop().await;
    assert!(kafka.lengths(&raw).await.is_err());
}
