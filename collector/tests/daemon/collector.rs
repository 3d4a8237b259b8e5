//! A collector in this process, and what its topics should hold.

use std::{
    collections::BTreeMap,
    mem,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use prost::Message;
use ribstream_collector::{
    config::{Cli, Command, RunOptions},
    frame::next_frame,
    run,
    session::{Destination, Origin, Record, Session},
};
use ribstream_proto::v1::{self, RouterDownReason, event::Body};
use ribstream_testkit::{Kafka, topic};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::support::counted_with;

pub(crate) const MAX_MESSAGE: usize = 1_000_000;
/// Longer than anything here takes on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) events: String,
    pub(crate) dead_letter: String,
    kafka: Kafka,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

pub(crate) fn options(brokers: &str, events: &str, dead_letter: &str, more: &[&str]) -> RunOptions {
    let args = [
        "ribstream-collector",
        "run",
        "--kafka",
        brokers,
        "--topic-events",
        events,
        "--topic-dead-letter",
        dead_letter,
        "--partitions",
        "3",
        "--collector-id",
        "test",
    ];
    let cli = Cli::parse_from(args.iter().chain(more));
    match cli.command {
        Command::Run(options) => options,
        _ => unreachable!("the arguments say run"),
    }
}

impl Collector {
    pub(crate) async fn start(kafka: &Kafka, more: &[&str]) -> Self {
        Self::start_by_way_of(kafka.brokers(), kafka, more).await
    }

    /// One that reaches Kafka at another address.
    pub(crate) async fn start_by_way_of(brokers: &str, kafka: &Kafka, more: &[&str]) -> Self {
        Self::start_into(topic("events"), topic("dead-letter"), brokers, kafka, more).await
    }

    /// One whose topics have these names.
    pub(crate) async fn start_into(
        events: String,
        dead_letter: String,
        brokers: &str,
        kafka: &Kafka,
        more: &[&str],
    ) -> Self {
        let options = options(brokers, &events, &dead_letter, more);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shutdown = CancellationToken::new();
        let collector = Self {
            address: listener.local_addr().unwrap(),
            http: http.local_addr().unwrap(),
            events,
            dead_letter,
            kafka: kafka.clone(),
            shutdown: shutdown.clone(),
            task: tokio::spawn(run::run(listener, http, options, shutdown)),
        };
        // Connections wait in the backlog; the topics do not.
        collector.metric_reaches("ribstream_collector_sessions", 0).await;
        collector
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends everything, closes, and waits until the session has ended.
    pub(crate) async fn play(&self, bytes: &[u8], chunk: usize) {
        let mut stream = self.connect().await;
        for part in bytes.chunks(chunk) {
            stream.write_all(part).await.unwrap();
        }
        drop(stream);
        self.sessions_closed(1).await;
    }

    pub(crate) async fn sessions_closed(&self, count: u64) {
        self.metric_reaches("ribstream_collector_sessions_closed_total", count).await;
    }

    /// The sum of a metric over its labels; 0 where it is not there yet.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let mut total = 0.0;
        for line in self.get("/metrics").await.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            if series == name || series.starts_with(&format!("{name}{{")) {
                total += value.parse::<f64>().unwrap_or_default();
            }
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let total = total as u64;
        total
    }

    pub(crate) async fn metric_reaches(&self, name: &str, count: u64) {
        let began = Instant::now();
        while self.metric(name).await < count {
            assert!(began.elapsed() < PATIENCE, "{name} does not reach {count}");
            assert!(!self.task.is_finished(), "the collector ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Waits until the collector has ended by itself, and why.
    pub(crate) async fn failure(self) -> String {
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("the collector ends").unwrap().unwrap_err().to_string()
    }

    /// Shuts the collector down, which must succeed.
    pub(crate) async fn stop(self) -> Topics {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
        Topics { kafka: self.kafka, events: self.events, dead_letter: self.dead_letter }
    }
}

/// What a collector has left behind.
pub(crate) struct Topics {
    kafka: Kafka,
    events: String,
    dead_letter: String,
}

/// The records of a topic by key, in order.
pub(crate) type ByKey = BTreeMap<String, Vec<Vec<u8>>>;

impl Topics {
    /// The events by key, without what differs from run to run.
    pub(crate) async fn events(&self) -> ByKey {
        let mut by_key = ByKey::new();
        for record in self.kafka.consume(&self.events).await.unwrap() {
            let event = v1::Event::decode(record.payload.as_slice()).unwrap();
            let name = event.body.as_ref().map(ribstream_proto::record::event_type);
            assert_eq!(record.header("ribstream-event"), name);
            assert_eq!(record.header("ribstream-router"), Some(event.router.as_str()));
            assert_eq!(
                record.header("content-type"),
                Some(ribstream_proto::record::CONTENT_TYPE_EVENT)
            );
            let key = String::from_utf8(record.key).unwrap();
            if !is_of_time_alone(&event) {
                by_key.entry(key).or_default().push(plain(event));
            }
        }
        by_key
    }

    pub(crate) async fn decoded(&self) -> Vec<v1::Event> {
        let records = self.kafka.consume(&self.events).await.unwrap();
        records.iter().map(|r| v1::Event::decode(r.payload.as_slice()).unwrap()).collect()
    }

    /// How many events, which have the numbers 1, 2, 3 and so on for each peer of each
    /// session, in the order of the topic.
    pub(crate) async fn numbered(&self) -> usize {
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        let events = self.decoded().await;
        for event in &events {
            let last = last.entry(counted_with(event)).or_default();
            *last += 1;
            assert_eq!(event.peer_sequence, *last);
        }
        events.len()
    }

    /// How the sessions have ended, as the events say.
    pub(crate) async fn ends(&self) -> Vec<(RouterDownReason, String)> {
        let ends = self.decoded().await.into_iter().filter_map(|event| match event.body {
            Some(Body::RouterDown(down)) => Some((down.reason(), down.detail)),
            _ => None,
        });
        ends.collect()
    }

    pub(crate) async fn dead_letters(&self) -> usize {
        self.kafka.consume(&self.dead_letter).await.unwrap().len()
    }
}

/// Whether no message has brought the event about, but time.
fn is_of_time_alone(event: &v1::Event) -> bool {
    match &event.body {
        Some(Body::Heartbeat(_)) => true,
        Some(Body::RouteUpdate(update)) => {
            let mut rest = update.clone();
            rest.view = 0;
            !mem::take(&mut rest.dump_over).is_empty() && rest == v1::RouteUpdate::default()
        }
        _ => false,
    }
}

/// The event without the clock and the port, and without its number, which counts
/// the events of time alone too.
fn plain(mut event: v1::Event) -> Vec<u8> {
    event.session = 0;
    event.received_at = 0;
    event.peer_sequence = 0;
    match &mut event.body {
        Some(Body::RouterUp(up)) => up.remote_port = 0,
        Some(Body::RouterDown(down)) => down.detail.clear(),
        // The end of a dump without End-of-RIB is a matter of time.
        Some(Body::RouteUpdate(update)) => {
            update.initial_dump = false;
            update.dump_over.clear();
        }
        _ => {}
    }
    event.encode_to_vec()
}

/// What a session in which these bytes arrive must leave in the topic.
pub(crate) fn expected(mut bytes: &[u8], end: RouterDownReason) -> ByKey {
    let mut by_key = ByKey::new();
    let mut keep = |record: Record<'_>| {
        if record.destination == Destination::Events {
            let key = String::from_utf8(record.key.to_vec()).unwrap();
            let event = v1::Event::decode(record.value).unwrap();
            by_key.entry(key).or_default().push(plain(event));
        }
    };
    let mut session = Session::new(Origin {
        collector: Arc::from("test"),
        router_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        remote_port: 0,
        session: 0,
    });
    while let Some(length) = next_frame(bytes, MAX_MESSAGE).unwrap() {
        let (frame, rest) = bytes.split_at(length);
        session.message(frame, 0, &mut keep);
        bytes = rest;
    }
    session.end(end, "", 0, &mut keep);
    by_key
}

/// Compares without printing megabytes.
pub(crate) fn assert_same(found: &ByKey, expected: &ByKey) {
    let keys = |by_key: &ByKey| by_key.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(found), keys(expected));
    for (key, records) in expected {
        let found = &found[key];
        assert_eq!(found.len(), records.len(), "records of {key}");
        if let Some(at) = found.iter().zip(records).position(|(a, b)| a != b) {
            let decode = |bytes: &Vec<u8>| v1::Event::decode(bytes.as_slice()).unwrap();
            panic!(
                "{key}, record {at}: {:?} is not {:?}",
                decode(&found[at]),
                decode(&records[at])
            );
        }
    }
}

/// A stream's messages.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some(length) = next_frame(bytes, MAX_MESSAGE).unwrap() {
        let (frame, rest) = bytes.split_at(length);
        frames.push(frame);
        bytes = rest;
    }
    frames
}

/// The first `count` messages of a stream.
pub(crate) fn messages(bytes: &[u8], count: usize) -> &[u8] {
    let mut end = 0;
    for _ in 0..count {
        match next_frame(&bytes[end..], MAX_MESSAGE).unwrap() {
            Some(length) => end += length,
            None => break,
        }
    }
    &bytes[..end]
}
