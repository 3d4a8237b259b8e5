//! Routers that listen, and are connected to.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use crate::daemon::{Daemon, INITIATION, free_address, wait_for};

/// A router at an address of the loopback network.
fn listen(address: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    (listener, target)
}

/// The collector's next connection.
fn accept(router: &TcpListener) -> TcpStream {
    router.set_nonblocking(true).unwrap();
    let stream = wait_for("the collector", || router.accept().ok()).0;
    stream.set_nonblocking(false).unwrap();
    stream
}

#[test]
fn routers_that_listen_are_connected_to_and_known_by_their_address() {
    let (first, first_target) = listen("127.0.0.2");
    let (second, second_target) = listen("127.0.0.3");
    let both = format!("{first_target},{second_target}");
    // Who was asked for needs no entry in the list of those who may come.
    let daemon = Daemon::start(&["--listen", "off", "--connect", &both, "--allow", "192.0.2.1"]);
    for (router, address) in [(&first, "127.0.0.2"), (&second, "127.0.0.3")] {
        let mut stream = accept(router);
        stream.write_all(INITIATION).unwrap();
        daemon.event(address, "router_up");
        drop(stream);
        daemon.event(address, "router_down");
    }
    // And again.
    let mut stream = accept(&first);
    stream.write_all(INITIATION).unwrap();
    let ups = || {
        let events = daemon.events("127.0.0.2");
        events.iter().filter(|event| event.get("router_up").is_some()).count()
    };
    wait_for("the second session", || (ups() == 2).then_some(()));
    assert!(daemon.stop().success());
}

#[test]
fn a_router_that_is_away_is_tried_less_and_less_and_found_when_it_is_back() {
    let target = free_address();
    let daemon = Daemon::start(&["--connect", &target.to_string()]);
    daemon.metric_reaches("connect_errors_total", 3.0);
    let line = daemon.line("cannot connect, trying again");
    assert!(line.contains(&format!("router=\"{target}\"")), "{line}");
    // One line a minute, whatever the attempts.
    let lines = daemon.log().iter().filter(|line| line.contains("cannot connect")).count();
    assert_eq!(lines, 1);
    let router = TcpListener::bind(target).unwrap();
    let mut stream = accept(&router);
    stream.write_all(INITIATION).unwrap();
    daemon.event("127.0.0.1", "router_up");
}

#[test]
fn a_router_that_closes_at_once_is_left_alone_more_and_more() {
    let (router, target) = listen("127.0.0.2");
    let _daemon = Daemon::start(&["--connect", &target]);
    let mut last = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..4 {
        drop(accept(&router));
        waits.push(last.elapsed());
        last = Instant::now();
    }
    // 1, 2 and 4 seconds, of each the half at least.
    assert!(waits[3] >= Duration::from_secs(2), "{waits:?}");
    assert!(waits[1..].iter().sum::<Duration>() >= Duration::from_millis(3500), "{waits:?}");
}

#[test]
fn a_router_that_accepts_and_says_nothing_is_given_up_like_any_other() {
    let (router, target) = listen("127.0.0.2");
    let daemon = Daemon::start(&["--connect", &target, "--first-message-timeout", "1s"]);
    let mut silent = accept(&router);
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0);
    let series = "connections_without_message_total{reason=\"first-message-timeout\"}";
    daemon.metric_reaches(series, 1.0);
}
