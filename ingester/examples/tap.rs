//! Prints the routes of the events topic, one line each, as they come.
//!
//! ```sh
//! cargo run -p ribstream-ingester --example tap -- localhost:9092 ribstream.events
//! ```
//!
//! It begins with the oldest event, ends with the last that there is, and joins no consumer
//! group. A program of your own needs `ribstream-proto`, `prost` and `rdkafka`.

use std::{
    collections::BTreeSet,
    env,
    io::{self, BufWriter, Write},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use prost::Message as _;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::Headers as _,
};
use ribstream_proto::{
    record::HEADER_EVENT,
    text,
    v1::{AsPathSegmentType, Event, PathAttributes, PrefixRoute, event::Body},
};

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let brokers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "ribstream.events".to_owned());
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(&topic), Duration::from_secs(10))?;
    let partitions = metadata.topics().first().context("no topic")?.partitions();
    let mut left = BTreeSet::new();
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        left.insert(partition.id());
        list.add_partition_offset(&topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&list)?;

    let mut out = BufWriter::new(io::stdout().lock());
    while !left.is_empty() {
        match consumer.poll(Duration::from_secs(1)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                left.remove(&partition);
            }
            Some(Err(error)) => return Err(anyhow!(error)),
            Some(Ok(record)) => {
                // The header tells what is in a record before it is decoded.
                let updates = record.headers().is_some_and(|headers| {
                    headers.iter().any(|header| {
                        header.key == HEADER_EVENT && header.value == Some(b"route_update")
                    })
                });
                if updates {
                    print(&mut out, &Event::decode(record.payload().unwrap_or_default())?)?;
                }
            }
        }
    }
    Ok(out.flush()?)
}

/// One line for each unicast, labelled or VPN route of a route update.
fn print(out: &mut impl Write, event: &Event) -> io::Result<()> {
    let Some(Body::RouteUpdate(update)) = &event.body else { return Ok(()) };
    for update in [update].into_iter().chain(&update.more) {
        for routes in &update.announced {
            let next_hop = address(&routes.next_hop);
            let path = update.attributes.as_ref().map(path).unwrap_or_default();
            for route in &routes.prefixes {
                writeln!(out, "{} {next_hop} {path}", start(event, '+', route))?;
            }
        }
        for route in update.withdrawn.iter().flat_map(|routes| &routes.prefixes) {
            writeln!(out, "{}", start(event, '-', route))?;
        }
    }
    Ok(())
}

fn start(event: &Event, sign: char, route: &PrefixRoute) -> String {
    let peer = event.peer.as_ref().map(|peer| address(&peer.address)).unwrap_or_default();
    let prefix = route.prefix.as_ref().map(text::prefix).unwrap_or_default();
    format!("{} {} {peer} {sign} {prefix}", event.received_at, event.router)
}

fn address(octets: &[u8]) -> String {
    if octets.is_empty() { "-".to_owned() } else { text::address(octets) }
}

/// The AS path as routers print it, sets in braces.
fn path(attributes: &PathAttributes) -> String {
    let segments = attributes.as_path.iter().flat_map(|path| &path.segments);
    let parts: Vec<String> = segments
        .map(|segment| {
            let asns: Vec<String> = segment.asns.iter().map(u32::to_string).collect();
            match segment.r#type() {
                AsPathSegmentType::AsSet => format!("{{{}}}", asns.join(",")),
                AsPathSegmentType::AsConfedSequence => format!("({})", asns.join(" ")),
                AsPathSegmentType::AsConfedSet => format!("[{}]", asns.join(",")),
                AsPathSegmentType::AsSequence | AsPathSegmentType::Unspecified => asns.join(" "),
            }
        })
        .collect();
    parts.join(" ")
}
