//! Tables that a scripted speaker announced, route by route, against what the
//! collector decodes from the router's BMP.

mod support;

use std::collections::{BTreeSet, HashMap};

use prost::Message as _;
use ribstream_collector::{
    frame::next_frame,
    session::{Destination, Record},
};
use ribstream_proto::{
    record, text,
    v1::{AsPath, AsPathSegmentType, Event, Origin, PathAttributes, event::Body},
};
use ribstream_testkit::captures::{capture, read};
use support::{Heard, MAX_MESSAGE};

/// What a route was announced with, in the columns of the truth: AS path, ORIGIN,
/// MED, communities, large communities, ATOMIC_AGGREGATE, AGGREGATOR.
fn columns(attributes: &PathAttributes) -> String {
    let origin = match attributes.origin() {
        Origin::Igp => "IGP",
        Origin::Egp => "EGP",
        Origin::Incomplete => "INCOMPLETE",
    };
    let communities: Vec<String> =
        attributes.communities.iter().map(|c| format!("{}:{}", c >> 16, c & 0xffff)).collect();
    let large: Vec<String> = attributes
        .large_communities
        .iter()
        .map(|c| format!("{}:{}:{}", c.global_administrator, c.local_data_1, c.local_data_2))
        .collect();
    let aggregator = attributes.aggregator.as_ref();
    [
        path(attributes.as_path.as_ref().unwrap()),
        origin.to_owned(),
        attributes.med.map(|med| med.to_string()).unwrap_or_default(),
        communities.join(" "),
        large.join(" "),
        if attributes.atomic_aggregate { "AA" } else { "" }.to_owned(),
        aggregator.map(|a| format!("{}:{}", a.asn, text::address(&a.address))).unwrap_or_default(),
    ]
    .join("\t")
}

fn path(path: &AsPath) -> String {
    let segments = path.segments.iter().map(|segment| {
        let asns: Vec<String> = segment.asns.iter().map(u32::to_string).collect();
        match segment.r#type() {
            AsPathSegmentType::AsSet => format!("{{{}}}", asns.join(",")),
            _ => asns.join(" "),
        }
    });
    segments.collect::<Vec<_>>().join(" ")
}

/// Feeds a stream to a session and hands each event's update to `update`.
fn events(bytes: &[u8], mut update: impl FnMut(&Event, &ribstream_proto::v1::RouteUpdate)) {
    let mut session = Heard::new().session;
    let mut rest = bytes;
    while let Some(length) = next_frame(rest, MAX_MESSAGE).unwrap() {
        let (frame, after) = rest.split_at(length);
        session.message(frame, 0, &mut |record: Record<'_>| {
            assert_eq!(record.destination, Destination::Events);
            let event = Event::decode(record.value).unwrap();
            if let Some(Body::RouteUpdate(body)) = &event.body {
                update(&event, body);
            }
        });
        rest = after;
    }
}

#[test]
fn a_full_table_has_the_attributes_that_its_speaker_announced() {
    let name = "fulltable-gobgp-1p";
    let (Some(bytes), Some(truth)) = (capture(name), read("fulltable-gobgp-1p.truth.tsv.zst"))
    else {
        return;
    };
    let truth = String::from_utf8(truth).unwrap();
    let mut expected: HashMap<&str, &str> =
        truth.lines().map(|line| line.split_once('\t').unwrap()).collect();
    let announced = expected.len();
    let mut compared = 0;
    events(&bytes, |_, update| {
        let Some(attributes) = &update.attributes else { return };
        let ours = columns(attributes);
        for prefix in update.announced.iter().flat_map(|routes| &routes.prefixes) {
            let prefix = text::prefix(prefix.prefix.as_ref().unwrap());
            let theirs = expected.remove(prefix.as_str());
            assert_eq!(theirs, Some(ours.as_str()), "{prefix}");
            compared += 1;
        }
    });
    assert_eq!((compared, expected.len()), (announced, 0));
}

#[test]
fn churn_has_every_path_that_its_speakers_announced_and_withdraws_what_they_withdrew() {
    let name = "churn-gobgp-2p";
    let Some(bytes) = capture(name) else { return };
    for peer in ["192.0.2.11", "192.0.2.12"] {
        let Some(churn) = read(&format!("{name}.{peer}.churn.tsv.zst")) else { return };
        let churn = String::from_utf8(churn).unwrap();
        let mut expected: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut withdrawn: HashMap<&str, usize> = HashMap::new();
        for line in churn.lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            if columns[2] == "A" {
                expected.insert((columns[3], columns[4]));
            } else {
                *withdrawn.entry(columns[3]).or_default() += 1;
            }
        }
        let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
        let mut ours: HashMap<String, usize> = HashMap::new();
        events(&bytes, |event, update| {
            let address = &event.peer.as_ref().unwrap().address;
            if record::ip(address).unwrap().to_string() != peer {
                return;
            }
            let prefix = |route: &ribstream_proto::v1::PrefixRoute| {
                text::prefix(route.prefix.as_ref().unwrap())
            };
            let path = update.attributes.as_ref().and_then(|a| a.as_path.as_ref()).map(path);
            for route in update.announced.iter().flat_map(|routes| &routes.prefixes) {
                seen.insert((prefix(route), path.clone().unwrap()));
            }
            for route in update.withdrawn.iter().flat_map(|routes| &routes.prefixes) {
                *ours.entry(prefix(route)).or_default() += 1;
            }
        });
        let missing = expected
            .iter()
            .filter(|(prefix, path)| !seen.contains(&((*prefix).to_owned(), (*path).to_owned())))
            .collect::<Vec<_>>();
        assert!(
            missing.is_empty(),
            "{peer}: {} of {}: {:?}",
            missing.len(),
            expected.len(),
            missing.first()
        );
        for (prefix, count) in &withdrawn {
            assert!(ours.contains_key(*prefix), "{peer}: {prefix} withdrawn {count} times");
        }
        for prefix in ours.keys() {
            assert!(withdrawn.contains_key(prefix.as_str()), "{peer}: {prefix} never withdrawn");
        }
    }
}
