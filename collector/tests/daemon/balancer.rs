//! Routers behind a balancer that speaks the PROXY protocol, and who pretends to be one.

use std::{io::Write, net::TcpStream, thread::sleep, time::Duration};

use crate::daemon::{Daemon, INITIATION, is_closed};

const BALANCER: &str = "127.0.0.50";

/// A version 2 header for 192.0.2.`last`, with a TLV.
fn version_2(last: u8) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11".to_vec();
    header.extend([192, 0, 2, last, 198, 51, 100, 1, 0x9c, 0x40, 0x2b, 0x0b]);
    header.extend([0x04, 0, 2, 7, 7]);
    header
}

fn send(daemon: &Daemon, source: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = daemon.connect_from(source);
    stream.write_all(bytes).unwrap();
    stream
}

#[test]
fn a_router_behind_a_balancer_is_known_by_its_own_address() {
    let daemon = Daemon::start(&["--proxy-from", BALANCER]);
    let line = b"PROXY TCP4 192.0.2.1 198.51.100.1 40001 11019\r\n";
    let first = send(&daemon, BALANCER, &[line, INITIATION].concat());
    let up = daemon.event("192.0.2.1", "router_up");
    assert_eq!(up["router_up"]["remote_port"], 40_001, "{up}");
    // Byte by byte, header and message.
    let mut second = daemon.connect_from(BALANCER);
    for byte in [&version_2(2)[..], INITIATION].concat().chunks(1) {
        second.write_all(byte).unwrap();
        sleep(Duration::from_millis(2));
    }
    daemon.event("192.0.2.2", "router_up");
    // Who comes by himself needs no header, and gets nothing by sending one.
    let direct = daemon.router("127.0.0.2");
    daemon.event("127.0.0.2", "router_up");
    let mut liar = send(&daemon, "127.0.0.3", &[&version_2(3)[..], INITIATION].concat());
    is_closed(&mut liar);
    assert!(daemon.events("192.0.2.3").is_empty());
    drop((first, second, direct));
    assert!(daemon.stop().success());
}

#[test]
fn limits_are_those_of_the_router_and_not_of_the_balancer() {
    let daemon = Daemon::start(&[
        "--proxy-from",
        "127.0.0.48/28",
        "--max-connections-per-address",
        "1",
        "--allow",
        "192.0.2.0/29",
    ]);
    let routers: Vec<TcpStream> = (1..6)
        .map(|last| send(&daemon, BALANCER, &[&version_2(last)[..], INITIATION].concat()))
        .collect();
    for last in 1..6 {
        daemon.event(&format!("192.0.2.{last}"), "router_up");
    }
    is_closed(&mut send(&daemon, BALANCER, &version_2(1)));
    daemon.refuses("max-connections-per-address", 1.0);
    is_closed(&mut send(&daemon, BALANCER, &version_2(9)));
    daemon.refuses("not-allowed", 1.0);
    let line = daemon.line("reason=\"not-allowed\"");
    assert!(line.contains("router=192.0.2.9"), "{line}");
    drop(routers);
}

#[test]
fn a_balancer_that_looks_whether_the_port_is_open_is_no_router() {
    let daemon = Daemon::start(&["--proxy-from", BALANCER]);
    is_closed(&mut send(&daemon, BALANCER, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"));
    is_closed(&mut send(&daemon, BALANCER, b"PROXY UNKNOWN\r\n"));
    // As HAProxy has it in version 1.
    let own = format!("PROXY TCP4 {BALANCER} 127.0.0.1 40000 11019\r\n");
    is_closed(&mut send(&daemon, BALANCER, own.as_bytes()));
    drop(daemon.connect_from(BALANCER));
    daemon.metric_reaches("balancer_checks_total", 4.0);
    let log = daemon.log();
    assert!(!log.iter().any(|line| line.contains(BALANCER)), "{log:?}");
    assert_eq!(daemon.metric("sessions_opened_total"), Some(0.0));
}

#[test]
fn a_balancer_without_a_whole_header_is_refused() {
    let daemon = Daemon::start(&["--proxy-from", BALANCER, "--first-message-timeout", "1s"]);
    // A router's messages where a header is due.
    is_closed(&mut send(&daemon, BALANCER, INITIATION));
    is_closed(&mut send(&daemon, BALANCER, b"PROXY TCP4 1.2.3 4.5.6.7 1 2\r\n"));
    is_closed(&mut send(&daemon, BALANCER, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"));
    daemon.refuses("proxy-header", 3.0);
    let line = daemon.line("reason=\"proxy-header\"");
    assert!(line.contains("router=127.0.0.50"), "{line}");
    // One that stops in the middle holds nothing for long.
    let mut half = send(&daemon, BALANCER, &version_2(1)[..20]);
    is_closed(&mut half);
    daemon.refuses("first-message-timeout", 1.0);
    // The time runs from the accept: a header does not buy more of it.
    let mut silent = send(&daemon, BALANCER, &version_2(1));
    is_closed(&mut silent);
    daemon
        .metric_reaches("connections_without_message_total{reason=\"first-message-timeout\"}", 1.0);
    assert!(daemon.events("192.0.2.1").is_empty());
}
