//! The chaos run: everything is killed and paused at random, and nothing may come of it.
//!
//! ```text
//!  seed ──► schedule ──► world ◄── router: captures, played anew after each loss
//!                        │ collectors, ingesters (process), Kafka, PostgreSQL
//!                        ▼
//!                      check: what routers hold ── as in an undisturbed run
//!                             history ── as one ingester writes it from the same topic
//!                             each event once, no gap, nothing parked
//! ```
//!
//! One round more sets the daemons' clocks instead.
//!
//! `CHAOS_SECONDS` says for how long (rounds begin as long as there is time for one more),
//! `CHAOS_SEED` chooses streams and faults, `CHAOS_ROUND` the first round: each has a schedule
//! of its own, whatever came before it.

#[path = "../common/mod.rs"]
mod common;

mod check;
mod process;
mod random;
mod router;
mod schedule;
mod world;

use std::{
    fmt::Write as _,
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use process::Group;
use random::Random;
use ribstream_testkit::captures;
use router::Stream;
use schedule::{Act, Cast, clocks, schedule};
use world::{Router, Servers, World};

/// How long faults happen in a round.
const FAULTS: Duration = Duration::from_secs(25);
/// Messages of a stream at most: several are played in each round.
const MESSAGES: u64 = 6000;
/// How long, in milliseconds, an undisturbed stream takes.
const PACE: (u64, u64) = (3000, 10_000);
/// How long after the last event the views may take to tell the truth: a dump without
/// End-of-RIB is over when nothing has come for some seconds, and a collector that was killed
/// is missed after some.
const CONVERGENCE: Duration = Duration::from_secs(40);

/// The random sequences of a seed beside those of its rounds.
const OF_STREAMS: u64 = u64::MAX;
const OF_CLOCKS: u64 = u64::MAX - 1;

/// What the environment asks for.
struct Settings {
    length: Duration,
    seed: u64,
    first_round: u64,
}

impl Settings {
    fn read() -> Self {
        let number = |name: &str| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
            Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
        };
        // Another each time, so that what is run often finds more.
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        Self {
            length: Duration::from_secs(number("CHAOS_SECONDS").unwrap_or(180)),
            seed: number("CHAOS_SEED").unwrap_or_else(now),
            first_round: number("CHAOS_ROUND").unwrap_or(1),
        }
    }
}

/// Says how to repeat a run that fails, and keeps its logs.
struct Scene {
    seed: u64,
    round: u64,
    logs: Option<tempfile::TempDir>,
}

impl Scene {
    fn logs(&self) -> &Path {
        self.logs.as_ref().expect("they are kept at the end").path()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(logs) = self.logs.take()
        {
            let (seed, round, logs) = (self.seed, self.round, logs.keep());
            println!("\nchaos failed: seed {seed}, round {round} (0 is what comes before them)");
            println!("the daemons' logs are in {}", logs.display());
            println!("to repeat: CHAOS_SEED={seed} CHAOS_ROUND={} make chaos", round.max(1));
        }
    }
}

/// Every capture there is, as a router of its own; some whose peers stay up have two sessions.
fn routers(random: &mut Random) -> Vec<Router> {
    let names = captures::names(".bmp.zst");
    let routers = (11..).zip(names).filter_map(|(last, name)| {
        let stream = Stream::load(&name, MESSAGES, random)?;
        let sessions = if !stream.flaps && random.below(2) == 0 { 2 } else { 1 };
        let source = Ipv4Addr::new(127, 0, 0, last);
        Some(Router { name, source, stream: Arc::new(stream), sessions })
    });
    routers.collect()
}

/// Waits until all routers have told everything and it is in the database.
async fn settle(world: &mut World, routers: &[Router]) {
    world.settle.cancel();
    let complete = async |world: &World| {
        world.players.sessions.iter().all(|session| session.complete.load(Ordering::SeqCst))
    };
    world.until("routers to say all that they have to say", complete).await;
    for router in routers {
        let (source, octets) = (router.source.to_string(), router.stream.octets.len());
        let what = format!("the sessions of {} at {source} to settle", router.name);
        let settled = async |world: &World| {
            check::has_settled(&world.bed, &source, octets, router.sessions).await
        };
        world.until(&what, settled).await;
    }
    world.bed.wait_until_stored().await;
}

/// What the routers hold where nothing disturbs anything.
async fn undisturbed(servers: &Arc<Servers>, routers: &[Router], logs: &Path) -> check::Held {
    let routers: Vec<Router> =
        routers.iter().map(|router| Router { sessions: 1, ..router.clone() }).collect();
    let cast = Cast { collectors: 1, ingesters: 1, sessions: routers.len() };
    let random = Random::new(0, 0);
    let mut world = World::start(servers, &routers, cast, (1000, 1000), None, random, logs).await;
    settle(&mut world, &routers).await;
    let held = check::held(&world.bed).await;
    world.end().await;
    world.end_ingesters();
    held
}

/// What a round was.
struct Told {
    faults: usize,
    streams: u64,
    records: i64,
}

