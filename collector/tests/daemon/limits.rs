//! Who takes more of the collector than it may.

use std::{
    io::{ErrorKind, Write},
    net::TcpStream,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use ribstream_testkit::captures;

use crate::{
    collector::{frames, messages},
    daemon::{Daemon, INITIATION, connect_from, is_closed, wait_for},
    delivery::capture_or_skip,
};

fn closed(reason: &str) -> String {
    format!("sessions_closed_total{{reason=\"{reason}\"}}")
}

fn without_message(reason: &str) -> String {
    format!("connections_without_message_total{{reason=\"{reason}\"}}")
}

/// Whether the collector takes what is sent.
fn lives(stream: &mut TcpStream, daemon: &Daemon, router: &str) {
    let before = messages_of(daemon, router);
    stream.write_all(INITIATION).unwrap();
    wait_for(router, || (messages_of(daemon, router) > before).then_some(()));
}

fn messages_of(daemon: &Daemon, router: &str) -> usize {
    let events = daemon.events(router);
    events.iter().filter(|event| event.get("router_up").is_some()).count()
}

#[test]
fn one_address_has_so_many_sessions_and_others_are_not_affected() {
    let daemon = Daemon::start(&["--max-connections-per-address", "3"]);
    let mut first: Vec<TcpStream> = (0..3).map(|_| daemon.router("127.0.0.2")).collect();
    daemon.metric_reaches("sessions", 3.0);
    for _ in 0..200 {
        is_closed(&mut daemon.connect_from("127.0.0.2"));
    }
    daemon.refuses("max-connections-per-address", 200.0);
    let mut other = daemon.router("127.0.0.3");
    lives(&mut other, &daemon, "127.0.0.3");
    for stream in &mut first {
        lives(stream, &daemon, "127.0.0.2");
    }
    // One line for two hundred refusals, and what was left out is counted.
    let lines: Vec<String> =
        daemon.log().into_iter().filter(|line| line.contains("refused: ")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for word in ["router=127.0.0.2", "reason=\"max-connections-per-address\""] {
        assert!(lines[0].contains(word), "{lines:?}");
    }
    assert_eq!(daemon.metric("log_lines_left_out_total"), Some(199.0));
    // A session that ends makes room.
    first.pop();
    daemon.metric_reaches(&closed("disconnect"), 1.0);
    let mut again = daemon.router("127.0.0.2");
    lives(&mut again, &daemon, "127.0.0.2");
    assert!(daemon.stop().success());
}

#[test]
fn who_is_not_allowed_is_refused_and_named() {
    let daemon = Daemon::start(&["--allow", "127.0.0.2,127.0.1.0/24"]);
    is_closed(&mut daemon.connect_from("127.0.0.3"));
    daemon.refuses("not-allowed", 1.0);
    let line = daemon.line("refused: the address is in no network of --allow");
    assert!(line.contains("router=127.0.0.3"), "{line}");
    for allowed in ["127.0.0.2", "127.0.1.200"] {
        lives(&mut daemon.connect_from(allowed), &daemon, allowed);
    }
    assert!(daemon.events("127.0.0.3").is_empty());
}

#[test]
fn who_says_nothing_or_half_a_message_is_closed() {
    let daemon = Daemon::start(&["--first-message-timeout", "1s"]);
    let mut silent = daemon.connect_from("127.0.0.2");
    let mut half = daemon.connect_from("127.0.0.3");
    half.write_all(&INITIATION[..8]).unwrap();
    let mut good = daemon.router("127.0.0.4");
    is_closed(&mut silent);
    is_closed(&mut half);
    daemon.metric_reaches(&without_message("first-message-timeout"), 2.0);
    let line = daemon.line("closed without a message");
    assert!(line.contains("no whole message within 1s"), "{line}");
    // The limit is for the first message alone.
    sleep(Duration::from_millis(1500));
    lives(&mut good, &daemon, "127.0.0.4");
    assert!(daemon.events("127.0.0.2").is_empty());
}

#[test]
fn who_sends_one_byte_at_a_time_holds_nothing() {
    let daemon = Daemon::start(&["--message-timeout", "1s"]);
    let mut slow = daemon.router("127.0.0.2");
    let began = Instant::now();
    // A message of 100 octets would take ten seconds.
    let message = [&[3, 0, 0, 0, 100, 4], &[0; 94][..]].concat();
    let cut = message.chunks(1).take_while(|byte| {
        sleep(Duration::from_millis(100));
        slow.write_all(byte).is_ok()
    });
    let sent = cut.count();
    assert!(sent < 60, "{sent} bytes were taken");
    assert!(began.elapsed() > Duration::from_secs(1));
    daemon.metric_reaches(&closed("message-timeout"), 1.0);
    wait_for("the end", || {
        let last = daemon.events("127.0.0.2").pop()?;
        last.get("router_down").is_some().then_some(())
    });
    // Silence between messages is another thing.
    let mut patient = daemon.router("127.0.0.3");
    sleep(Duration::from_millis(1500));
    lives(&mut patient, &daemon, "127.0.0.3");
}

#[test]
fn a_session_may_not_hold_more_than_its_buffer() {
    let daemon = Daemon::start(&["--max-message", "1MB", "--max-buffer", "300kB"]);
    let mut router = daemon.router("127.0.0.2");
    // A message that is allowed and does not fit.
    let message = [&[3, 0, 0x0d, 0xbb, 0xa0, 200][..], &vec![0; 899_994]].concat();
    // It may be closed before all is sent.
    let _ = router.write_all(&message);
    daemon.metric_reaches(&closed("buffer"), 1.0);
}

#[test]
fn a_rate_slows_a_router_down_and_drops_nothing() {
    let stream = capture_or_skip!("frr10-unicast");
    let stream = messages(&stream, 200);
    // A second's worth at once, then three for the rest: messages wait longer than
    // the limits for them, and are not blamed for it.
    let daemon = Daemon::start(&[
        "--rate-messages",
        "50",
        "--message-timeout",
        "2s",
        "--idle-timeout",
        "2s",
        "--heartbeat-interval",
        "300ms",
    ]);
    let began = Instant::now();
    let mut router = daemon.connect_from("127.0.0.2");
    // The last message but for its last byte, so that there is always one begun.
    router.write_all(&stream[..stream.len() - 1]).unwrap();
    daemon.receives(stream.len() - last(stream));
    // The bucket is waited for no longer by then.
    sleep(Duration::from_millis(500));
    router.write_all(&stream[stream.len() - 1..]).unwrap();
    daemon.receives(stream.len());
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(2900), "{took:?}");
    // It still said that it holds the session.
    let events = daemon.events("127.0.0.2");
    let beats = events.iter().filter(|event| event.get("heartbeat").is_some()).count();
    assert!(beats >= 4, "{beats}");
    assert!(daemon.metric("rate_limited_seconds_total").unwrap() > 2.5);
    drop(router);
    daemon.metric_reaches(&closed("disconnect"), 1.0);
}

fn last(stream: &[u8]) -> usize {
    frames(stream).last().unwrap().len()
}

#[test]
fn a_rate_in_bytes_is_kept_too_whatever_the_size_of_messages() {
    let daemon = Daemon::start(&["--rate-bytes", "10kB"]);
    let began = Instant::now();
    let mut router = daemon.connect_from("127.0.0.2");
    // Longer than the bucket: it passes, and is paid for by the next.
    let long = [&[3, 0, 0, 0x75, 0x30, 200][..], &vec![0; 29_994]].concat();
    router.write_all(&[&long, INITIATION].concat()).unwrap();
    daemon.receives(30_000 + INITIATION.len());
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1900), "{took:?}");
}

