//! Random histories of a router: whatever happens, the tables say what the router holds.
//!
//! ```text
//! history ──► play ──────────────► moments ──┬─► memory: the ingester's state machine alone
//!  steps      network: the router,           └─► database: Kafka, ingester, TimescaleDB
//!             its sessions, the topic
//!             claims: what the tables must say
//! ```
//!
//! A history that fails is shrunk and printed as a table of its steps.

#[path = "../common/mod.rs"]
mod common;

mod claims;
mod database;
mod events;
mod history;
mod memory;
mod network;
mod play;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use database::Bench;
use history::{History, Stamps, history};
use memory::{Memory, Names};
use play::{Life, play, table};
use proptest::{
    strategy::{Strategy as _, ValueTree},
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};

/// Histories that are run in memory for each kind of timestamps, where `PROPTEST_CASES` does
/// not ask for more, and how long they may be.
const HISTORIES: u32 = 2000;
const STEPS: usize = 60;

/// Routers whose histories go through Kafka into the database, and how long those may be.
const ROUTERS: usize = 40;
const STEPS_STORED: usize = 40;

/// How long a history that fails in the database may be shrunk.
const SHRINKING: Duration = Duration::from_mins(1);

fn fail(why: &str, history: &History) -> ! {
    panic!("{why}\n{}", table(history, &play(history, "router")))
}

fn in_memory(names: &Names, history: &History) -> Result<(), String> {
    Memory::new(names).check(history, &play(history, "router"))
}

fn the_state_machine_agrees(stamps: Stamps) {
    let names = Names::new();
    let config = Config::default();
    let cases = config.cases.max(HISTORIES);
    let config = Config { cases, failure_persistence: None, ..config };
    let done = TestRunner::new(config).run(&history(stamps, STEPS), |history| {
        in_memory(&names, &history).map_err(TestCaseError::fail)
    });
    match done {
        Ok(()) => {}
        Err(TestError::Fail(why, history)) => fail(why.message(), &history),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn without_timestamps_the_state_machine_agrees_with_the_router() {
    the_state_machine_agrees(Stamps::None);
}

#[test]
fn with_timestamps_of_changes_the_state_machine_agrees_with_the_router() {
    the_state_machine_agrees(Stamps::OfChange);
}

#[test]
fn with_timestamps_of_messages_the_state_machine_agrees_with_the_router() {
    the_state_machine_agrees(Stamps::WhenWritten);
}

#[test]
fn with_timestamps_of_whole_seconds_the_state_machine_agrees_with_the_router() {
    the_state_machine_agrees(Stamps::WholeSeconds);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_agrees_with_the_router() {
    let mut runner = TestRunner::default();
    let mut trees: Vec<_> = Stamps::ALL
        .into_iter()
        .cycle()
        .take(ROUTERS)
        .map(|stamps| {
            history(stamps, STEPS_STORED)
                .prop_filter("a session falls silent twice", falls_silent_once)
                .new_tree(&mut runner)
                .unwrap()
        })
        .collect();
    let histories: Vec<History> = trees.iter().map(ValueTree::current).collect();
    let mut bench = Bench::new().await;
    let found = bench.check(&histories.iter().collect::<Vec<_>>()).await;
    println!("{} comparisons", bench.checkpoints);
    for (tree, found) in trees.iter_mut().zip(found) {
        if let Err(why) = found {
            let (why, history) = shrink(&mut bench, tree, why).await;
            fail(&why, &history);
        }
    }
    bench.stop();
}

/// The shortest history found that fails, and how.
async fn shrink(
    bench: &mut Bench,
    tree: &mut impl ValueTree<Value = History>,
    mut why: String,
) -> (String, History) {
    let begun = Instant::now();
    let mut shortest = tree.current();
    let mut more = tree.simplify();
    while more && begun.elapsed() < SHRINKING {
        let history = tree.current();
        match bench.check(&[&history]).await.remove(0) {
            Err(what) => {
                (why, shortest) = (what, history);
                more = tree.simplify();
            }
            Ok(()) => more = tree.complicate(),
        }
    }
    (why, shortest)
}

/// Whether the database can be made to show the history's silence: see [`Bench`].
fn falls_silent_once(history: &History) -> bool {
    let mut silent = BTreeMap::new();
    for (session, life) in play(history, "router").iter().flat_map(|moment| &moment.lives) {
        if *life == Life::Silent {
            *silent.entry(*session).or_insert(0) += 1;
        }
    }
    silent.values().all(|times| *times == 1)
}
