//! Many routers at once.

use std::{io::Write as _, net::TcpStream, thread};

use ribstream_testkit::captures;
use rustix::process::{Resource, getrlimit};

use crate::{
    attack::resident,
    collector::{frames, messages},
    daemon::{Daemon, INITIATION, connect_from, wait_for},
    delivery::capture_or_skip,
};

#[test]
fn a_thousand_sessions_that_say_nothing_take_less_than_100_mib() {
    ribstream_collector::files::raise_limit(1000);
    let files = getrlimit(Resource::Nofile).current;
    if files.is_some_and(|files| files < 1200) {
        eprintln!("not tested: {files:?} open files are too few for a thousand connections");
        return;
    }
    let daemon = Daemon::start(&[]);
    let mut routers: Vec<TcpStream> = (0..1000)
        .map(|n| {
            let mut stream = connect_from(&format!("127.0.3.{}", n / 10), daemon.address);
            stream.write_all(INITIATION).unwrap();
            stream
        })
        .collect();
    daemon.metric_reaches("sessions", 1000.0);
    daemon.receives(1000 * INITIATION.len());
    let taken = resident(&daemon);
    assert!(taken < 100 << 20, "{taken} bytes");
    // They are alive, and nobody else has a place.
    for router in &mut routers {
        router.write_all(INITIATION).unwrap();
    }
    daemon.receives(2000 * INITIATION.len());
    let _late = daemon.connect_from("127.0.0.2");
    daemon.refuses("max-connections", 1.0);
    println!("{taken} bytes resident");
}

#[test]
fn a_hundred_routers_that_dump_together_lose_nothing() {
    let stream = capture_or_skip!("frr10-unicast");
    let stream = messages(&stream, 300);
    let count = frames(stream).len();
    let daemon = Daemon::start(&[]);
    thread::scope(|scope| {
        for n in 0..100 {
            let mut router = daemon.connect_from(&format!("127.0.4.{n}"));
            scope.spawn(move || router.write_all(stream).unwrap());
        }
    });
    for n in 0..100 {
        let router = format!("127.0.4.{n}");
        let events = wait_for(&router, || {
            let events = daemon.events(&router);
            let ended = events.last().is_some_and(|event| event.get("router_down").is_some());
            ended.then_some(events)
        });
        let mut sequences: Vec<u64> = events
            .iter()
            .map(|event| event["sequence"].to_string().trim_matches('"').parse().unwrap())
            .collect();
        assert!(sequences.is_sorted(), "{router}");
        sequences.dedup();
        assert_eq!(sequences.len(), count, "{router}");
    }
    assert!(daemon.stop().success());
}
