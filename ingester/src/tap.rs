//! The events topic as JSON lines, for people and scripts that want a look.
//!
//! A tap reads all partitions by itself: it joins no consumer group, commits no
//! offset, and nobody notices it.

use std::{
    fmt,
    io::{self, BufWriter, Write},
    net::IpAddr,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use prost::Message as _;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::Headers as _,
};
use ribstream_proto::{
    record::{self, HEADER_ROUTER},
    v1::{Event, Prefix, RouteUpdate, Routes, event::Body},
};
use ribstream_runtime::{kafka::KafkaOptions, units::duration};
use tokio_util::sync::CancellationToken;

/// How long Kafka may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long `poll` waits, and so how late a Ctrl-C is noticed.
const POLL: Duration = Duration::from_millis(100);

/// What `tap` needs.
#[derive(Args, Clone, Debug)]
pub struct TapOptions {
    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaOptions,
    /// Only events of this router, by its identity
    #[arg(long, env = "RIBSTREAM_ROUTER", value_name = "ROUTER")]
    pub router: Option<String>,
    /// Only events of the peer with this address
    #[arg(long, env = "RIBSTREAM_PEER", value_name = "ADDRESS")]
    pub peer: Option<IpAddr>,
    /// Only routes of this prefix or of more specific ones, EVPN routes by their prefix or host; messages without such a route are left out
    #[arg(long, env = "RIBSTREAM_PREFIX", value_name = "PREFIX")]
    pub prefix: Option<Network>,
    /// Begin with the oldest event that Kafka has, not with the next
    #[arg(long, env = "RIBSTREAM_FROM_BEGINNING")]
    pub from_beginning: bool,
    /// Begin with the events that Kafka received so long ago
    #[arg(long, env = "RIBSTREAM_SINCE", value_name = "DURATION", value_parser = duration,
        conflicts_with = "from_beginning")]
    pub since: Option<Duration>,
}

/// A prefix to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u32,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            || format!("{text:?} is not a prefix; write it like 192.0.2.0/24 or 2001:db8::/32");
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(width), str::parse).map_err(|_| bad())?;
        if length > width {
            return Err(bad());
        }
        Ok(Self { address, length })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl Network {
    /// Whether a prefix is this one or inside of it.
    fn contains(self, address: &[u8], length: u32) -> bool {
        fn bits(address: IpAddr, length: u32) -> u128 {
            let (bits, width) = match address {
                IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
                IpAddr::V6(v6) => (u128::from(v6), 128),
            };
            bits.checked_shr(width - length).unwrap_or_default()
        }
        record::ip(address).is_some_and(|address| {
            address.is_ipv4() == self.address.is_ipv4()
                && length >= self.length
                && bits(address, self.length) == bits(self.address, self.length)
        })
    }
}

/// Prints events until Ctrl-C, or until nobody reads any more.
///
/// # Errors
/// One line that names what is wrong.
pub async fn tap(options: TapOptions, stop: CancellationToken) -> anyhow::Result<()> {
    ribstream_runtime::kafka::check_broker(&options.kafka, TIMEOUT).await?;
    let consumer = open(&options)?;
    let (done, finished) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let printed = print(&consumer, &options, &stop, BufWriter::new(io::stdout().lock()));
        // The receiver waits for as long as this thread runs.
        drop(done.send(printed));
    });
    finished.await?
}

fn open(options: &TapOptions) -> anyhow::Result<BaseConsumer> {
    let explain = |error: KafkaError| options.kafka.explain(&error);
    let consumer: BaseConsumer = options
        .kafka
        .client_config(&[
            ("client.id", "ribstream-tap"),
            // librdkafka wants a name to assign by; no group of it ever comes to be.
            ("group.id", "ribstream-tap"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("allow.auto.create.topics", "false"),
            ("queued.max.messages.kbytes", "8192"),
        ])
        .create()
        .map_err(explain)?;
    let topic = options.kafka.topic_events.as_str();
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).map_err(explain)?;
    let partitions = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
    if partitions.is_empty() {
        bail!(
            "there is no topic {topic} at {}; check --topic-events, or start a collector, \
             which creates it",
            options.kafka.brokers
        );
    }
    let start = match options.since {
        Some(since) => {
            let from = SystemTime::now().checked_sub(since).unwrap_or(UNIX_EPOCH);
            let from = from.duration_since(UNIX_EPOCH).unwrap_or_default();
            // As an offset to look up: milliseconds.
            Offset::Offset(i64::try_from(from.as_millis()).unwrap_or_default())
        }
        None if options.from_beginning => Offset::Beginning,
        None => Offset::End,
    };
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, partition.id(), start).map_err(explain)?;
    }
    if options.since.is_some() {
        list = consumer.offsets_for_times(list, TIMEOUT).map_err(explain)?;
    }
    consumer.assign(&list).map_err(explain)?;
    Ok(consumer)
}

