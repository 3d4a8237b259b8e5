//! Brokers that answer with errors.

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::{
    bench::{Bench, at_once, scenario},
    member::Member,
};

#[test]
fn errors_of_brokers_lose_and_double_nothing() {
    at_once(&[
        scenario!(errors_of_fetches_lose_nothing),
        scenario!(an_offset_that_a_broker_wrongly_calls_out_of_range_is_read_after_joining_again),
        scenario!(a_member_that_the_group_has_forgotten_joins_it_again),
        scenario!(nothing_depends_on_the_offsets_of_the_group),
    ]);
}

async fn errors_of_fetches_lose_nothing() {
    let mut bench = Bench::new(2).await;
    bench.publish(5);
    let member = Member::start(&bench.bed, &[]);
    bench.bed.wait_until_stored().await;
    for error in [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    ] {
        bench.cluster.request_errors(RDKafkaApiKey::Fetch, &[error; 3]);
        bench.publish(20);
        bench.bed.wait_until_stored().await;
    }
    bench.assert_exact().await;
    member.stop();
}

async fn an_offset_that_a_broker_wrongly_calls_out_of_range_is_read_after_joining_again() {
    let mut bench = Bench::new(2).await;
    bench.publish(5);
    let member = Member::start(&bench.bed, &[]);
    bench.bed.wait_until_stored().await;
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
    bench.cluster.request_errors(RDKafkaApiKey::Fetch, &[error]);
    bench.publish(20);
    bench.assert_exact().await;
    assert_eq!(member.logged("a partition no longer holds the offset to be read"), 1);
    let halted = format!(r#"halted{{partition="0",topic="{}"}}"#, bench.bed.topic);
    assert_eq!(member.metric(&halted).await, 0);
    member.stop();
}

async fn a_member_that_the_group_has_forgotten_joins_it_again() {
    let mut bench = Bench::new(2).await;
    bench.publish(5);
    let member = Member::start(&bench.bed, &[]);
    bench.bed.wait_until_stored().await;
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
    bench.cluster.request_errors(RDKafkaApiKey::Heartbeat, &[error]);
    member.wait_for_metric(r#"rebalances_total{change="revoked"}"#, 1).await;
    bench.publish(20);
    bench.assert_exact().await;
    member.stop();
}

async fn nothing_depends_on_the_offsets_of_the_group() {
    let mut bench = Bench::new(2).await;
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
    bench.cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[error; 1000]);
    bench.publish(20);
    let first = Member::start(&bench.bed, &[]);
    bench.bed.wait_until_stored().await;
    first.stop();
    bench.publish(20);
    let second = Member::start(&bench.bed, &[]);
    bench.assert_exact().await;
    assert_eq!(second.metric("fenced_total").await, 0);
    second.stop();
}
