//! Partitions that go to another member while their records are on their way.

use crate::{
    bench::{Bench, Hold, at_once, scenario},
    common,
    member::Member,
};

#[test]
fn partitions_that_go_to_another_member_lose_and_double_nothing() {
    at_once(&[
        scenario!(a_batch_that_has_not_moved_the_offsets_is_dropped_with_its_partitions),
        scenario!(
            a_batch_that_has_moved_the_offsets_and_not_committed_is_dropped_with_its_partitions
        ),
        scenario!(the_search_for_a_refused_record_survives_that_its_partition_goes),
        scenario!(a_member_that_wakes_after_its_partitions_have_gone_cannot_write_what_it_had_read),
        scenario!(of_a_member_that_sleeps_in_its_transaction_and_its_heir_one_writes),
        scenario!(partitions_that_were_paused_when_they_went_are_read_when_they_come_back),
        scenario!(a_writer_that_is_behind_pauses_again_after_it_has_lost_partitions),
    ]);
}

/// What the log of a member has that was given a partition.
const POSITION: &str = "positions=[(";

/// What the log of a member has that reads faster than the database writes.
const PAUSED: &str = "paused partitions";

async fn partitions_that_were_paused_when_they_went_are_read_when_they_come_back() {
    let mut bench = Bench::new(1).await;
    bench.publish(1);
    let sleeper = Member::start(&bench.bed, &["--batch-rows", "10"]);
    bench.bed.wait_until_stored().await;
    let hold = Hold::take(&bench.bed, Hold::OFFSETS).await;
    bench.publish(20);
    sleeper.wait_for_log(PAUSED).await;
    sleeper.ingester.pause();
    let heir = Member::start(&bench.bed, &[]);
    heir.wait_for_log(POSITION).await;
    // Else the sleeper's transaction would have the lock for as long as the server lets it.
    bench.end_blocked().await;
    hold.release().await;
    bench.bed.wait_until_stored().await;
    sleeper.ingester.resume();
    sleeper.wait_for_log("partitions revoked").await;
    heir.stop();
    bench.publish(5);
    bench.assert_exact().await;
    sleeper.stop();
}

async fn a_writer_that_is_behind_pauses_again_after_it_has_lost_partitions() {
    let mut bench = Bench::new(4).await;
    bench.publish(1);
    let arguments = ["--writers", "1", "--batch-rows", "10"];
    let first = Member::start(&bench.bed, &arguments);
    bench.bed.wait_until_stored().await;
    let hold = Hold::take(&bench.bed, Hold::OFFSETS).await;
    bench.publish(20);
    first.wait_for_log(PAUSED).await;
    let second = Member::start(&bench.bed, &arguments);
    second.wait_for_log(POSITION).await;
    hold.release().await;
    bench.bed.wait_until_stored().await;
    let hold = Hold::take(&bench.bed, Hold::OFFSETS).await;
    bench.publish(20);
    common::wait_for("another pause", async || first.logged(PAUSED) == 2).await;
    hold.release().await;
    bench.assert_exact().await;
    first.stop();
    second.stop();
}

