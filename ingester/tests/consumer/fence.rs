//! Two ingesters that both believe to own a partition.

use crate::{
    bench::{Bench, Hold},
    common,
    member::Member,
};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_ingesters_with_the_same_batch_one_writes_it_and_the_other_drops_it() {
    let mut bench = Bench::new(1).await;
    bench.publish(5);
    // Two groups: Kafka gives the partition to both.
    let (first, second) = (
        Member::start(&bench.bed, &[]),
        Member::spawn(&mut bench.bed.command_of("another", bench.bed.database.url())),
    );
    bench.bed.wait_until_stored().await;
    for member in [&first, &second] {
        member.wait_for_metric(r#"rebalances_total{change="assigned"}"#, 1).await;
    }
    let before = first.metric("fenced_total").await + second.metric("fenced_total").await;
    let hold = Hold::take(&bench.bed, Hold::OFFSETS).await;
    bench.publish(25);
    bench.wait_for_blocked(2).await;
    hold.release().await;
    bench.bed.wait_until_stored().await;
    // Without the fence both write it.
    let doubled = format!("select count(*) - {} from route_events", bench.routes);
    common::wait_for("the fence", async || {
        first.metric("fenced_total").await + second.metric("fenced_total").await > before
            || bench.bed.number(&doubled).await > 0
    })
    .await;
    bench.assert_exact().await;
    let word = "another ingester has written this batch, dropped it";
    assert!(first.logged(word) + second.logged(word) > 0);
    // They go on to fight over it.
    bench.publish(50);
    bench.assert_exact().await;
    first.stop();
    second.stop();
}
