//! How long the history is kept, on the edition of TimescaleDB that leaves it to the ingester.

mod common;

use common::{Bed, Ingester, Speaker};
use rdkafka::message::OwnedHeaders;
use ribstream_collector::raw::Framer;
use ribstream_proto::v1::{PeerUp, event::Body};

const DAY: u64 = 86_400_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn history_that_is_kept_no_longer_goes_and_what_is_current_stays() {
    let bed = Bed::new(1).await;
    let mut speaker = Speaker::new(1, 1);
    let mut events = vec![
        speaker.event(Body::PeerUp(PeerUp::default())),
        speaker.announce(1..=10),
        speaker.announce(20..=25),
        speaker.announce(30..=31),
    ];
    // The last is of a time by which the second has been kept for long enough, the third not.
    events[2].received_at += 20 * DAY;
    events[3].received_at += 30 * DAY;
    let producer = bed.producer();
    for event in &events {
        producer.send(event);
    }
    // Of the raw topic one a week and a day before the last event, one a day less, and one whose
    // collector's clock is in the next century.
    let raw = format!("{}-raw", bed.topic);
    bed.kafka.create_topic(&raw, 1).await.unwrap();
    let mut framer = Framer::new("c1", "192.0.2.1".parse().unwrap());
    let last = events[3].received_at;
    for time in [last - 8 * DAY, last - 7 * DAY, last + 30_000 * DAY] {
        let frame = framer.frame(&[3, 0, 0, 0, 6, 4], time);
        producer.send_to(&raw, "192.0.2.1", frame, &OwnedHeaders::new());
    }
    producer.flush();
    let keep = [
        "--raw",
        "--topic-raw",
        &raw,
        "--session-silence",
        "1000d",
        "--retention-of",
        "route_events=15d",
    ];
    for arguments in [&keep[..5], &keep] {
        let ingester = bed.ingester(arguments);
        bed.wait_until_stored().await;
        bed.wait_until_stored_of(&raw).await;
        if arguments.len() > 5 {
            common::wait_for("the chunks to go", async || {
                bed.number("select count(*) from route_events").await < 18
                    && bed.number("select count(*) from raw_messages").await < 3
            })
            .await;
        }
        assert_eq!(ingester.stop(), Some(0));
    }
    assert_eq!(bed.number("select count(*) from route_events").await, 8);
    assert_eq!(bed.number("select count(*) from raw_messages").await, 2);
    assert_eq!(bed.number("select count(*) from peer_events").await, 1, "kept for longer");
    assert_eq!(bed.number("select count(*) from current_routes").await, 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_whose_clock_is_in_the_next_century_makes_no_history_old() {
    let bed = Bed::new(1).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = u64::try_from(now.as_micros()).unwrap();
    let (mut right, mut wrong) = (Speaker::new(1, 1), Speaker::new(2, 2));
    let up = || Body::PeerUp(PeerUp::default());
    let mut events =
        [right.event(up()), right.announce(1..=10), wrong.event(up()), wrong.announce(1..=3)];
    let producer = bed.producer();
    for (event, clock) in events.iter_mut().zip([0, 0, 30_000 * DAY, 30_000 * DAY]) {
        event.received_at = now - DAY + clock;
        producer.send(event);
    }
    producer.flush();
    // The second looks for what is old when it starts.
    for _ in 0..2 {
        let ingester = bed.ingester(&["--session-silence", "3d"]);
        bed.wait_until_stored().await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        assert_eq!(ingester.stop(), Some(0));
    }
    assert_eq!(bed.number("select count(*) from route_events").await, 13);
    assert_eq!(bed.number("select count(*) from current_routes").await, 13);
    assert_eq!(
        bed.number("select count(*) from ingest_offsets where last_received > now()").await,
        0
    );
}

/// What the copy of a view lacks and has too much, and when it was made.
async fn copied(bed: &Bed, view: &str) -> (i64, i64) {
    let compared = format!(
        "select count(*) from ((table {view} except all table {view}_snapshot) \
             union all (table {view}_snapshot except all table {view})) differing"
    );
    let made = format!(
        "select coalesce((extract(epoch from taken) * 1e6)::bigint, 0) from snapshots \
         where view = '{view}'"
    );
    (bed.number(&compared).await, bed.number(&made).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_views_of_dashboards_are_copied_when_they_are_due() {
    let bed = Bed::new(1).await;
    let mut speaker = Speaker::new(1, 1);
    let producer = bed.producer();
    producer.send(&speaker.event(Body::PeerUp(PeerUp::default())));
    producer.send(&speaker.announce(1..=10));
    producer.flush();
    let silent = ["--session-silence", "1000d"];
    let every = |every| [&silent[..], &["--snapshot-every", every]].concat();
    let equal = async || {
        let mut equal = true;
        for view in ["prefix_lengths", "route_anomalies", "origin_distribution"] {
            let rows = bed.number(&format!("select count(*) from {view}")).await;
            equal &= rows > 0 && copied(&bed, view).await.0 == 0;
        }
        equal
    };

    // Two, of which one at a time does it.
    let ingesters = [bed.ingester(&every("200ms")), bed.ingester(&every("200ms"))];
    bed.wait_until_stored().await;
    common::wait_for("the copies", equal).await;
    producer.send(&speaker.announce(20..=25));
    producer.flush();
    bed.wait_until_stored().await;
    common::wait_for("the next copies", equal).await;
    for ingester in ingesters {
        assert_eq!(ingester.stop(), Some(0));
    }

    // One that is not due, and none at all.
    let (_, made) = copied(&bed, "prefix_lengths").await;
    producer.send(&speaker.announce(30..=31));
    producer.flush();
    for every_ in ["1000d", "0s"] {
        let ingester = bed.ingester(&every(every_));
        bed.wait_until_stored().await;
        assert_eq!(ingester.stop(), Some(0));
        assert_eq!(copied(&bed, "prefix_lengths").await, (2, made), "{every_}");
    }

    // One that cannot be made is in nobody's way, and not tried without a rest.
    let mut connection = bed.database.connect().await.unwrap();
    let fail = "create sequence tries; grant usage on tries to public; \
         create function fail() returns trigger language plpgsql as $$ begin \
             perform nextval('public.tries'), pg_sleep(2); raise 'no'; end $$; \
         create trigger fail before insert on as_adjacencies_snapshot execute function fail()";
    sqlx::raw_sql(fail).execute(&mut connection).await.unwrap();
    let log = std::env::temp_dir().join(format!("{}.log", bed.topic));
    let mut command = bed.command();
    command.args(["--http", "127.0.0.1:0"]).args(every("200ms"));
    let ingester = Ingester::spawn(command.stderr(std::fs::File::create(&log).unwrap()));
    common::wait_for("the copies beside one that fails", equal).await;
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!(ingester.stop(), Some(0));
    assert_eq!(bed.number("select last_value from tries").await, 1);
    let told = std::fs::read_to_string(&log).unwrap();
    // The line says what, and not how: no statement, though it took seconds.
    assert!(told.contains("view=\"as_adjacencies\"") && !told.contains("statement"), "{told}");
    std::fs::remove_file(&log).unwrap();

    // Where they took an hour together, none is due for ten.
    let slow =
        "update snapshots set took = interval '8 minutes', taken = now() - interval '9 hours'";
    sqlx::raw_sql(slow).execute(&mut connection).await.unwrap();
    producer.send(&speaker.announce(40..=41));
    producer.flush();
    let ingester = bed.ingester(&every("200ms"));
    bed.wait_until_stored().await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(ingester.stop(), Some(0));
    assert_eq!(copied(&bed, "prefix_lengths").await.0, 2);

    // No view that has no copy.
    let refused = sqlx::query("select take_snapshot('routers')").execute(&mut connection).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("routers is not one of the views in snapshots"), "{error}");
}
