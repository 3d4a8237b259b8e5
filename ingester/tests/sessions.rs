//! Sessions of one router that end in every way, and what its tables then show.

mod common;

use common::{Bed, Speaker};
use ribstream_proto::v1::{
    Event, Family, Heartbeat, PeerDown, PeerDownReason, PeerUp, RibView, RouteUpdate, RouterUp,
    event::Body,
};

const HELD: &str = "select coalesce(string_agg(host(prefix), ' ' order by prefix), '') \
                    from current_routes";
const CHANGES: &str = "select coalesce(string_agg(change || ' ' || n, ', ' order by change), '') \
                       from (select change, count(*) as n from route_events group by 1) c";

/// The same router and peer in a session that begins later, at another collector.
fn later(speaker: &Speaker) -> Speaker {
    Speaker {
        router: speaker.router.clone(),
        peer: speaker.peer.clone(),
        session: speaker.session + 1_000_000,
        sequence: 1000,
    }
}

fn up(speaker: &mut Speaker) -> Event {
    speaker.event(Body::PeerUp(PeerUp::default()))
}

fn lost(speaker: &mut Speaker) -> Event {
    let down = PeerDown { reason: PeerDownReason::SessionLost as i32, ..PeerDown::default() };
    speaker.event(Body::PeerDown(down))
}

