//! Hijacks, leaks, bogons and paths that make no sense: each is found, and what is right is not.

use ribstream_proto::v1::{PathAttributes, RibView};
use sqlx::AssertSqlSafe;

use crate::{
    common::Bed,
    made::{Voice, at, path},
    rows,
};

async fn execute(bed: &Bed, sql: &str) {
    let mut connection = bed.database.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_that_are_new_are_told_with_whose_the_prefix_was_and_who_sees_them() {
    let bed = Bed::new(2).await;
    let (mut one, mut two) = (Voice::new(1, 1, 3), Voice::new(2, 2, 4));
    let events = vec![
        one.up(1),
        two.up(1),
        // What was there: each prefix from its own.
        one.announce(2, "20.1.0.0/16", "3 100"),
        two.announce(2, "20.1.0.0/16", "4 100"),
        one.announce(2, "20.2.0.0/16", "3 200"),
        one.announce(2, "20.3.0.0/16", "3 300"),
        one.announce(2, "20.4.0.0/16", "3 400"),
        two.announce(2, "20.4.0.0/16", "4 401"),
        one.announce(2, "0.0.0.0/0", "3"),
        // Another origin, at both peers one after the other.
        one.announce(100, "20.1.0.0/16", "3 666"),
        two.announce(101, "20.1.0.0/16", "4 666"),
        // A more specific from another origin, which stays.
        one.announce(102, "20.2.7.0/24", "3 667"),
        // One of a customer, whose path leads through the holder.
        one.announce(103, "20.3.7.0/24", "3 300 301"),
        // Nothing: its own more specific, another path, an origin that was known, new space.
        one.announce(104, "20.2.8.0/24", "3 200"),
        one.announce(105, "20.3.0.0/16", "3 9 300"),
        one.announce(106, "20.4.0.0/16", "3 401"),
        one.announce(107, "30.0.0.0/16", "3 500"),
        // A second origin beside the first.
        two.announce(108, "20.3.0.0/16", "4 668"),
        // The first is over.
        one.announce(160, "20.1.0.0/16", "3 100"),
        two.announce(161, "20.1.0.0/16", "4 100"),
    ];
    bed.store(&events).await;
    let hijacks = format!(
        "select prefix, origin_as, array_to_string(kinds, ','), array_to_string(others, ','), \
             covering, through_other, extract(epoch from first_seen - {0})::integer, \
             extract(epoch from last_seen - {0})::integer, is_current, peers, routers, as_path \
         from possible_hijacks({1}) order by 1, 2",
        at(0),
        at(50)
    );
    assert_eq!(
        rows(&bed, &hijacks).await,
        [
            "20.1.0.0/16 666 new-origin,origin-change 100 - false 100 161 false 2 2 3 666",
            "20.2.7.0/24 667 more-specific 200 20.2.0.0/16 false 102 102 true 1 1 3 667",
            "20.3.0.0/16 668 new-origin,moas 300 - false 108 108 true 1 1 4 668",
            "20.3.7.0/24 301 more-specific 300 20.3.0.0/16 true 103 103 true 1 1 3 300 301",
        ]
    );
    let changes = format!(
        "select prefix, was, origin_as, extract(epoch from lasted)::integer, host(peer) \
         from origin_changes({}) order by time",
        at(50)
    );
    assert_eq!(
        rows(&bed, &changes).await,
        [
            "20.1.0.0/16 100 666 98 198.51.100.1",
            "20.1.0.0/16 100 666 99 198.51.100.2",
            "20.4.0.0/16 400 401 104 198.51.100.1",
            "20.1.0.0/16 666 100 60 198.51.100.1",
            "20.1.0.0/16 666 100 60 198.51.100.2",
        ]
    );
    let several = "select prefix, array_to_string(origins, ','), peers from moas_prefixes";
    assert_eq!(rows(&bed, several).await, ["20.3.0.0/16 300,668 2"]);

    execute(
        &bed,
        "insert into expected_origins values ('20.2.0.0/16', 200, 24), ('30.0.0.0/15', 501, 16), \
             ('20.3.0.0/16', 300, null), ('20.1.0.0/16', 100, null)",
    )
    .await;
    let unexpected = "select prefix, origin_as from unexpected_origins order by 1, 2";
    assert_eq!(
        rows(&bed, unexpected).await,
        ["20.2.7.0/24 667", "20.3.0.0/16 668", "20.3.7.0/24 301", "30.0.0.0/16 500"]
    );
    let now = format!(
        "select prefix from possible_hijacks({}) where expected = 'unexpected' \
             and 'unexpected-origin' = any (kinds) order by 1, origin_as",
        at(50)
    );
    let expected = ["20.1.0.0/16", "20.2.7.0/24", "20.3.0.0/16", "20.3.7.0/24", "30.0.0.0/16"];
    assert_eq!(rows(&bed, &now).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn leaks_are_told_with_who_leaked() {
    let bed = Bed::new(1).await;
    let otc = |asns: &str, asn| PathAttributes { only_to_customer: Some(asn), ..path(asns) };
    // Their roles, by the capability: customer, peer, provider.
    let mut customer = Voice::new(1, 1, 64_501);
    let mut peer = Voice::new(1, 2, 64_502);
    let mut provider = Voice::new(1, 3, 64_503);
    let mut events = vec![
        customer.up_as(1, 64_500, Some(3)),
        peer.up_as(1, 64_500, Some(4)),
        provider.up_as(1, 64_500, Some(0)),
        // Right: from a provider, from a peer with its own number, and one without the attribute.
        provider.announce_with(2, "20.1.0.0/16", otc("64503 7", 7)),
        peer.announce_with(2, "20.2.0.0/16", otc("64502 8", 64_502)),
        customer.announce(2, "20.3.0.0/16", "64501 9"),
        // Wrong: from a customer, and from a peer with another's.
        customer.announce_with(2, "20.4.0.0/16", otc("64501 10", 10)),
        peer.announce_with(2, "20.5.0.0/16", otc("64502 11", 11)),
        // Two transit-free networks, one next to the other, and with a customer in between.
        provider.announce(2, "20.6.0.0/16", "64503 1299 1299 3356 12"),
        provider.announce(2, "20.7.0.0/16", "64503 1299 13 3356 12"),
        // By relationships: 21 has it from its provider 20 and passes it to its peer 22.
        provider.announce(2, "20.8.0.0/16", "64503 22 21 20"),
        provider.announce(2, "20.9.0.0/16", "64503 22 21"),
        // A customer that passes on what it had from its other provider, which only the last
        // step shows.
        customer.announce(2, "20.10.0.0/16", "64501 20"),
    ];
    // Sent to the provider, which is not to be.
    provider.view = RibView::AdjRibOutPost;
    events.push(provider.announce_with(3, "20.11.0.0/16", otc("64500 14", 14)));
    bed.store(&events).await;
    execute(
        &bed,
        "insert into as_relationships values (20, 21, 'customer'), (21, 22, 'peer'), \
             (64501, 20, 'provider'), (64501, 64500, 'provider')",
    )
    .await;
    let roles = "select peer_asn, local_asn, neighbor_is from neighbor_roles order by 1";
    assert_eq!(
        rows(&bed, roles).await,
        ["64501 64500 customer", "64502 64500 peer", "64503 64500 provider"]
    );
    assert_eq!(
        rows(&bed, "select kind, leaker, prefix from route_leaks order by prefix, kind").await,
        [
            "only-to-customer 64501 20.4.0.0/16",
            "only-to-customer 64502 20.5.0.0/16",
            "tier1 13 20.7.0.0/16",
            "valley 21 20.8.0.0/16",
            "valley 64501 20.10.0.0/16",
            "only-to-customer 64500 20.11.0.0/16",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_that_have_no_place_are_told_and_others_are_not() {
    let bed = Bed::new(1).await;
    let mut router = Voice::new(1, 1, 3);
    let long = format!("3 {}", ["7"; 50].join(" "));
    let events = vec![
        router.up(1),
        router.announce(2, "10.7.0.0/16", "3 5"),
        router.announce(2, "2001:db8:7::/48", "3 5"),
        router.announce(2, "fc00:1::/32", "3 5"),
        router.announce(2, "20.0.0.0/25", "3 5"),
        router.announce(2, "2a00::/49", "3 5"),
        router.announce(2, "20.1.0.0/16", "3 0"),
        router.announce(2, "20.2.0.0/16", "3 65001 5"),
        router.announce(2, "20.3.0.0/16", "3 5 9 9 5"),
        router.announce(2, "20.4.0.0/16", &long),
        router.announce(2, "20.5.0.0/16", "3 23456"),
        router.announce(2, "20.6.0.0/16", "3 65540 4294967295 100000 4200000001"),
        // All right: the default route, space around bogons, Teredo inside of one.
        router.announce(2, "0.0.0.0/0", "3"),
        router.announce(2, "8.0.0.0/6", "3 5 5 5"),
        router.announce(2, "2001::/32", "3 5"),
    ];
    bed.store(&events).await;
    assert_eq!(
        rows(
            &bed,
            "select kind, coalesce(detail, ''), prefix from route_anomalies \
                    order by prefix, kind, detail"
        )
        .await,
        [
            "bogon-prefix private use, RFC 1918 10.7.0.0/16",
            "prefix-too-long /25 20.0.0.0/25",
            "as-zero AS0 20.1.0.0/16",
            "private-asn AS65001 20.2.0.0/16",
            "as-repeated AS5 20.3.0.0/16",
            "path-too-long  20.4.0.0/16",
            "as-trans AS23456 20.5.0.0/16",
            "documentation-asn AS65540 20.6.0.0/16",
            "last-asn AS4294967295 20.6.0.0/16",
            "private-asn AS4200000001 20.6.0.0/16",
            "reserved-asn AS100000 20.6.0.0/16",
            "bogon-prefix documentation, RFC 3849 2001:db8:7::/48",
            "prefix-too-long /49 2a00::/49",
            "bogon-prefix unique local, RFC 4193 fc00:1::/32",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hops_are_the_path_without_what_is_repeated_or_a_confederations_own() {
    let bed = Bed::new(1).await;
    for (path, hops, origin) in [
        ("", "{}", "null"),
        ("3", "{3}", "3"),
        ("3 5 5 5 7", "{3,5,7}", "7"),
        ("(65001 65002) 3 5", "{3,5}", "5"),
        ("[65001,65002] 3 {5,7}", "{3,5,7}", "null"),
    ] {
        assert_eq!(bed.text(&format!("select path_hops('{path}')")).await, hops, "{path}");
        assert_eq!(bed.text(&format!("select path_origin('{path}')")).await, origin, "{path}");
    }
}
