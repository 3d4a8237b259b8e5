//! Everything at once: while others attack the port, a router loses nothing.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, sleep},
    time::{Duration, Instant},
};

use ribstream_testkit::captures;
use socket2::SockRef;

use crate::{
    collector::{frames, messages},
    daemon::{Daemon, INITIATION, connect_from, wait_for},
    delivery::capture_or_skip,
};

/// Memory that a collector without Kafka may take under attack, measured at 19 MiB.
const MOST_MEMORY: usize = 128 << 20;

/// Numbers that look random and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 8).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// One connection of one kind of attack. That the collector closes it is no failure.
fn attack(kind: usize, numbers: &mut Numbers, stream: &mut TcpStream, capture: &[u8]) {
    let send = |stream: &mut TcpStream, bytes: &[u8]| stream.write_all(bytes).is_ok();
    let start = numbers.next() % (capture.len() / 2);
    match kind {
        // What is no BMP at all.
        0 => _ = send(stream, &numbers.bytes(4096)),
        // A header that promises the most, and its beginning.
        1 => {
            send(stream, INITIATION);
            send(stream, &[&[3, 0, 0x0f, 0x42, 0x40, 0][..], &numbers.bytes(60_000)].concat());
        }
        // What routers send, damaged.
        2 => {
            let mut damaged = messages(capture, 200).to_vec();
            for _ in 0..50 {
                let at = numbers.next() % damaged.len();
                damaged[at] = numbers.bytes(1)[0];
            }
            send(stream, &damaged);
        }
        // Messages with a good header and anything in them.
        3 => {
            for _ in 0..200 {
                let body = numbers.bytes(numbers.0.to_le_bytes()[1].into());
                let length = u32::try_from(6 + body.len()).unwrap().to_be_bytes();
                let kind = numbers.bytes(1)[0] % 8;
                if !send(stream, &[&[3], &length[..], &[kind], &body].concat()) {
                    break;
                }
            }
        }
        // The middle of a stream.
        4 => _ = send(stream, &capture[start..start + capture.len() / 4]),
        // A byte at a time, then nothing.
        5 => {
            for byte in INITIATION.iter().chain([3, 0, 0, 0, 200, 0].iter()) {
                send(stream, &[*byte]);
                sleep(Duration::from_millis(5));
            }
            sleep(Duration::from_millis(200));
        }
        // A reset in the middle of a message.
        _ => {
            send(stream, &capture[..capture.len() / 8]);
            let _ = SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Its memory.
pub(crate) fn resident(daemon: &Daemon) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
}

#[test]
fn a_router_loses_nothing_while_others_attack_the_port() {
    let stream = capture_or_skip!("frr10-unicast");
    let daemon = Daemon::start(&["--max-connections-per-address", "20"]);
    let (over, attacks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let attackers: Vec<_> = (0..7)
        .map(|kind| {
            let (over, attacks) = (Arc::clone(&over), Arc::clone(&attacks));
            let (stream, address) = (stream.clone(), daemon.address);
            thread::spawn(move || {
                let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ kind as u64);
                // Some are kept open: half of what the address may have.
                let mut kept = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let mut connection = connect_from(&format!("127.0.9.{kind}"), address);
                    let _ = connection.set_write_timeout(Some(Duration::from_secs(5)));
                    attack(kind, &mut numbers, &mut connection, &stream);
                    attacks.fetch_add(1, Ordering::Relaxed);
                    if kept.len() < 10 {
                        kept.push(connection);
                    }
                    sleep(Duration::from_millis(5));
                }
            })
        })
        .collect();

    // Once, or for as long as `make soak` says, each time from another address.
    let soak = std::env::var("RIBSTREAM_SOAK_SECONDS").map_or(0, |it| it.parse().unwrap());
    let began = Instant::now();
    let mut rounds = 0;
    while rounds == 0 || began.elapsed() < Duration::from_secs(soak) {
        rounds += 1;
        listen_to_all(&daemon, &format!("127.1.{}.{}", rounds / 256, rounds % 256), &stream);
    }
    over.store(true, Ordering::Relaxed);
    for attacker in attackers {
        attacker.join().unwrap();
    }

    let attacks = attacks.load(Ordering::Relaxed);
    assert!(attacks > 100, "{attacks} attacks are none");
    let log = daemon.log();
    assert!(!log.iter().any(|line| line.contains("panicked") || line.contains("task failed")));
    assert!(log.len() < 1000 + attacks / 10, "{} log lines", log.len());
    println!(
        "{rounds} rounds, {attacks} attacks, {} bytes resident, {} log lines",
        resident(&daemon),
        log.len()
    );
    assert!(daemon.stop().success());
}

/// A router speaks, message by message, and all that it says is told.
fn listen_to_all(daemon: &Daemon, address: &str, stream: &[u8]) {
    let mut router = daemon.connect_from(address);
    let all = frames(stream);
    for frame in &all {
        router.write_all(frame).unwrap();
        sleep(Duration::from_millis(3));
        assert!(resident(daemon) < MOST_MEMORY, "{} bytes", resident(daemon));
    }
    drop(router);
    let events = wait_for("the router's end", || {
        let events = daemon.events(address);
        events.last().is_some_and(|event| event.get("router_down").is_some()).then_some(events)
    });
    // Each message in its order, and no event of another router among them.
    let mut numbers: Vec<u64> = events
        .iter()
        .map(|event| event["sequence"].to_string().trim_matches('"').parse().unwrap())
        .collect();
    assert!(numbers.is_sorted());
    numbers.dedup();
    assert_eq!(numbers.len(), all.len(), "messages without an event");
}