/// A member gives half of its partitions away while its batch waits in the database.
async fn a_batch_is_dropped_where_it_waits(hold: &str) {
    let mut bench = Bench::new(4).await;
    bench.publish(10);
    let first = Member::start(&bench.bed, &["--writers", "1"]);
    bench.bed.wait_until_stored().await;
    let hold = Hold::take(&bench.bed, hold).await;
    bench.publish(50);
    bench.wait_for_blocked(1).await;
    let second = Member::start(&bench.bed, &["--writers", "1"]);
    second.wait_for_log(POSITION).await;
    hold.release().await;
    bench.publish(50);
    bench.assert_exact().await;
    // Its log tells of the batch, its metrics of the partitions.
    first.wait_for_log("dropped a revoked batch").await;
    assert!(first.metric(r#"rebalances_total{change="revoked"}"#).await >= 1);
    assert!(second.metric("records_total").await > 0, "nothing was left for the second");
    assert_eq!(first.metric("parked_total").await, 0);
    first.stop();
    second.stop();
}

async fn a_batch_that_has_not_moved_the_offsets_is_dropped_with_its_partitions() {
    a_batch_is_dropped_where_it_waits(Hold::OFFSETS).await;
}

async fn a_batch_that_has_moved_the_offsets_and_not_committed_is_dropped_with_its_partitions() {
    a_batch_is_dropped_where_it_waits(Hold::HISTORY).await;
}

async fn the_search_for_a_refused_record_survives_that_its_partition_goes() {
    let mut bench = Bench::new(4).await;
    // The database refuses a prefix, when the holder of the lock lets it.
    let mut connection = bench.bed.database.connect().await.unwrap();
    sqlx::raw_sql(
        "create function refuse() returns trigger language plpgsql as $$ begin \
             if new.prefix = '10.0.7.0/24' then \
                 perform pg_advisory_xact_lock(7); \
                 raise 'no seven'; \
             end if; \
             return new; \
         end $$; \
         create trigger refuse before insert on route_events for each row \
             execute function refuse()",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let hold = Hold::take(&bench.bed, "select pg_advisory_xact_lock(7)").await;
    bench.publish(20);
    let first = Member::start(&bench.bed, &["--writers", "1"]);
    bench.wait_for_blocked(1).await;
    let second = Member::start(&bench.bed, &["--writers", "1"]);
    second.wait_for_log(POSITION).await;
    hold.release().await;
    // One of each speaker's messages is refused.
    bench.routes -= 8;
    bench.assert_exact().await;
    first.wait_for_log("dropped a revoked batch").await;
    let parked = r#"parked_total{reason="refused"}"#;
    assert_eq!(first.metric(parked).await + second.metric(parked).await, 8);
    let letters = bench.bed.kafka.consume(&bench.bed.dead_letter).await.unwrap();
    assert_eq!(letters.len(), 8);
    first.stop();
    second.stop();
}

async fn a_member_that_wakes_after_its_partitions_have_gone_cannot_write_what_it_had_read() {
    let mut bench = Bench::new(1).await;
    bench.publish(5);
    let zombie = Member::start(&bench.bed, &["--batch-age", "2s"]);
    bench.bed.wait_until_stored().await;
    // It has read these, and its batch is not due yet.
    bench.publish(20);
    zombie.wait_for_metric("records_total", 200).await;
    zombie.ingester.pause();
    let heir = Member::start(&bench.bed, &[]);
    bench.bed.wait_until_stored().await;
    zombie.ingester.resume();
    // It learns it from Kafka or from the fence, whichever is first.
    common::wait_for("the news", async || {
        zombie.logged("partitions revoked") + zombie.logged("another ingester has written") > 0
    })
    .await;
    bench.publish(5);
    bench.assert_exact().await;
    assert_eq!(heir.metric("fenced_total").await, 0);
    zombie.stop();
    heir.stop();
}

async fn of_a_member_that_sleeps_in_its_transaction_and_its_heir_one_writes() {
    let mut bench = Bench::new(1).await;
    bench.publish(5);
    let sleeper = Member::start(&bench.bed, &[]);
    bench.bed.wait_until_stored().await;
    let hold = Hold::take(&bench.bed, Hold::HISTORY).await;
    bench.publish(20);
    bench.wait_for_blocked(1).await;
    sleeper.ingester.pause();
    // It has moved the offset and holds its row, for which the heir now waits.
    let heir = Member::start(&bench.bed, &[]);
    bench.wait_for_blocked(2).await;
    hold.release().await;
    sleeper.ingester.resume();
    // Awake, it commits, or hears from Kafka that it is not to and drops its batch; as it joins
    // again, the heir may have to give the partition up and drop its own.
    common::wait_for("the end of one batch", async || {
        let dropped = "dropped a revoked batch";
        heir.logged("another ingester has written") + heir.logged(dropped) + sleeper.logged(dropped)
            > 0
    })
    .await;
    bench.publish(5);
    bench.assert_exact().await;
    sleeper.stop();
    heir.stop();
}
