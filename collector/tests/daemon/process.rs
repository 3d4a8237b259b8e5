//! The command itself: signals, exit codes, what it prints.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use ribstream_testkit::{Kafka, captures, topic};

use crate::{collector::messages, delivery::capture_or_skip};

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ribstream-collector"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

struct Running {
    child: Child,
    address: String,
}

/// Starts the command and waits until it says where it listens.
fn start(args: &[&str]) -> Running {
    let mut child = command(args).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.contains("listening for routers"))
        .expect("it listens");
    // So that it can go on writing.
    std::thread::spawn(move || lines.for_each(drop));
    let word = line.split_whitespace().find_map(|word| word.strip_prefix("address="));
    Running { address: word.unwrap().to_owned(), child }
}

fn terminate(child: &Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
}

#[tokio::test]
async fn sigterm_drains_and_exits_with_success() {
    let stream = capture_or_skip!("frr10-unicast");
    let kafka = Kafka::shared().await.unwrap();
    let (events, dead) = (topic("events"), topic("dead-letter"));
    let mut running = start(&[
        "run",
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--kafka",
        kafka.brokers(),
        "--topic-events",
        &events,
        "--topic-dead-letter",
        &dead,
    ]);
    let mut connection = TcpStream::connect(&running.address).unwrap();
    connection.write_all(&stream).unwrap();
    // The daemon may not have read it all yet; what it has read it must publish.
    while kafka.lengths(&events).await.unwrap().iter().sum::<i64>() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    terminate(&running.child);
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    let records = kafka.consume(&events).await.unwrap();
    assert_eq!(records.last().map(|_| ()), Some(()));
    let downs =
        records.iter().filter(|record| record.header("ribstream-event") == Some("router_down"));
    assert_eq!(downs.count(), 1);
}

#[test]
fn standard_output_shows_a_router_without_kafka() {
    let stream = capture_or_skip!("frr10-unicast");
    let mut running =
        start(&["run", "--stdout", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    let mut connection = TcpStream::connect(&running.address).unwrap();
    connection.write_all(messages(&stream, 3)).unwrap();
    drop(connection);
    let mut lines = BufReader::new(running.child.stdout.take().unwrap()).lines();
    let mut names = Vec::new();
    for line in lines.by_ref() {
        let event: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(event["router"], "127.0.0.1");
        let last = event.get("router_down").is_some();
        names.push(event);
        if last {
            break;
        }
    }
    assert!(names[0].get("router_up").is_some());
    assert!(names.len() >= 4, "{}", names.len());
    terminate(&running.child);
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

fn failure(args: &[&str]) -> (Option<i32>, String) {
    let output = command(args).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn an_unreachable_broker_is_one_line_that_says_what_to_do() {
    let (code, said) = failure(&[
        "run",
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--kafka",
        "127.0.0.1:1",
        "--log",
        "error",
    ]);
    assert_eq!(code, Some(1));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("error: cannot reach Kafka at 127.0.0.1:1 ("), "{said}");
    assert!(said.contains("--kafka or RIBSTREAM_KAFKA"), "{said}");
}

#[test]
fn a_wrong_flag_is_one_line() {
    let (code, said) = failure(&["run", "--lisen", "127.0.0.1:0"]);
    assert_eq!(code, Some(2));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("'--lisen'") && said.contains("'--listen'"), "{said}");
}

#[test]
fn decode_ends_quietly_when_its_output_is_read_no_further() {
    let stream = capture_or_skip!("frr10-unicast");
    for arguments in [&["decode", "-"][..], &["decode", "-", "--summary"]] {
        let mut child = command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // Before there is any output.
        drop(child.stdout.take());
        // It may end in the middle.
        let _ = child.stdin.take().unwrap().write_all(&stream);
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert!(output.status.success(), "{arguments:?}: {}", output.status);
    }
}

#[test]
fn replay_plays_a_capture_over_tcp_and_says_how_much() {
    let stream = capture_or_skip!("frr10-unicast");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("capture.bmp");
    std::fs::write(&file, &stream).unwrap();
    let mut running =
        start(&["run", "--stdout", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    let output = running.child.stdout.take().unwrap();
    let lines = std::thread::spawn(move || BufReader::new(output).lines().count());
    let file = file.to_str().unwrap();
    let repeated = ["replay", file, &running.address, "--repeat", "2", "--source", "127.0.0.9"];
    let played = command(&repeated).output().unwrap();
    assert!(played.status.success(), "{played:?}");
    let said = String::from_utf8(played.stdout).unwrap();
    let mut count = 0;
    let mut rest = stream.as_slice();
    while let Some(length) = ribstream_collector::frame::next_frame(rest, 1_000_000).unwrap() {
        count += 1;
        rest = &rest[length..];
    }
    let expected = format!("{} messages, {} bytes, ", 2 * count, 2 * stream.len());
    assert!(said.starts_with(&expected), "{said}");
    terminate(&running.child);
    assert!(running.child.wait().unwrap().success());
    // Each message, and the end of each session.
    assert!(lines.join().unwrap() >= 2 * (count + 1));

    let refused = command(&["replay", file, "127.0.0.1:1"]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.starts_with("error: cannot connect to 127.0.0.1:1: is the collector"), "{said}");
}
