//! A topic that does not hold what the database has not seen yet.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
};
use ribstream_proto::v1::{RouterUp, event::Body};
use sqlx::AssertSqlSafe;

use crate::{
    bench::{Bench, assert_exact, at_once, scenario},
    common::{self, Bed, Speaker},
    member::Member,
};

#[test]
fn a_topic_without_the_stored_offset_halts_and_goes_on_once_put_right() {
    at_once(&[
        scenario!(a_topic_that_was_trimmed_behind_a_sleeping_member_halts_that_partition_alone),
        scenario!(a_topic_that_is_created_again_under_a_running_member_halts_until_it_is_put_right),
    ]);
}

/// Runs the statement that the log gives as the remedy.
async fn remedy(bed: &Bed, member: &Member) {
    let log = member.log();
    let line =
        log.lines().rfind(|line| line.contains("to go on at the topic's beginning")).unwrap();
    let from = line.find("update ingest_offsets").unwrap();
    let to = line.find(" topic=").filter(|to| *to > from).unwrap_or(line.len());
    let mut connection = bed.database.connect().await.unwrap();
    let sql = AssertSqlSafe(line[from..to].to_owned());
    let done = sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    assert_eq!(done.rows_affected(), 1, "{line}");
}

async fn wait_until_halted(bed: &Bed, member: &Member, partition: usize, cause: &str) {
    let halted = format!(r#"halted{{partition="{partition}",topic="{}"}}"#, bed.topic);
    member.wait_for_metric(&halted, 1).await;
    assert!(member.logged(cause) > 0, "{}", member.log());
    let readiness = member.readiness().await;
    assert!(readiness.starts_with("HTTP/1.0 503"), "{readiness}");
    assert!(readiness.contains("offsets: 1 partitions are halted"), "{readiness}");
}

async fn wait_until_ready(member: &Member) {
    common::wait_for("health", async || member.readiness().await.starts_with("HTTP/1.0 200")).await;
}

async fn a_topic_that_was_trimmed_behind_a_sleeping_member_halts_that_partition_alone() {
    let mut bench = Bench::new(2).await;
    bench.publish(5);
    let member = Member::start(&bench.bed, &[]);
    bench.bed.wait_until_stored().await;
    let before = bench.bed.kafka.lengths(&bench.bed.topic).await.unwrap();
    member.ingester.pause();
    // The mock cluster keeps 5 MiB of a partition: of these 80 events the last 50 or so.
    let mut router = Speaker::new(100, 100);
    let producer = bench.bed.producer();
    for _ in 0..80 {
        let sys_descr = Some("x".repeat(100_000));
        producer.send(&router.event(Body::RouterUp(RouterUp { sys_descr, ..RouterUp::default() })));
    }
    producer.flush();
    member.ingester.resume();
    let after = bench.bed.kafka.lengths(&bench.bed.topic).await.unwrap();
    let trimmed = usize::from(before[0] == after[0]);
    wait_until_halted(
        &bench.bed,
        &member,
        trimmed,
        "Kafka has deleted records that were never stored",
    )
    .await;

    bench.publish(20);
    let other = 1 - trimmed;
    let end = bench.bed.kafka.lengths(&bench.bed.topic).await.unwrap()[other];
    let sql = format!("select next_offset from ingest_offsets where partition = {other}");
    common::wait_for("the other partition", async || bench.bed.number(&sql).await == end).await;
    assert!(end > before[other], "nothing was published to the other partition");
    let rows = "select count(*) from route_events";
    assert!(bench.bed.number(rows).await < bench.routes, "it is not halted");

    remedy(&bench.bed, &member).await;
    wait_until_ready(&member).await;
    common::wait_for("the rest", async || bench.bed.number(rows).await == bench.routes).await;
    member.stop();
}

async fn a_topic_that_is_created_again_under_a_running_member_halts_until_it_is_put_right() {
    // The mock cluster deletes no topics.
    let bed = Bed::new(1).await;
    let member = Member::start(&bed, &[]);
    let mut speaker = Speaker::new(1, 1);
    let publish = |speaker: &mut Speaker, messages: u32| {
        let producer = bed.producer();
        for message in 0..messages {
            producer.send(&speaker.announce([message]));
        }
        producer.flush();
    };
    publish(&mut speaker, 50);
    bed.wait_until_stored().await;
    let admin: AdminClient<_> =
        ClientConfig::new().set("bootstrap.servers", bed.kafka.brokers()).create().unwrap();
    admin.delete_topics(&[&bed.topic], &AdminOptions::new()).await.unwrap();
    common::wait_for("the end of the topic", async || bed.kafka.lengths(&bed.topic).await.is_err())
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    bed.kafka.create_topic(&bed.topic, 1).await.unwrap();
    publish(&mut speaker, 20);
    wait_until_halted(&bed, &member, 0, "the topic was deleted and created again").await;
    remedy(&bed, &member).await;
    wait_until_ready(&member).await;
    bed.wait_until_stored().await;
    assert_exact(&bed, 70).await;
    member.stop();
}
