//! Bursts, flaps, differences, policy and the shape of the network, by stories.

use ribstream_proto::v1::RibView;

use crate::{
    common::Bed,
    made::{Voice, at, path},
    rows,
};

#[tokio::test(flavor = "multi_thread")]
async fn bursts_flaps_and_storms_are_those_of_the_story() {
    let bed = Bed::new(2).await;
    let (mut one, mut two) = (Voice::new(1, 1, 3), Voice::new(2, 2, 4));
    let mut events = vec![
        one.up(1),
        two.up(1),
        one.announce(2, "20.1.0.0/16", "3 9"),
        two.announce(2, "20.1.0.0/16", "4 9"),
        // A failure: two peers look for another path, one in vain.
        one.announce(100, "20.1.0.0/16", "3 5 9"),
        two.announce(103, "20.1.0.0/16", "4 3 5 9"),
        two.withdraw(112, "20.1.0.0/16"),
        // Its repair, much later.
        one.announce(200, "20.1.0.0/16", "3 9"),
        two.announce(204, "20.1.0.0/16", "4 9"),
    ];
    for flap in 0..4 {
        events.push(one.announce(300 + flap * 20, "20.2.0.0/16", "3 8"));
        events.push(one.withdraw(305 + flap * 20, "20.2.0.0/16"));
    }
    for prefix in 0..250 {
        events.push(two.announce(403 + prefix / 100, &format!("21.{prefix}.0.0/16"), "4 7"));
    }
    events.push(one.down(500));
    events.push(one.up(510));
    events.push(one.down(520));
    bed.store(&events).await;

    let bursts = format!(
        "select extract(epoch from began - {})::integer, extract(epoch from took)::integer, \
             changes, withdrawals, peers, routers, paths \
         from convergence({}, of_prefix => '20.1.0.0/16') order by 1",
        at(0),
        at(50)
    );
    assert_eq!(rows(&bed, &bursts).await, ["100 12 3 1 2 2 2", "200 4 2 0 2 2 2"]);
    let together = format!(
        "select extract(epoch from took)::integer, changes \
         from convergence({}, gap => '2 minutes', of_prefix => '20.1.0.0/16')",
        at(50)
    );
    assert_eq!(rows(&bed, &together).await, ["104 5"]);

    let flaps = format!(
        "select host(peer), prefix, flaps, extract(epoch from down)::integer, \
             extract(epoch from first_flap - {})::integer, \
             extract(epoch from last_flap - {0})::integer \
         from flapping_prefixes({})",
        at(0),
        at(50)
    );
    assert_eq!(rows(&bed, &flaps).await, ["198.51.100.1 20.2.0.0/16 3 45 305 345"]);

    let storms = format!(
        "select host(peer), extract(epoch from ended - began)::integer, announcements, \
             withdrawals, peak, prefixes \
         from update_storms({}, per_second => 20)",
        at(50)
    );
    assert_eq!(rows(&bed, &storms).await, ["198.51.100.2 10 250 0 25 250"]);

    let peers = format!(
        "select host(peer), flaps, extract(epoch from up)::integer, \
             extract(epoch from shortest)::integer, reasons, is_up \
         from flapping_peers({})",
        at(0)
    );
    assert_eq!(
        rows(&bed, &peers).await,
        [r#"198.51.100.1 2 509 10 ["remote-notification"] false"#]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_between_moments_peers_and_before_and_behind_policy_is_named() {
    let bed = Bed::new(1).await;
    let (mut one, mut two) = (Voice::new(1, 1, 3), Voice::new(1, 2, 3));
    let mut with_med = path("3 9");
    with_med.med = Some(7);
    let mut events = vec![one.up(1), two.up(1)];
    for prefix in ["20.1.0.0/16", "20.2.0.0/16", "20.3.0.0/16"] {
        events.push(one.announce(2, prefix, "3 9"));
        events.push(two.announce(2, prefix, "3 9"));
    }
    events.push(one.withdraw(10, "20.1.0.0/16"));
    events.push(one.announce_with(10, "20.2.0.0/16", with_med.clone()));
    events.push(one.announce(10, "20.4.0.0/16", "3 8"));
    // There and back again is no difference.
    events.push(one.announce(10, "20.3.0.0/16", "3 5 9"));
    events.push(one.announce(12, "20.3.0.0/16", "3 9"));
    // Policy lets one through as it is, changes another and rejects the third.
    one.view = RibView::AdjRibInPost;
    events.push(one.announce(20, "20.3.0.0/16", "3 9"));
    events.push(one.announce(20, "20.2.0.0/16", "3 3 9"));
    bed.store(&events).await;

    let diff = format!(
        "select prefix, difference, array_to_string(parts, ','), was->>'as_path', is_now->>'med' \
         from rib_diff({}, {}) order by 1",
        at(5),
        at(15)
    );
    assert_eq!(
        rows(&bed, &diff).await,
        [
            "20.1.0.0/16 disappeared - 3 9 -",
            "20.2.0.0/16 changed med 3 9 7",
            "20.4.0.0/16 appeared - - -",
        ]
    );
    let between = "select prefix, difference, array_to_string(parts, ',') \
                   from route_differences( \
                       (select id from peers where address = '198.51.100.1'), \
                       (select id from peers where address = '198.51.100.2'), \
                       of_view => 'adj-rib-in-pre') order by 1";
    assert_eq!(
        rows(&bed, between).await,
        ["20.1.0.0/16 only-other -", "20.2.0.0/16 differs med", "20.4.0.0/16 only-one -"]
    );
    let policy = "select host(peer), direction, prefix, result, array_to_string(parts, ',') \
                  from policy_results order by prefix";
    assert_eq!(
        rows(&bed, policy).await,
        [
            "198.51.100.1 in 20.2.0.0/16 changed as_path,med",
            "198.51.100.1 in 20.3.0.0/16 accepted -",
            "198.51.100.1 in 20.4.0.0/16 rejected -",
        ]
    );
    let steps = |of_peer: &str| {
        format!(
            "select nearer, farther, prefixes_before, prefixes_after \
             from as_adjacency_changes({}, {} {of_peer}) order by 1, 2",
            at(5),
            at(15)
        )
    };
    // The second peer has kept what the first lost.
    assert_eq!(rows(&bed, &steps("")).await, ["3 8 0 1"]);
    let of_peer = steps(", of_peer => '198.51.100.1'");
    assert_eq!(rows(&bed, &of_peer).await, ["3 8 0 1", "3 9 3 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn distributions_and_growth_count_what_is_there() {
    let bed = Bed::new(1).await;
    let mut one = Voice::new(1, 1, 3);
    let day = 86_400;
    let events = [
        one.up(1),
        one.announce(2, "20.1.0.0/16", "3 9"),
        one.announce(2, "20.2.0.0/16", "3 9 9"),
        one.announce(2, "20.3.1.0/24", "3 8"),
        one.announce(day + 2, "20.3.2.0/24", "3 8 7"),
        one.withdraw(2 * day + 2, "20.1.0.0/16"),
        one.announce(2 * day + 2, "2a00::/32", "3 8"),
    ];
    bed.store(&events).await;
    let growth = format!(
        "select extract(epoch from time - {0})::integer / 86400, family, length, prefixes \
         from table_growth({0}, {0} + interval '2 days') order by 1, 2, 3",
        at(10)
    );
    assert_eq!(
        rows(&bed, &growth).await,
        [
            "0 ipv4-unicast 16 2",
            "0 ipv4-unicast 24 1",
            "1 ipv4-unicast 16 2",
            "1 ipv4-unicast 24 2",
            "2 ipv4-unicast 16 1",
            "2 ipv4-unicast 24 2",
            "2 ipv6-unicast 32 1",
        ]
    );
    let lengths = "select family, length, routes from prefix_lengths order by 1, 2";
    assert_eq!(
        rows(&bed, lengths).await,
        ["ipv4-unicast 16 1", "ipv4-unicast 24 2", "ipv6-unicast 32 1"]
    );
    let hops = "select family, host(next_hop), routes, percent from next_hop_distribution \
                order by 1";
    assert_eq!(
        rows(&bed, hops).await,
        ["ipv4-unicast 198.51.100.1 3 100.00", "ipv6-unicast 2001:db8::1 1 100.00"]
    );
    let origins = "select origin_as, family, routes, prefixes, peers from origin_distribution \
                   order by 1, 2";
    assert_eq!(
        rows(&bed, origins).await,
        [
            "7 ipv4-unicast 1 1 1",
            "8 ipv4-unicast 1 1 1",
            "8 ipv6-unicast 1 1 1",
            "9 ipv4-unicast 1 1 1"
        ]
    );
    let steps = "select nearer, farther, routes, prefixes, peers from as_adjacencies order by 1, 2";
    assert_eq!(rows(&bed, steps).await, ["3 8 3 3 1", "3 9 1 1 1", "8 7 1 1 1"]);
}