fn print(
    consumer: &BaseConsumer,
    options: &TapOptions,
    stop: &CancellationToken,
    mut out: impl Write,
) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        // What is there is written out before waiting for more.
        let message = match consumer.poll(Duration::ZERO) {
            Some(message) => Some(message),
            None => match out.flush() {
                Ok(()) => consumer.poll(POLL),
                Err(error) => return closed(error),
            },
        };
        match message {
            Some(Ok(message)) => {
                let router = message
                    .headers()
                    .and_then(|headers| headers.iter().find(|h| h.key == HEADER_ROUTER))
                    .and_then(|header| header.value);
                if let (Some(wanted), Some(router)) = (&options.router, router)
                    && wanted.as_bytes() != router
                {
                    continue;
                }
                let Some(line) = line(message.payload().unwrap_or_default(), options) else {
                    continue;
                };
                let line = line.with_context(|| {
                    format!(
                        "cannot read offset {} of partition {} of {}",
                        message.offset(),
                        message.partition(),
                        message.topic()
                    )
                });
                match line {
                    Ok(line) => {
                        if let Err(error) = out.write_all(&line) {
                            return closed(error);
                        }
                    }
                    Err(error) => tracing::warn!("{error:#}"),
                }
            }
            Some(Err(error)) => tracing::warn!(%error, "kafka"),
            None => {}
        }
    }
    out.flush().or_else(closed)
}

/// A reader that has had enough, such as `head`, ends the tap without a complaint.
fn closed<T>(error: io::Error) -> Result<T, anyhow::Error>
where
    T: Default,
{
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(T::default());
    }
    Err(anyhow!(error).context("cannot write to standard output"))
}

/// An event's JSON and a newline, `None` where it is not asked for.
fn line(payload: &[u8], options: &TapOptions) -> Option<anyhow::Result<Vec<u8>>> {
    let mut event = match Event::decode(Bytes::copy_from_slice(payload)) {
        Ok(event) => event,
        Err(error) => return Some(Err(anyhow!(error).context("not a ribstream.v1.Event"))),
    };
    if !wanted(&mut event, options) {
        return None;
    }
    let json = serde_json::to_vec(&event).map(|mut json| {
        json.push(b'\n');
        json
    });
    Some(json.map_err(Into::into))
}

fn wanted(event: &mut Event, options: &TapOptions) -> bool {
    if options.router.as_ref().is_some_and(|router| *router != event.router) {
        return false;
    }
    if let Some(wanted) = options.peer {
        let address = event.peer.as_ref().and_then(|peer| record::ip(&peer.address));
        if address != Some(wanted) {
            return false;
        }
    }
    match (options.prefix, &mut event.body) {
        (None, _) => true,
        (Some(prefix), Some(Body::RouteUpdate(update))) => retain(update, prefix),
        (Some(_), _) => false,
    }
}

/// Leaves only the routes that are asked for; whether there are any.
fn retain(update: &mut RouteUpdate, wanted: Network) -> bool {
    let keep = |routes: &mut Vec<Routes>| {
        for routes in &mut *routes {
            let inside = |prefix: &Option<Prefix>| {
                prefix.as_ref().is_some_and(|p| wanted.contains(&p.address, p.length))
            };
            let host_inside =
                |ip: &[u8]| wanted.contains(ip, u32::try_from(ip.len() * 8).unwrap_or_default());
            routes.prefixes.retain(|route| inside(&route.prefix));
            routes.evpn.retain(|route| inside(&route.prefix) || host_inside(&route.ip));
        }
        routes.retain(|routes| !(routes.prefixes.is_empty() && routes.evpn.is_empty()));
    };
    keep(&mut update.announced);
    keep(&mut update.withdrawn);
    update.more.retain_mut(|more| retain(more, wanted));
    !(update.announced.is_empty() && update.withdrawn.is_empty() && update.more.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_contains_itself_and_what_is_more_specific() {
        let network: Network = "192.0.2.0/24".parse().unwrap();
        assert!(network.contains(&[192, 0, 2, 0], 24));
        assert!(network.contains(&[192, 0, 2, 128], 25));
        assert!(!network.contains(&[192, 0, 0, 0], 22));
        assert!(!network.contains(&[192, 0, 3, 0], 24));
        assert!(!network.contains(&[0; 16], 64));
        let default: Network = "::/0".parse().unwrap();
        assert!(default.contains(&[0x20; 16], 128));
        assert!(!default.contains(&[192, 0, 2, 0], 24));
    }

    #[test]
    fn what_is_not_a_prefix_is_refused_with_an_example() {
        for text in ["192.0.2.0/33", "192.0.2/24", "::/129", "x", "192.0.2.0/"] {
            assert!(text.parse::<Network>().unwrap_err().contains("192.0.2.0/24"), "{text}");
        }
        assert_eq!("192.0.2.1".parse::<Network>().unwrap().to_string(), "192.0.2.1/32");
    }
}
