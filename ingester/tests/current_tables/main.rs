//! The proof of the current tables: they are what the routers' own command lines showed, at the
//! moments at which those were asked.
//!
//! ```text
//! NAME.cli.tar.zst ──► told ──────────────────────────────┐
//! NAME.ts.zst ──► capture: how far until then ──┐         ├─► compare ── known ──► what differs
//! NAME.bmp.zst ──► play ──► collector, Kafka, ingester ──► held
//! ```
//!
//! Any capture that has the same files is compared as well, without a word in here.

#[path = "../common/mod.rs"]
mod common;

mod capture;
mod compare;
mod held;
mod known;
mod play;
mod told;

use std::collections::BTreeMap;

use capture::Capture;
use common::Bed;
use compare::{Findings, Report};
use known::KNOWN;
use play::{Collector, Router};
use ribstream_testkit::captures::names;

/// A capture that is being played from an address of its own.
struct Played<'a> {
    capture: &'a Capture,
    source: String,
    router: Router,
    findings: Findings<'a>,
}

impl<'a> Played<'a> {
    async fn connect(
        collector: &Collector,
        capture: &'a Capture,
        findings: Findings<'a>,
        source: String,
    ) -> Self {
        let router = Router::connect(collector, &source).await;
        Self { capture, source, router, findings }
    }
}

/// Plays captures at once, all to their first moment, then all to their second, and compares at
/// each. The sessions are open all the while.
async fn play(bed: &Bed, collector: &Collector, captures: &mut [Played<'_>]) {
    let moments: Vec<Vec<usize>> =
        captures.iter().map(|played| played.findings.moments().into_iter().collect()).collect();
    let rounds = moments.iter().map(Vec::len).max().unwrap_or_default();
    let mut octets = vec![0; captures.len()];
    for round in 0..rounds {
        for (index, played) in captures.iter_mut().enumerate() {
            if let Some(moment) = moments[index].get(round) {
                played.router.play(&played.capture.stream, *moment);
                octets[index] = *moment;
            }
        }
        collector.read(octets.iter().sum()).await;
        bed.wait_until_stored().await;
        for (played, moments) in captures.iter_mut().zip(&moments) {
            let Some(moment) = moments.get(round) else { continue };
            if played.findings.waits_for(*moment) {
                let held = held::tables(bed.database.url(), &played.source).await;
                played.findings.compare(*moment, &held);
            }
        }
    }
}

/// Ends the sessions: nothing of them is current any more.
async fn end(bed: &Bed, collector: Collector, captures: Vec<Played<'_>>) -> Vec<Report> {
    let mut reports = Vec::new();
    let mut sources = Vec::new();
    for played in captures {
        reports.push(played.findings.report());
        sources.push(played.source);
    }
    collector.stop().await;
    bed.wait_until_stored().await;
    for source in sources {
        assert_eq!(held::count(bed.database.url(), &source).await, 0, "{source} after its end");
    }
    reports
}

/// Nothing is wrong, and every exception of these captures was needed.
fn conclude(captures: &[Capture], reports: &[Report]) {
    let mut excepted = BTreeMap::<usize, usize>::new();
    for report in reports {
        print!("{}", report.text);
        for (known, times) in &report.excepted {
            *excepted.entry(*known).or_default() += times;
        }
    }
    let mut wrong: Vec<String> = reports.iter().flat_map(|report| report.wrong.clone()).collect();
    for (index, known) in KNOWN.iter().enumerate() {
        let there = captures.iter().any(|capture| known.seen_in.contains(&capture.name.as_str()));
        if there && !excepted.contains_key(&index) {
            wrong.push(format!("never seen, and so no exception: {}", known.reason));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every capture that has answers of a command line, and the times at which its stream came: the
/// small ones in the repository have not.
fn load() -> Vec<Capture> {
    let (answers, times) = (names(".cli.tar.zst"), names(".ts.zst"));
    answers
        .iter()
        .filter(|name| {
            let known = times.contains(*name);
            if !known {
                println!("skipped: {name} has no .ts.zst");
            }
            known
        })
        .map(|name| Capture::load(name))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_current_tables_of_routers_that_speak_at_once_are_those_of_their_command_lines() {
    let captures = load();
    if captures.is_empty() {
        return;
    }
    let bed = Bed::new(12).await;
    let (collector, ingester) = (Collector::start(&bed), bed.ingester(&[]));
    // Before anybody connects: that takes longer than a collector waits for the first message.
    let findings: Vec<_> = captures.iter().map(Findings::of).collect();
    let mut played = Vec::new();
    for (number, (capture, findings)) in (11..).zip(captures.iter().zip(findings)) {
        let source = format!("127.0.0.{number}");
        played.push(Played::connect(&collector, capture, findings, source).await);
    }
    play(&bed, &collector, &mut played).await;
    let reports = end(&bed, collector, played).await;
    assert_eq!(ingester.stop(), Some(0));
    conclude(&captures, &reports);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_current_tables_of_a_router_that_comes_back_are_those_of_its_command_line_then() {
    let captures = load();
    if captures.is_empty() {
        return;
    }
    let bed = Bed::new(12).await;
    let ingester = bed.ingester(&[]);
    let mut reports = Vec::new();
    for capture in &captures {
        let findings = Findings::of(capture);
        let collector = Collector::start(&bed);
        let source = "127.0.0.1".to_owned();
        let mut played = vec![Played::connect(&collector, capture, findings, source).await];
        play(&bed, &collector, &mut played).await;
        reports.extend(end(&bed, collector, played).await);
    }
    assert_eq!(ingester.stop(), Some(0));
    conclude(&captures, &reports);
}
