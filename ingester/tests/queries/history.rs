//! The looking glass: what peers hold, held at every moment, and what changed.

use std::collections::BTreeMap;

use ribstream_proto::v1::Event;
use sqlx::AssertSqlSafe;

use crate::{
    analyze,
    common::Bed,
    made::{Voice, at, path},
    rows,
};

/// The table of a peer at a second: prefix and path of each route.
async fn held(bed: &Bed, second: u64, peer: u8) -> BTreeMap<String, String> {
    let query = format!(
        "select prefix, as_path from rib_at({} + interval '0.5 seconds', \
             of_peer => '198.51.100.{peer}')",
        at(second)
    );
    let pair = |row: String| {
        let (prefix, path) = row.split_once(' ').unwrap();
        (prefix.to_owned(), path.to_owned())
    };
    let routes = rows(bed, &query).await;
    let count = routes.len();
    let table: BTreeMap<_, _> = routes.into_iter().map(pair).collect();
    assert_eq!(table.len(), count, "a route is there twice at {second}");
    table
}

/// Numbers that are the same at each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_at_any_moment_is_what_had_been_said_by_then() {
    let bed = Bed::new(2).await;
    let mut dice = Dice(6);
    let mut voices = [Voice::new(1, 1, 64_501), Voice::new(1, 2, 64_502)];
    let mut up = [false, false];
    let mut tables = [BTreeMap::new(), BTreeMap::new()];
    let mut events: Vec<Event> = Vec::new();
    // What each peer held at the end of each second.
    let mut known = Vec::new();
    for second in 1..=400 {
        let one = usize::from(dice.roll(2) == 1);
        let (voice, table) = (&mut voices[one], &mut tables[one]);
        if !up[one] {
            events.push(voice.up(second));
            up[one] = true;
        } else if dice.roll(40) == 0 {
            events.push(voice.down(second));
            up[one] = false;
            table.clear();
        } else {
            for _ in 0..=dice.roll(3) {
                let prefix = format!("10.{}.0.0/16", dice.roll(30));
                if dice.roll(3) == 0 {
                    events.push(voice.withdraw(second, &prefix));
                    table.remove(&prefix);
                } else {
                    let path = format!("{} {}", voice.speaker.peer.asn, 65_000 + dice.roll(4));
                    events.push(voice.announce(second, &prefix, &path));
                    table.insert(prefix, path);
                }
            }
        }
        known.push((second, tables.clone()));
    }
    bed.store(&events).await;
    analyze(&bed).await;
    let epochs = bed.number("select max(epoch) from peer_epochs").await;
    assert!(epochs > 2, "{epochs}");
    for (second, tables) in known.iter().step_by(8) {
        for (peer, table) in (1..).zip(tables) {
            assert_eq!(held(&bed, *second, peer).await, *table, "peer {peer} at {second}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dump_left_out_is_gone_from_when_it_was_over() {
    let bed = Bed::new(1).await;
    let mut first = Voice::new(1, 1, 64_501);
    let mut second = first.again(10);
    // Its collector was killed. The router comes back to another, has lost one route and repeats
    // the others; the lost one returns, is lost again in the same way, and stays away.
    let mut third = first.again(30);
    let events = vec![
        first.up(1),
        first.announce(2, "10.1.0.0/16", "64501"),
        first.announce(2, "10.2.0.0/16", "64501"),
        first.announce(2, "10.3.0.0/16", "64501"),
        first.dump_over(3),
        second.up(10),
        second.announce(11, "10.1.0.0/16", "64501"),
        second.announce(11, "10.3.0.0/16", "64501"),
        second.dump_over(12),
        second.announce(20, "10.2.0.0/16", "64501 65002"),
        third.up(30),
        third.announce(31, "10.1.0.0/16", "64501"),
        third.announce(31, "10.3.0.0/16", "64501"),
        third.dump_over(32),
        third.announce(40, "10.3.0.0/16", "64501 65003"),
    ];
    bed.store(&events).await;
    let expected = [
        (2, "10.1.0.0/16 10.2.0.0/16 10.3.0.0/16"),
        (10, "10.1.0.0/16 10.2.0.0/16 10.3.0.0/16"),
        (11, "10.1.0.0/16 10.2.0.0/16 10.3.0.0/16"),
        (12, "10.1.0.0/16 10.3.0.0/16"),
        (20, "10.1.0.0/16 10.2.0.0/16 10.3.0.0/16"),
        (31, "10.1.0.0/16 10.2.0.0/16 10.3.0.0/16"),
        (32, "10.1.0.0/16 10.3.0.0/16"),
        (40, "10.1.0.0/16 10.3.0.0/16"),
    ];
    let check = async || {
        for (second, prefixes) in expected {
            let held: Vec<String> = held(&bed, second, 1).await.into_keys().collect();
            assert_eq!(held.join(" "), prefixes, "at {second}");
        }
    };
    check().await;
    // The same of an epoch that another has followed.
    bed.store(&[first.down(50), second.down(50), third.down(50), third.up(60)]).await;
    check().await;
    assert_eq!(held(&bed, 55, 1).await.len(), 0);
    let lasted = "select change, extract(epoch from lasted)::integer as lasted, ended_by \
                  from route_history('10.2.0.0/16')";
    assert_eq!(rows(&bed, lasted).await, ["new 10 dump", "new 12 dump"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_session_held_nothing_since() {
    let bed = Bed::new(1).await;
    let mut router = Voice::new(1, 1, 64_501);
    bed.store(&[router.up(1), router.announce(2, "10.1.0.0/16", "64501")]).await;
    let mut connection = bed.database.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!(
        "insert into bmp_sessions (router_id, session, collector, started, last_heard, silent_since) \
         select p.router_id, h.session, 'killed', {0}, {1}, {1} \
         from peer_holds h join peers p on p.id = h.peer_id",
        at(0),
        at(20)
    )))
    .execute(&mut connection)
    .await
    .unwrap();
    assert_eq!(held(&bed, 10, 1).await.len(), 1);
    assert_eq!(held(&bed, 30, 1).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_retention_has_deleted_is_known_to_have_been_there() {
    let bed = Bed::new(1).await;
    let mut router = Voice::new(1, 1, 64_501);
    let events = [
        router.up(1),
        router.announce(2, "10.1.0.0/16", "64501"),
        router.announce(2, "10.2.0.0/16", "64501"),
        router.announce(20, "10.1.0.0/16", "64501 65001"),
    ];
    bed.store(&events).await;
    let mut connection = bed.database.connect().await.unwrap();
    let sql = format!("delete from route_events where time < {}", at(10));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    let query =
        format!("select prefix, as_path, since = {} from rib_at({}) order by 1", at(2), at(15));
    assert_eq!(rows(&bed, &query).await, ["10.1.0.0/16 - true", "10.2.0.0/16 64501 true"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_names_what_changed_and_how_long_each_version_lasted() {
    let bed = Bed::new(1).await;
    let mut router = Voice::new(1, 1, 64_501);
    let mut changed = path("64501 65001");
    changed.med = Some(10);
    changed.communities = vec![(64_501 << 16) + 7];
    let events = [
        router.up(1),
        router.announce(2, "10.1.0.0/16", "64501 65000"),
        router.announce_with(12, "10.1.0.0/16", changed.clone()),
        router.announce_with(15, "10.1.0.0/16", changed),
        router.withdraw(32, "10.1.0.0/16"),
        router.withdraw(33, "10.1.0.0/16"),
        router.announce(72, "10.1.0.0/16", "64501 65000"),
        router.down(80),
    ];
    bed.store(&events).await;
    let query = "select change, array_to_string(parts, ',') as parts, \
                     was->>'as_path' as was_path, was->>'med' as was_med, \
                     extract(epoch from replaced_after)::integer as replaced_after, \
                     extract(epoch from lasted)::integer as lasted, ended_by \
                 from route_history('10.1.0.0/16')";
    assert_eq!(
        rows(&bed, query).await,
        [
            "new - - - - 10 changed",
            "changed as_path,med,communities 64501 65000 - 10 20 withdrawn",
            "refresh - - - - - -",
            "withdrawn - - - 20 - -",
            "withdrawn-unknown - - - - - -",
            "new - - - - 8 peer-down",
        ]
    );
    let of_peer = "select count(*) from route_history('10.1.0.0/16', of_peer => '198.51.100.9')";
    assert_eq!(bed.number(of_peer).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_finds_the_longest_the_exact_and_what_is_inside_or_around() {
    let bed = Bed::new(2).await;
    let (mut one, mut other) = (Voice::new(1, 1, 64_501), Voice::new(2, 2, 64_502));
    let mut events = vec![one.up(1), other.up(1)];
    for prefix in ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "2001:db8::/32"] {
        events.push(one.announce(2, prefix, "64501"));
    }
    for prefix in ["10.0.0.0/8", "10.1.2.128/25"] {
        events.push(other.announce(2, prefix, "64502"));
    }
    bed.store(&events).await;
    let cases = [
        ("'10.1.2.3'", "1 10.1.2.0/24, 2 10.0.0.0/8"),
        ("'10.1.2.200'", "1 10.1.2.0/24, 2 10.1.2.128/25"),
        ("'10.1.0.0/16'", "1 10.1.0.0/16, 2 10.0.0.0/8"),
        ("'192.0.2.1'", "1 0.0.0.0/0"),
        ("'2001:db8::1'", "1 2001:db8::/32"),
        ("'2001:db9::1'", ""),
        ("'10.1.2.0/24', 'exact'", "1 10.1.2.0/24"),
        ("'10.1.2.0/25', 'exact'", ""),
        ("'10.1.0.0/16', 'more'", "1 10.1.0.0/16, 1 10.1.2.0/24, 2 10.1.2.128/25"),
        (
            "'10.1.2.0/24', 'less'",
            "1 0.0.0.0/0, 1 10.0.0.0/8, 1 10.1.0.0/16, 1 10.1.2.0/24, 2 10.0.0.0/8",
        ),
        ("'10.1.2.3', of_router => '192.0.2.2'", "2 10.0.0.0/8"),
        ("'10.1.2.3', of_peer => '198.51.100.1'", "1 10.1.2.0/24"),
        ("'10.1.2.3', of_view => 'loc-rib'", ""),
        ("'10.1.2.3', of_family => 'ipv6-unicast'", ""),
    ];
    for (arguments, expected) in cases {
        let query = format!(
            "select right(host(peer), 1), prefix from route_lookup({arguments}) \
             order by peer, prefix"
        );
        assert_eq!(rows(&bed, &query).await.join(", "), expected, "{arguments}");
    }
}

/// A function that is not called but is part of the query lets conditions reach the indexes.
#[tokio::test(flavor = "multi_thread")]
async fn functions_become_part_of_the_query_that_calls_them() {
    let bed = Bed::new(1).await;
    let mut connection = bed.database.connect().await.unwrap();
    for call in [
        "route_lookup('10.1.2.3')",
        "rib_at(now(), of_peer => '198.51.100.1') where prefix = '10.0.0.0/8'",
        "route_history('10.0.0.0/8')",
        "rib_diff(now() - interval '1 hour', now())",
        "route_differences(1, 2)",
        "convergence(now() - interval '1 hour')",
        "update_storms(now() - interval '1 hour')",
        "flapping_prefixes(now() - interval '1 hour')",
        "flapping_peers(now() - interval '1 hour')",
        "as_adjacency_changes(now() - interval '1 hour', now())",
        "origin_changes(now() - interval '1 hour')",
        "possible_hijacks(now() - interval '1 hour')",
        "evpn_history('02:00:00:00:00:01')",
        "evpn_rib_at(now())",
        "evpn_mac_moves(now() - interval '1 hour')",
        "table_growth(now() - interval '1 hour', now())",
    ] {
        let name = call.split('(').next().unwrap();
        let sql = AssertSqlSafe(format!("explain select * from {call}"));
        let plan: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
        let plan = plan.join("\n");
        assert!(!plan.contains(&format!("Function Scan on {name}")), "{plan}");
    }
}
