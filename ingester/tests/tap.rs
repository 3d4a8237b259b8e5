//! The tap prints what is asked for, and nothing else.

mod common;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
};

use bytes::Bytes;
use common::{Bed, Speaker, binary};
use ribstream_proto::v1::{
    EvpnRoute, OtherRoute, RouteTargetMembership, RouteUpdate, Routes, event::Body,
    other_route::Nlri,
};
use serde_json::{Value, json};

fn tap(bed: &Bed, arguments: &[&str]) -> Command {
    let mut command = binary();
    command
        .args(["tap", "--kafka", bed.kafka.brokers(), "--topic-events", &bed.topic])
        .args(arguments)
        .stdout(Stdio::piped());
    command
}

/// The first `count` lines of a tap, which is then interrupted, and its exit code.
fn lines(mut child: Child, count: usize) -> (Vec<Value>, Option<i32>) {
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let lines = (0..count)
        .map(|_| {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            serde_json::from_str(&line).unwrap()
        })
        .collect();
    assert!(
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success()
    );
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    (lines, child.wait().unwrap().code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_prints_the_events_of_a_router_a_peer_or_a_prefix() {
    let bed = Bed::new(3).await;
    let producer = bed.producer();
    for number in 1..=3 {
        let mut speaker = Speaker::new(number, number);
        producer.send(&speaker.announce([u32::from(number), 100]));
        producer.send(&speaker.withdraw([u32::from(number)]));
    }
    producer.flush();

    let (all, code) = lines(tap(&bed, &["--from-beginning"]).spawn().unwrap(), 6);
    assert_eq!(code, Some(0));
    assert_eq!(all.iter().filter(|event| event["router"] == "192.0.2.2").count(), 2);
    let (recent, _) = lines(tap(&bed, &["--since", "10m"]).spawn().unwrap(), 6);
    assert_eq!(recent.len(), all.len());

    let arguments = ["--from-beginning", "--router", "192.0.2.2"];
    let (router, _) = lines(tap(&bed, &arguments).spawn().unwrap(), 2);
    assert!(router.iter().all(|event| event["router"] == "192.0.2.2"));

    let arguments = ["--from-beginning", "--peer", "198.51.100.3"];
    let (peer, _) = lines(tap(&bed, &arguments).spawn().unwrap(), 2);
    assert!(peer.iter().all(|event| event["peer"]["address"] == "198.51.100.3"));

    let arguments = ["--from-beginning", "--prefix", "10.0.0.0/22"];
    let (prefix, _) = lines(tap(&bed, &arguments).spawn().unwrap(), 6);
    let announced = prefix
        .iter()
        .find(|event| {
            event["route_update"]["announced"][0]["prefixes"][0]["prefix"] == "10.0.1.0/24"
        })
        .unwrap();
    assert_eq!(announced["route_update"]["announced"][0]["prefixes"].as_array().unwrap().len(), 1);
    let stored = bed.stored().await;
    assert_eq!(stored, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_prints_routes_of_every_family_as_people_write_them() {
    let bed = Bed::new(1).await;
    let host = |octet: u8, raw: &'static [u8]| EvpnRoute {
        route_type: 2,
        route_distinguisher: Bytes::from_static(&[0, 0, 0xfd, 0xe9, 0, 0, 0, 7]),
        esi: Bytes::from_static(&[0; 10]),
        mac: Bytes::from_static(&[2, 0, 0, 0, 0, 1]),
        ip: Bytes::from(vec![10, 0, octet, 1]),
        raw: Bytes::from_static(raw),
        ..EvpnRoute::default()
    };
    let membership = OtherRoute {
        raw: Bytes::from_static(&[0]),
        nlri: Some(Nlri::RouteTargetMembership(RouteTargetMembership::default())),
        ..OtherRoute::default()
    };
    let update = RouteUpdate {
        view: 1,
        announced: vec![
            Routes {
                afi: 25,
                safi: 70,
                evpn: vec![host(1, &[2]), host(9, &[2, 9])],
                ..Routes::default()
            },
            Routes { afi: 1, safi: 132, other: vec![membership], ..Routes::default() },
        ],
        ..RouteUpdate::default()
    };
    let producer = bed.producer();
    producer.send(&Speaker::new(1, 1).event(Body::RouteUpdate(update)));
    producer.flush();

    let (all, _) = lines(tap(&bed, &["--from-beginning"]).spawn().unwrap(), 1);
    let expected = json!({
        "route_type": 2,
        "route_distinguisher": "65001:7",
        "esi": "00:00:00:00:00:00:00:00:00:00",
        "mac": "02:00:00:00:00:01",
        "ip": "10.0.1.1",
        "raw": "02",
    });
    let announced = &all[0]["route_update"]["announced"];
    assert_eq!(announced[0]["evpn"][0], expected);
    let membership = json!({"raw": "00", "route_target_membership": {"length": 0}});
    assert_eq!(announced[1]["other"][0], membership);

    let arguments = ["--from-beginning", "--prefix", "10.0.1.0/24"];
    let (inside, _) = lines(tap(&bed, &arguments).spawn().unwrap(), 1);
    let announced = json!([{"afi": 25, "safi": 70, "evpn": [expected]}]);
    assert_eq!(inside[0]["route_update"]["announced"], announced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_had_enough_ends_the_tap_quietly() {
    let bed = Bed::new(1).await;
    let producer = bed.producer();
    let mut speaker = Speaker::new(1, 1);
    let mut child = tap(&bed, &["--from-beginning"]).stderr(Stdio::piped()).spawn().unwrap();
    producer.send(&speaker.announce([1]));
    producer.flush();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut String::new()).unwrap();
    drop(reader);
    for number in 0..10_000 {
        producer.send(&speaker.announce([number]));
    }
    producer.flush();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut complaints = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
    assert_eq!(complaints, "");
}
