//! Real captures against the counts of an independent decoder.

mod support;

use std::collections::BTreeMap;

use ribstream_collector::decode;
use ribstream_proto::v1::event::Body;
use ribstream_testkit::captures::{capture, stats};
use serde_json::Value;
use support::{Heard, MAX_MESSAGE};

/// Views as the captures' counts name them, and as ours do.
const VIEWS: [(&str, &str); 5] = [
    ("adjin-pre", "adj-in-pre"),
    ("adjin-post", "adj-in-post"),
    ("adjout-pre", "adj-out-pre"),
    ("adjout-post", "adj-out-post"),
    ("locrib", "loc-rib"),
];

/// The families whose NLRI are prefixes; others are published as bytes.
const PREFIX_FAMILIES: [&str; 10] = [
    "ipv4-unicast",
    "ipv6-unicast",
    "ipv4-multicast",
    "ipv6-multicast",
    "ipv4-labeled",
    "ipv6-labeled",
    "vpnv4",
    "vpnv6",
    "vpnv4-mcast",
    "vpnv6-mcast",
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
        for family in PREFIX_FAMILIES {
            let (theirs, ours) =
                (&stats["totals"][theirs][family], &summary["routes"][ours][family]);
            for (their_count, our_count) in
                [("announced", "announced"), ("withdrawn", "withdrawn"), ("eor", "end_of_rib")]
            {
                assert_eq!(
                    number(&theirs[their_count]),
                    number(&ours[our_count]),
                    "{ours} {family} {our_count}"
                );
            }
        }
    }
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
fn the_nlri_of_a_family_that_is_not_decoded_are_kept_whole() {
    let Some(bytes) = capture("gobgp336-multi") else { return };
    let heard = Heard::stream(&bytes);
    let mut octets: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    for update in heard.updates() {
        for routes in update.announced.iter().chain(&update.withdrawn) {
            assert_eq!(routes.undecoded.is_empty(), !routes.prefixes.is_empty());
            *octets.entry((routes.afi, routes.safi)).or_default() += routes.undecoded.len();
        }
    }
    assert_eq!(octets[&(1, 1)], 0);
    assert!(octets[&(25, 70)] > 0 && octets[&(1, 128)] == 0);
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
    let keys: std::collections::BTreeSet<&str> =
        heard.events.iter().map(|(key, _)| key.as_str()).collect();
    assert!(keys.contains("192.0.2.1|0|loc-rib"), "{keys:?}");
    assert!(keys.contains("192.0.2.1|0|2001:db8:0:1::d"), "{keys:?}");
}
