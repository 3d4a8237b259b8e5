//! A COMMIT whose fate its sender does not know.

use crate::{
    bench::{Bench, at_once, scenario},
    common,
    member::Member,
    proxy::{Cut, Proxy},
};

#[test]
fn a_commit_whose_fate_is_unknown_is_done_once() {
    at_once(&[
        scenario!(a_commit_whose_answer_is_lost_was_done_and_is_not_done_again),
        scenario!(a_commit_that_is_lost_is_done_again),
    ]);
}

async fn a_commit_is_cut(cut: Cut) {
    let mut bench = Bench::new(2).await;
    let proxy = Proxy::to(bench.bed.database.url()).await;
    let mut command = bench.bed.command_of(&bench.bed.group, proxy.url());
    // The sweep is another's connection.
    let member = Member::spawn(command.args(["--keep-gone", "0s", "--writers", "1"]));
    bench.publish(5);
    bench.bed.wait_until_stored().await;
    for cuts in 1..=3 {
        proxy.cut(cut);
        bench.publish(20);
        common::wait_for("the cut", async || proxy.is_cut()).await;
        bench.bed.wait_until_stored().await;
        member.wait_for_metric("retries_total", cuts).await;
    }
    bench.publish(5);
    bench.assert_exact().await;
    assert_eq!(member.logged("cannot write to the database, will try again"), 3);
    // It found out by itself: its partitions never left it.
    assert_eq!(member.metric("fenced_total").await, 0);
    assert_eq!(member.metric(r#"rebalances_total{change="revoked"}"#).await, 0);
    member.stop();
}

async fn a_commit_whose_answer_is_lost_was_done_and_is_not_done_again() {
    a_commit_is_cut(Cut::Answer).await;
}

async fn a_commit_that_is_lost_is_done_again() {
    a_commit_is_cut(Cut::Request).await;
}
