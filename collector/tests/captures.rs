//! Real captures against the counts of an independent decoder.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use ribstream_collector::decode;
use ribstream_proto::v1::event::Body;
use ribstream_testkit::captures::{capture, stats};
use serde_json::Value;
use support::{Heard, MAX_MESSAGE, attribute, base_attributes, route_monitoring, update};

/// Views as the captures' counts name them, and as ours do.
const VIEWS: [(&str, &str); 5] = [
    ("adjin-pre", "adj-in-pre"),
    ("adjin-post", "adj-in-post"),
    ("adjout-pre", "adj-out-pre"),
    ("adjout-post", "adj-out-post"),
    ("locrib", "loc-rib"),
];

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn check(name: &str) {
    let (Some(bytes), Some(stats)) = (capture(name), stats(name)) else { return };
    let (summary, result) = decode::summary(bytes.as_slice(), MAX_MESSAGE);
    result.unwrap();
    assert_eq!(summary.bytes, number(&stats["bytes"]));
    assert_eq!(summary.errors, BTreeMap::new());
    for (kind, count) in &summary.messages {
        assert_eq!(*count, number(&stats["messages"][kind]), "{kind}");
    }
    let summary = serde_json::to_value(&summary).unwrap();
    for (theirs, ours) in VIEWS {
        let (theirs, routes) = (&stats["totals"][theirs], &summary["routes"][ours]);
        for family in families(theirs).union(&families(routes)) {
            for (their_count, our_count) in
                [("announced", "announced"), ("withdrawn", "withdrawn"), ("eor", "end_of_rib")]
            {
                assert_eq!(
                    number(&theirs[family][their_count]),
                    number(&routes[family][our_count]),
                    "{ours} {family} {our_count}"
                );
            }
        }
        for route_type in 1..=11 {
            let counts = &summary["evpn_route_types"][ours][route_type.to_string()];
            for count in ["announced", "withdrawn"] {
                assert_eq!(
                    number(&theirs["evpn"][format!("{count}_rt{route_type}")]),
                    number(&counts[count]),
                    "{ours} EVPN type {route_type} {count}"
                );
            }
        }
    }
}

/// The families that there are counts for.
fn families(view: &Value) -> BTreeSet<&String> {
    view.as_object().into_iter().flat_map(|view| view.keys()).collect()
}

#[test]
fn frr10_unicast_counts_equal_the_independent_decoder() {
    check("frr10-unicast");
}

#[test]
fn frr10_mirror_counts_equal_the_independent_decoder() {
    check("frr10-mirror");
}

#[test]
fn gobgp336_multi_counts_equal_the_independent_decoder() {
    check("gobgp336-multi");
}

#[test]
fn churn_gobgp_2p_counts_equal_the_independent_decoder() {
    check("churn-gobgp-2p");
}

#[test]
fn fulltable_gobgp_1p_counts_equal_the_independent_decoder() {
    check("fulltable-gobgp-1p");
}

#[test]
fn every_message_of_a_capture_becomes_one_event_in_order() {
    for name in ["frr10-unicast", "frr10-mirror", "gobgp336-multi"] {
        let Some(bytes) = capture(name) else { continue };
        let heard = Heard::stream(&bytes);
        let sequences: Vec<u64> = heard.events.iter().map(|(_, event)| event.sequence).collect();
        assert_eq!(sequences, (1..=heard.session.counters().total()).collect::<Vec<_>>(), "{name}");
        assert!(heard.dead.is_empty(), "{name}");
    }
}

#[test]
fn the_nlri_of_a_family_that_nobody_knows_are_kept_whole() {
    let reach = [0x3f, 0xff, 250, 4, 192, 0, 2, 1, 0, 1, 2, 3, 4, 5];
    let mut attributes = base_attributes();
    attributes.extend(attribute(0x80, 14, &reach));
    let unreach = attribute(0x80, 15, &[0x3f, 0xff, 250, 9, 8, 7]);
    let messages = [
        route_monitoring(0, 0, &[update(&[], &attributes, &[])]),
        route_monitoring(0, 0, &[update(&[], &unreach, &[])]),
    ];
    let heard = Heard::of(&messages);
    let updates = heard.updates();
    let (announced, withdrawn) = (&updates[0].announced[0], &updates[1].withdrawn[0]);
    assert_eq!((announced.afi, announced.safi), (0x3fff, 250));
    assert_eq!(&announced.undecoded[..], [1, 2, 3, 4, 5]);
    assert_eq!(&withdrawn.undecoded[..], [9, 8, 7]);
}

#[test]
fn every_route_of_a_capture_is_decoded() {
    let Some(bytes) = capture("gobgp336-multi") else { return };
    let heard = Heard::stream(&bytes);
    for routes in heard.updates().iter().flat_map(|u| u.announced.iter().chain(&u.withdrawn)) {
        assert!(routes.undecoded.is_empty(), "{routes:?}");
        assert!(routes.other.iter().all(|route| route.nlri.is_some()), "{routes:?}");
        assert!(
            routes.evpn.iter().all(|route| !route.route_distinguisher.is_empty()),
            "{routes:?}"
        );
    }
}

#[test]
fn a_capture_of_frr_names_its_router_and_its_peers() {
    let Some(bytes) = capture("frr10-unicast") else { return };
    let heard = Heard::stream(&bytes);
    let Some(Body::RouterUp(up)) = heard.bodies().first().copied().cloned() else {
        panic!("the first event is not RouterUp")
    };
    assert_eq!(up.sys_name.as_deref(), Some("r-frr10"));
    assert_eq!(up.sys_descr.as_deref(), Some("FRRouting 10.3"));
    let keys: BTreeSet<&str> = heard.events.iter().map(|(key, _)| key.as_str()).collect();
    assert!(keys.contains("192.0.2.1|0|loc-rib"), "{keys:?}");
    assert!(keys.contains("192.0.2.1|0|2001:db8:0:1::d"), "{keys:?}");
}
