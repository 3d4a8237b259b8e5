//! Real captures, from a router's TCP connection to rows: through the collector, Kafka and
//! the ingester, held against the counts of an independent decoder.

mod common;
#[path = "common/replay.rs"]
mod replay;

use common::Bed;
use replay::{collect, records, store};
use ribstream_proto::family::AfiSafi;
use ribstream_testkit::captures::{capture, stats};
use serde_json::Value;

/// Views: as the captures' counts name them, and by number.
const VIEWS: [(&str, i32); 5] =
    [("adjin-pre", 1), ("adjin-post", 2), ("adjout-pre", 3), ("adjout-post", 4), ("locrib", 5)];

fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// Every family that Ribstream has a name for.
fn families() -> Vec<AfiSafi> {
    let named = |family: &AfiSafi| !family.name().contains('/');
    [1, 2, 25, 16_388, 16_397]
        .into_iter()
        .flat_map(|afi| (0..=u8::MAX).map(move |safi| AfiSafi::new(afi, safi)))
        .filter(named)
        .collect()
}

/// The table that the routes of a family are in.
fn table(family: AfiSafi) -> &'static str {
    match (family.afi, family.safi) {
        (1 | 2, 1 | 2 | 4 | 128 | 129) => "route_events",
        (25, 70) => "evpn_events",
        _ => "other_events",
    }
}

/// The routes of every view and family, of EVPN by type, are rows of their table, and there
/// are no others.
async fn check_routes(bed: &Bed, stats: &Value) {
    let mut expected = 0;
    for (view, number) in VIEWS {
        for family in families() {
            let counts = &stats["totals"][view][&*family.name()];
            let of_family =
                format!("view = {number} and afi = {} and safi = {}", family.afi, family.safi);
            for (what, action) in [("announced", "announce"), ("withdrawn", "withdraw")] {
                let rows = format!(
                    "select count(*) from {} where {of_family} and action = '{action}'",
                    table(family)
                );
                let stored = bed.number(&rows).await;
                assert_eq!(stored, count(&counts[what]), "{view} {family} {action}");
                expected += stored;
                for route_type in 1..=11 {
                    let of_type = &counts[format!("{what}_rt{route_type}")];
                    if table(family) == "evpn_events" {
                        let rows =
                            bed.number(&format!("{rows} and route_type = {route_type}")).await;
                        assert_eq!(rows, count(of_type), "{view} {action} type {route_type}");
                    }
                }
            }
            let rows = format!(
                "select count(*) from peer_events where {of_family} and kind = 'end-of-rib'"
            );
            assert_eq!(bed.number(&rows).await, count(&counts["eor"]), "{view} {family}");
        }
    }
    let all = "(select count(*) from route_events) + (select count(*) from evpn_events) \
               + (select count(*) from other_events)";
    assert_eq!(bed.number(all).await, expected);
}

/// Every message of a capture is in the database, with the counts of its `stats.json`.
async fn check(name: &str) {
    let (Some(stream), Some(stats)) = (capture(name), stats(name)) else { return };
    let bed = Bed::new(12).await;
    collect(&bed, &stream).await;
    store(&bed).await;

    check_routes(&bed, &stats).await;
    let messages = &stats["messages"];
    let ups = "select count(*) from peer_events where kind = 'up'";
    assert_eq!(bed.number(ups).await, count(&messages["peer-up"]));
    // Reasons beyond the registry are the collector's own: the session was lost.
    let downs = "select count(*) from peer_events where kind = 'down' and reason";
    assert_eq!(bed.number(&format!("{downs} < 256")).await, count(&messages["peer-down"]));
    let statistics: i64 = stats["peers"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(|peer| peer["stats_tlvs"].as_object())
        .flat_map(|tlvs| tlvs.values().map(count))
        .sum();
    assert_eq!(bed.number("select count(*) from stats_reports").await, statistics);
    let mirrored = "select count(*) from mirrored_messages";
    assert_eq!(bed.number(mirrored).await, count(&messages["route-mirroring"]));
    let unread = "select count(*) from mirrored_messages \
                  where type = 0 and (message_type is null or decoded ? 'error')";
    // Its scenario sent the router one broken UPDATE, which it mirrored.
    assert_eq!(bed.number(unread).await, i64::from(name == "frr10-mirror"));
    // Every message is one record, and the session's end adds one for the router and one
    // for each peer that was still up.
    let lost = bed.number(&format!("{downs} = 256")).await;
    assert_eq!(records(&bed).await, count(&stats["total_messages"]) + lost + 1);
    assert_eq!(bed.kafka.lengths(&bed.dead_letter).await.unwrap(), [0]);
    assert_eq!(bed.number("select count(*) from bmp_sessions where ended is not null").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_frr10_unicast_ends_as_rows() {
    check("frr10-unicast").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_frr10_mirror_ends_as_rows() {
    check("frr10-mirror").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_gobgp336_multi_ends_as_rows() {
    check("gobgp336-multi").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_churn_gobgp_2p_ends_as_rows() {
    check("churn-gobgp-2p").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_fulltable_gobgp_1p_ends_as_rows() {
    check("fulltable-gobgp-1p").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_of_every_family_are_rows_with_what_tells_them_from_others() {
    let Some(stream) = capture("gobgp336-multi") else { return };
    let bed = Bed::new(3).await;
    collect(&bed, &stream).await;
    store(&bed).await;
    for undecoded in [
        "other_events where nlri_text is null or nlri_json is null",
        "evpn_events where route_distinguisher is null",
        "evpn_events where (mac is null) = (route_type = 2)",
        "evpn_events where (prefix is null) = (route_type = 5)",
        "evpn_events where (esi is null) = (route_type in (1, 2, 4, 5))",
        "evpn_events where (originator is null) = (route_type in (3, 4))",
        "evpn_events where (ethernet_tag is null) = (route_type <> 4)",
        "evpn_events where action = 'announce' and route_type in (1, 2, 5) \
         and labels is null and vnis is null",
    ] {
        assert_eq!(
            bed.number(&format!("select count(*) from {undecoded}")).await,
            0,
            "{undecoded}"
        );
    }
}

/// The churn capture through ingesters that are disturbed as `disturb` says: the tables are
/// those of one that is not.
async fn churn_disturbed(disturb: impl AsyncFnOnce(&Bed)) {
    let Some(stream) = capture("churn-gobgp-2p") else { return };
    let bed = Bed::new(4).await;
    collect(&bed, &stream).await;
    disturb(&bed).await;
    bed.wait_until_stored().await;
    let beside = bed.beside().await;
    store(&beside).await;
    assert_eq!(bed.digest().await, beside.digest().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn churn_read_by_ingesters_that_are_killed_is_the_same_rows() {
    churn_disturbed(async |bed| {
        let total = records(bed).await;
        bed.store_by_ingesters_that_are_killed(total, &["--batch-rows", "5000"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn churn_read_through_a_rebalance_is_the_same_rows() {
    churn_disturbed(async |bed| {
        let first = bed.ingester(&["--batch-rows", "2000"]);
        common::wait_for("a start", async || bed.stored().await > 0).await;
        let second = bed.ingester(&["--batch-rows", "2000"]);
        common::wait_for("some progress", async || bed.stored().await > 40_000).await;
        assert_eq!(first.stop(), Some(0));
        bed.wait_until_stored().await;
        assert_eq!(second.stop(), Some(0));
    })
    .await;
}