fn dump_over(speaker: &mut Speaker) -> Event {
    let family = vec![Family { afi: 1, safi: 1 }];
    speaker.event(Body::RouteUpdate(RouteUpdate {
        view: RibView::AdjRibInPre as i32,
        end_of_rib: family.clone(),
        dump_over: family,
        ..RouteUpdate::default()
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_down_ends_its_routes_in_the_view_and_touches_none_of_them() {
    let bed = Bed::new(1).await;
    let mut router = Speaker::new(1, 1);
    bed.store(&[up(&mut router), router.announce(1..=300)]).await;
    assert_eq!(bed.number("select count(*) from current_routes").await, 300);
    let versions = "select string_agg(xmin::text || ctid::text, ' ' order by key) from routes";
    let before = bed.text(versions).await;
    bed.store(&[lost(&mut router)]).await;
    assert_eq!(bed.number("select count(*) from current_routes").await, 0);
    assert_eq!(bed.text(versions).await, before);
    assert_eq!(
        bed.text("select (epoch, ended is null, end_reason) from peer_epochs").await,
        "(1,f,256)"
    );
    assert_eq!(bed.text("select (up, down_reason) from peers").await, "(f,256)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_comes_back_before_the_loss_of_its_session_is_known_does_not_flicker() {
    let bed = Bed::new(1).await;
    let mut first = Speaker::new(1, 1);
    bed.store(&[up(&mut first), first.announce(1..=4), dump_over(&mut first)]).await;
    // Its collector was killed. Meanwhile the router has lost a route and found another.
    let mut second = later(&first);
    bed.store(&[up(&mut second), second.announce(2..=3)]).await;
    let all = bed.text(HELD).await;
    assert_eq!(all.split(' ').count(), 4, "{all}");
    bed.store(&[second.announce(5..=5), dump_over(&mut second)]).await;
    let left = bed.text(HELD).await;
    assert_eq!(left.split(' ').count(), 3, "{left}");
    // The dump repeated two and was told once; what it left out is no row of history.
    assert_eq!(bed.text(CHANGES).await, "new 5");
    // The old session's end is known at last, and is nothing to the router's routes.
    bed.store(&[lost(&mut first)]).await;
    assert_eq!(bed.text(HELD).await, left);
    assert_eq!(bed.number("select max(epoch) from peer_epochs").await, 1);
    bed.store(&[lost(&mut second)]).await;
    assert_eq!(bed.text(HELD).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_up_that_is_repeated_goes_on_and_its_dump_leaves_out_what_is_gone() {
    let bed = Bed::new(1).await;
    let mut router = Speaker::new(1, 1);
    let first = [up(&mut router), router.announce(1..=3), dump_over(&mut router)];
    let again = router.event(Body::PeerUp(PeerUp { repeats: true, ..PeerUp::default() }));
    let dumped = router.announce(2..=3);
    bed.store(&[&first[..], &[again, dumped.clone()]].concat()).await;
    let held_at = |moment: u64| {
        format!(
            "select coalesce(string_agg(host(prefix), ' ' order by prefix), '') \
             from rib_at(timestamptz 'epoch' + {moment} * interval '1 microsecond')"
        )
    };
    let during = dumped.received_at;
    for sql in [HELD, &held_at(during)] {
        assert_eq!(bed.text(sql).await, "10.0.1.0 10.0.2.0 10.0.3.0", "until the dump is over");
    }
    let over = dump_over(&mut router);
    let after = over.received_at;
    bed.store(&[over]).await;
    for sql in [HELD, &held_at(after)] {
        assert_eq!(bed.text(sql).await, "10.0.2.0 10.0.3.0", "{sql}");
    }
    assert_eq!(bed.text(&held_at(during)).await, "10.0.1.0 10.0.2.0 10.0.3.0");
    assert_eq!(bed.number("select max(epoch) from peer_epochs").await, 1);
    assert_eq!(bed.text(CHANGES).await, "new 3, refresh 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_with_two_collectors_is_shown_and_counted_once() {
    let bed = Bed::new(1).await;
    let mut first = Speaker::new(1, 1);
    let mut second = later(&first);
    second.sequence = 0;
    let mut events = vec![up(&mut first), up(&mut second)];
    for prefix in 1..=20 {
        events.push(first.announce(prefix..=prefix));
        events.push(second.announce(prefix..=prefix));
    }
    bed.store(&events).await;
    assert_eq!(bed.number("select count(*) from current_routes").await, 20);
    assert_eq!(bed.text(CHANGES).await, "new 20");
    bed.store(&[lost(&mut first), second.announce(21..=21)]).await;
    assert_eq!(bed.number("select count(*) from current_routes").await, 21);
    assert_eq!(bed.text(CHANGES).await, "new 21");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sessions_that_came_into_the_topic_at_once_the_later_dump_counts() {
    let bed = Bed::new(1).await;
    let mut first = Speaker::new(1, 1);
    let mut second = later(&first);
    let announced = [up(&mut first), first.announce(1..=2)];
    let dumped = [up(&mut second), second.announce(2..=3), dump_over(&mut second)];
    bed.store(&[&announced[..], &dumped].concat()).await;
    // As one batch of a collector has it, which Kafka has kept waiting.
    let mut connection = bed.database.connect().await.unwrap();
    for table in ["rib_dumps set logged", "peer_holds set logged", "routes set heard_logged"] {
        let sql = format!("update {table} = '2026-05-28 14:00Z'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    assert_eq!(bed.text(HELD).await, "10.0.2.0 10.0.3.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_in_mid_session_is_no_change() {
    let bed = Bed::new(1).await;
    let mut router = Speaker::new(1, 1);
    bed.store(&[up(&mut router), router.announce(1..=9), dump_over(&mut router)]).await;
    bed.store(&[router.announce(1..=9)]).await;
    assert_eq!(bed.text(CHANGES).await, "new 9, refresh 9");
    assert_eq!(bed.number("select sum(changes) from routes").await, 0);
    assert_eq!(bed.number("select count(*) from current_routes where heard > since").await, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_heartbeats_counts_as_ended_until_the_next() {
    let bed = Bed::new(1).await;
    let mut router = Speaker::new(1, 1);
    let began = router.event(Body::RouterUp(RouterUp::default()));
    let beat = |router: &mut Speaker, late: u64| {
        let mut beat = router.event(Body::Heartbeat(Heartbeat::default()));
        beat.received_at += late;
        beat
    };
    // A router that lives shows that the topic has gone on.
    let mut other = Speaker::new(2, 2);
    let alive = other.event(Body::RouterUp(RouterUp::default()));
    let later = beat(&mut other, 40_000_000);
    bed.store(&[began, up(&mut router), router.announce(1..=3), alive, later]).await;
    let silent = "select count(*) from bmp_sessions where silent_since = last_heard";
    // The events are from the past: by this machine's clock all of them are silent.
    let ingester = bed.ingester(&["--session-silence", "60s"]);
    common::wait_for("silence", async || bed.number(silent).await == 2).await;
    assert_eq!(bed.text(HELD).await, "");
    assert_eq!(bed.number("select count(*) from peers where up").await, 1);

    let producer = bed.producer();
    producer.send(&beat(&mut router, 60_000_000));
    producer.flush();
    bed.wait_until_stored().await;
    assert_eq!(bed.number("select count(*) from current_routes").await, 3);
    assert_eq!(ingester.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_behind_is_judged_by_the_time_of_what_was_read() {
    let bed = Bed::new(1).await;
    let mut router = Speaker::new(1, 1);
    let began = router.event(Body::RouterUp(RouterUp::default()));
    bed.store(&[began, up(&mut router), router.announce(1..=3)]).await;
    // The database has not read to the end of the topic, and does not go on.
    let producer = bed.producer();
    producer.send(&router.event(Body::Heartbeat(Heartbeat::default())));
    producer.flush();
    let mut holder = bed.database.connect().await.unwrap();
    sqlx::raw_sql("begin; select * from ingest_offsets for update")
        .execute(&mut holder)
        .await
        .unwrap();
    let ingester = bed.ingester(&["--session-silence", "10s"]);
    tokio::time::sleep(std::time::Duration::from_secs(12)).await;
    assert_eq!(bed.number("select count(silent_since) from bmp_sessions").await, 0);
    assert_eq!(bed.number("select count(*) from current_routes").await, 3);
    sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_is_known_since_its_first_event_in_whichever_order_partitions_are_read() {
    let bed = Bed::new(1).await;
    let mut router = Speaker::new(1, 1);
    // The second and the third event are of partitions that are read later than the first.
    let mut events = [up(&mut router), up(&mut router), up(&mut router)];
    events[1].peer.as_mut().unwrap().address = bytes::Bytes::from_static(&[198, 51, 100, 2]);
    events[2] = router.event(Body::RouterUp(RouterUp::default()));
    let ingester = bed.ingester(&[]);
    let producer = bed.producer();
    for (late, event) in events.iter_mut().enumerate() {
        event.received_at = common::START + 30_000_000 - late as u64 * 10_000_000;
        producer.send(event);
        producer.flush();
        bed.wait_until_stored().await;
        let first = "select max(last_received) - first_heard from ingest_offsets, routers group by first_heard";
        assert_eq!(bed.text(first).await, format!("00:00:{late}0"), "{late}");
    }
    assert_eq!(ingester.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_missing_or_come_twice_are_seen() {
    let bed = Bed::new(1).await;
    let mut router = Speaker::new(1, 1);
    let mut number = 0;
    let mut events: Vec<Event> = vec![up(&mut router)];
    events.extend((1..=6).map(|prefix| router.announce(prefix..=prefix)));
    for event in &mut events {
        number += 1;
        event.peer_sequence = number;
    }
    let twice = events[2].clone();
    events.insert(4, twice);
    events.remove(5);
    events.remove(5);
    bed.store(&events).await;
    assert_eq!(bed.number("select count(*) from route_events").await, 4);
    assert_eq!(bed.text("select (after, before) from event_gaps").await, "(4,7)");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_been_gone_for_long_is_swept_and_nothing_else() {
    let bed = Bed::new(1).await;
    let mut router = Speaker::new(1, 1);
    let mut other = Speaker::new(2, 2);
    let mut returning = later(&router);
    let mut events = vec![up(&mut router), router.announce(1..=9), router.withdraw(1..=2)];
    // One that is gone with its peer, and one that a later dump leaves out.
    events.extend([up(&mut other), other.announce(20..=22), lost(&mut other)]);
    events.extend([up(&mut returning), returning.announce(1..=6), dump_over(&mut returning)]);
    bed.store(&events).await;
    assert_eq!(bed.number("select count(*) from routes").await, 12);
    assert_eq!(bed.number("select count(*) from current_routes").await, 6);

    // Not long enough, by the topic's time.
    let ingester = bed.ingester(&["--keep-gone", "1h"]);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(ingester.stop(), Some(0));
    assert_eq!(bed.number("select count(*) from routes").await, 12);

    let mut last = returning.announce(30..=30);
    last.received_at += 7_200_000_000;
    bed.store(&[last]).await;
    let ingester = bed.ingester(&["--keep-gone", "1h"]);
    common::wait_for("the sweep", async || bed.number("select count(*) from routes").await == 7)
        .await;
    assert_eq!(bed.number("select count(*) from current_routes").await, 7);
    assert_eq!(ingester.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_whose_clock_was_in_the_next_century_holds_no_routes_until_then() {
    let bed = Bed::new(1).await;
    let mut router = Speaker::new(1, 1);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let then = u64::try_from(now.as_micros()).unwrap() + 30_000 * 86_400_000_000;
    let events = [
        router.event(Body::RouterUp(RouterUp::default())),
        router.event(Body::PeerUp(PeerUp::default())),
        router.announce(1..=3),
        router.event(Body::Heartbeat(Heartbeat::default())),
    ];
    let producer = bed.producer();
    for event in events {
        producer.send(&Event { received_at: then, ..event });
    }
    producer.flush();
    let ingester = bed.ingester(&["--session-silence", "10s"]);
    let current = "select count(*) from current_routes";
    common::wait_for("routes", async || bed.number(current).await == 3).await;
    common::wait_for("silence", async || bed.number(current).await == 0).await;
    assert_eq!(ingester.stop(), Some(0));
}
