//! How long the history is kept, on the edition of TimescaleDB that leaves it to the ingester.

mod common;

use common::{Bed, Speaker};
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
            common::wait_for("the chunk to go", async || {
                bed.number("select count(*) from route_events").await < 18
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