/// A round of faults at random.
async fn round(
    servers: &Arc<Servers>,
    routers: &[Router],
    expected: &check::Held,
    mut random: Random,
    logs: &Path,
) -> Told {
    let sessions = routers.iter().map(|router| router.sessions).sum();
    let cast = Cast { collectors: 2, ingesters: 2, sessions };
    let schedule = schedule(&mut random, cast, FAULTS);
    let world = World::start(servers, routers, cast, PACE, None, random, logs).await;
    suffer(servers, world, routers, &schedule, expected, logs).await
}

/// A round in which clocks are set.
async fn round_of_clocks(
    servers: &Arc<Servers>,
    routers: &[Router],
    expected: &check::Held,
    random: Random,
    logs: &Path,
) -> Told {
    let routers: Vec<Router> =
        routers.iter().map(|router| Router { sessions: 1, ..router.clone() }).collect();
    let cast = Cast { collectors: 1, ingesters: 2, sessions: routers.len() };
    let library = process::clock_library();
    let world = World::start(servers, &routers, cast, PACE, Some(library), random, logs).await;
    suffer(servers, world, &routers, &clocks(routers.len()), expected, logs).await
}

/// Has a schedule happen, and checks what came of it.
async fn suffer(
    servers: &Arc<Servers>,
    mut world: World,
    routers: &[Router],
    schedule: &[Act],
    expected: &check::Held,
    logs: &Path,
) -> Told {
    world.suffer(schedule).await;
    let begun = Instant::now();
    settle(&mut world, routers).await;
    let settled = Instant::now();
    let mut difference = check::difference(expected, &check::held(&world.bed).await);
    while !difference.is_empty() {
        assert!(settled.elapsed() < CONVERGENCE, "what the routers hold:\n{difference}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        difference = check::difference(expected, &check::held(&world.bed).await);
    }
    let (settling, converging) = (settled - begun, settled.elapsed());
    println!("all told and stored after {settling:.1?}, true after {converging:.1?} more");

    world.end().await;
    world.bed.wait_until_stored().await;
    common::wait_for("the sessions to end", async || check::all_ended(&world.bed).await).await;
    world.end_ingesters();
    let mut wrong = check::exactly_once(&world.bed).await;

    let beside = servers.beside(&world.bed).await;
    let group = Group::new(None);
    let ingester = world::ingester("the undisturbed ingester", &beside, None, &group, logs);
    beside.wait_until_stored().await;
    common::wait_for("the sessions to end", async || check::all_ended(&beside).await).await;
    assert_eq!(ingester.stop(), Some(0));
    let difference = check::difference_between(&world.bed, &beside).await;
    if !difference.is_empty() {
        let _ = writeln!(wrong, "written again without disturbances:\n{difference}");
    }
    assert!(wrong.is_empty(), "{wrong}");
    let records = world.bed.stored().await;
    Told { faults: schedule.len(), streams: world.streams(), records }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_and_paused_the_database_tells_the_truth() {
    let begun = Instant::now();
    let Settings { length, seed, first_round } = Settings::read();
    let routers = routers(&mut Random::new(seed, OF_STREAMS));
    if routers.is_empty() {
        return;
    }
    let logs = Some(tempfile::Builder::new().prefix("ribstream-chaos-").tempdir().unwrap());
    let mut scene = Scene { seed, round: 0, logs };
    println!("chaos: seed {seed}, {} s", length.as_secs());
    for router in &routers {
        let Router { name, source, stream, sessions } = router;
        println!("{source}: {name}, {} messages, sessions: {sessions}", stream.messages);
    }
    let servers = Arc::new(Servers::start().await);
    let logs = scene.logs().join("undisturbed");
    let expected = undisturbed(&servers, &routers, &logs).await;
    println!("undisturbed: {} routes are current", check::routes(&expected));

    println!("\nround of clocks");
    let (logs, random) = (scene.logs().join("clocks"), Random::new(seed, OF_CLOCKS));
    let told = round_of_clocks(&servers, &routers, &expected, random, &logs).await;
    println!("{} streams begun, {} records; all is equal", told.streams, told.records);

    let (mut longest, mut faults, mut records) = (Duration::ZERO, told.faults, told.records);
    scene.round = first_round;
    loop {
        let round_begun = Instant::now();
        println!("\nround {}", scene.round);
        let logs = scene.logs().join(format!("round-{}", scene.round));
        let random = Random::new(seed, scene.round);
        let told = round(&servers, &routers, &expected, random, &logs).await;
        std::fs::remove_dir_all(logs).unwrap();
        let took = round_begun.elapsed();
        println!(
            "round {}: {} faults, {} streams begun, {} records; all is equal, after {:.0} s",
            scene.round,
            told.faults,
            told.streams,
            told.records,
            took.as_secs_f64()
        );
        longest = longest.max(took);
        faults += told.faults;
        records += told.records;
        if begun.elapsed() + longest > length {
            break;
        }
        scene.round += 1;
    }
    let rounds = scene.round - first_round + 1;
    println!("\nchaos: seed {seed}, {rounds} rounds, {faults} faults, {records} records");
}