#[test]
fn a_daemon_out_of_files_goes_on_when_there_are_some_again() {
    let mut command = Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_ribstream-collector");
    command.args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\"", binary]);
    let daemon = Daemon::start_by(command, &[]);
    let mut first = daemon.router("127.0.0.2");
    lives(&mut first, &daemon, "127.0.0.2");
    // Each from an address of its own, so that only files are short.
    let many: Vec<TcpStream> = (0..60)
        .map(|n| {
            let mut stream = connect_from(&format!("127.0.2.{n}"), daemon.address);
            stream.write_all(INITIATION).unwrap();
            stream
        })
        .collect();
    daemon.line("cannot accept a connection");
    lives(&mut first, &daemon, "127.0.0.2");
    let lines =
        |daemon: &Daemon| daemon.log().iter().filter(|line| line.contains("cannot accept")).count();
    sleep(Duration::from_secs(1));
    assert_eq!(lines(&daemon), 1);
    drop(many);
    let freed = Instant::now();
    let mut late = daemon.router("127.0.0.3");
    lives(&mut late, &daemon, "127.0.0.3");
    assert!(freed.elapsed() < Duration::from_secs(10), "{:?}", freed.elapsed());
    daemon.metric_reaches("accept_errors_total", 1.0);
    assert!(daemon.stop().success());
}

#[test]
fn a_hangup_ends_nothing() {
    let daemon = Daemon::start(&[]);
    let mut router = daemon.router("127.0.0.2");
    lives(&mut router, &daemon, "127.0.0.2");
    daemon.signal("-HUP");
    lives(&mut router, &daemon, "127.0.0.2");
    assert!(daemon.stop().success());
}

#[test]
fn what_is_no_bmp_is_closed_at_once_and_fills_no_log() {
    let daemon = Daemon::start(&[]);
    for _ in 0..50 {
        let mut scanner = daemon.connect_from("127.0.0.2");
        // The collector may have closed before it is all sent.
        match scanner.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n") {
            Err(error) => assert_eq!(error.kind(), ErrorKind::BrokenPipe),
            Ok(()) => is_closed(&mut scanner),
        }
    }
    daemon.metric_reaches(&without_message("version"), 50.0);
    let log = daemon.log();
    let lines = log.iter().filter(|line| line.contains("closed without a message")).count();
    assert_eq!(lines, 1, "{log:?}");
    assert!(daemon.events("127.0.0.2").is_empty());
}
