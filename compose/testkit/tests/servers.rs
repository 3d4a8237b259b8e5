//! The servers that the testkit gives are real, private where they say so, and obey.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use ribstream_testkit::{Database, Kafka, OwnKafka, OwnPostgres, topic};
use sqlx::{Connection, PgConnection};

async fn produce(kafka: &Kafka, topic: &str, partition: i32, payload: &str) {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", kafka.brokers()).create().unwrap();
    let record = FutureRecord::to(topic)
        .partition(partition)
        .key("key")
        .headers(OwnedHeaders::new().insert(Header { key: "type", value: Some("test") }))
        .payload(payload);
    producer.send(record, Duration::from_secs(30)).await.unwrap();
}

#[tokio::test]
async fn a_topic_is_read_back_whole_and_in_order() {
    let kafka = Kafka::shared().await.unwrap();
    let topic = topic("testkit");
    kafka.create_topic(&topic, 3).await.unwrap();
    for (partition, payload) in [(2, "a"), (0, "b"), (2, "c")] {
        produce(&kafka, &topic, partition, payload).await;
    }

    assert_eq!(kafka.lengths(&topic).await.unwrap(), [1, 0, 2]);
    let records = kafka.consume(&topic).await.unwrap();
    let found: Vec<_> =
        records.iter().map(|it| (it.partition, it.offset, it.payload.as_slice())).collect();
    assert_eq!(found, [(0, 0, &b"b"[..]), (2, 0, b"a"), (2, 1, b"c")]);
    assert_eq!(records[0].key, b"key");
    assert_eq!(records[0].header("type"), Some("test"));
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_an_error() {
    let kafka = Kafka::shared().await.unwrap();
    assert!(kafka.consume(&topic("absent")).await.is_err());
}

#[tokio::test]
async fn a_fresh_database_has_timescaledb_and_is_dropped_at_the_end() {
    let database = Database::fresh().await.unwrap();
    let other = Database::fresh().await.unwrap();
    assert_ne!(database.url(), other.url());
    let mut connection = database.connect().await.unwrap();
    sqlx::raw_sql(
        "create table t (time timestamptz not null);
         select create_hypertable('t', by_range('time'))",
    )
    .execute(&mut connection)
    .await
    .unwrap();

    let url = database.url().to_owned();
    drop(database);
    assert!(PgConnection::connect(&url).await.is_err());
    assert!(other.connect().await.is_ok());
}

#[tokio::test]
async fn a_kafka_of_ones_own_keeps_its_log_when_killed() {
    let own = OwnKafka::start().await.unwrap();
    let topic = topic("own");
    own.kafka().create_topic(&topic, 1).await.unwrap();
    produce(own.kafka(), &topic, 0, "kept").await;

    own.kill().await.unwrap();
    assert!(tokio::net::TcpStream::connect(own.kafka().brokers()).await.is_err());
    own.restart().await.unwrap();
    assert_eq!(own.kafka().consume(&topic).await.unwrap()[0].payload, b"kept");
}

#[tokio::test]
async fn a_postgres_of_ones_own_keeps_what_was_committed_when_killed_and_waits_when_paused() {
    let own = OwnPostgres::start().await.unwrap();
    let mut connection = PgConnection::connect(own.url()).await.unwrap();
    sqlx::raw_sql("create table t as select 7 as kept").execute(&mut connection).await.unwrap();

    own.kill().await.unwrap();
    assert!(connection.ping().await.is_err());
    own.restart().await.unwrap();
    let mut connection = PgConnection::connect(own.url()).await.unwrap();
    let kept: i32 =
        sqlx::query_scalar("select kept from t").fetch_one(&mut connection).await.unwrap();
    assert_eq!(kept, 7);

    own.pause().await.unwrap();
    let answer = tokio::time::timeout(Duration::from_millis(500), connection.ping()).await;
    assert!(answer.is_err(), "a paused server answered");
    own.resume().await.unwrap();
    let mut connection = PgConnection::connect(own.url()).await.unwrap();
    connection.ping().await.unwrap();
}
