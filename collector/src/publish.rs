//! Records to Kafka: in order, each acknowledged or its session told.
//!
//! ```text
//!  session ──► Output ──► librdkafka queue ──► broker
//!     ▲   room()  │                              │
//!     └── waits ──┘◄──── in flight, in bytes ◄── delivery report
//! ```
//!
//! What has not been acknowledged is counted in bytes, over all sessions. Over
//! the budget, sessions wait and leave their sockets unread, so that TCP holds
//! the routers back.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rdkafka::{
    ClientContext, Message,
    bindings::rd_kafka_message_latency,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Header, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};
use ribstream_proto::record;
use ribstream_runtime::kafka::KafkaOptions;
use tokio::{sync::Notify, time::timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    config::RunOptions,
    metrics::Metrics,
    session::{Destination, Record},
    topics,
};

/// What librdkafka keeps for a record beside its key and value: its own
/// structure, three headers or, of a raw message, five, the allocator's rounding.
const RECORD_OVERHEAD: usize = 640;
/// Room in librdkafka's own queue past our budget, which each session may
/// overrun by the records of one message.
const QUEUE_HEADROOM: usize = 64 << 20;
/// A batch of this many records goes into a socket's buffer in one write. While a
/// larger one is written in pieces, librdkafka's thread spins.
const BATCH_RECORDS: &str = "3000";
/// How long the brokers may take to answer a question for their health.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// While Kafka is away librdkafka complains at each attempt; one line in so long is enough.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// Publishes the records of all sessions.
pub struct Publisher {
    producer: ThreadedProducer<Reports>,
    shared: Arc<Shared>,
    topic_events: String,
    topic_dead_letter: String,
    topic_raw: String,
    kafka: KafkaOptions,
}

struct Shared {
    in_flight: AtomicUsize,
    /// Most bytes in flight.
    budget: usize,
    waiting: AtomicUsize,
    room: Notify,
    metrics: Arc<Metrics>,
    fatal: CancellationToken,
    fatal_reason: OnceLock<String>,
    last_complaint: Mutex<Option<Instant>>,
}

impl Publisher {
    /// A producer for the configured brokers. Does not wait for them.
    pub fn new(options: &RunOptions, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let queue = options.publish_buffer.saturating_add(QUEUE_HEADROOM) >> 10;
        let config = options.kafka.client_config(&[
            ("enable.idempotence", "true"),
            ("acks", "all"),
            // Kafka may be away for hours: what was read is kept, and no more is read.
            ("message.timeout.ms", "0"),
            ("partitioner", "murmur2_random"),
            ("compression.codec", "zstd"),
            ("compression.level", &options.compression_level.to_string()),
            ("linger.ms", &options.linger.as_millis().to_string()),
            ("message.max.bytes", &topics::MAX_RECORD.to_string()),
            ("queue.buffering.max.kbytes", &queue.to_string()),
            ("queue.buffering.max.messages", "0"),
            ("batch.num.messages", BATCH_RECORDS),
            // Back within seconds of the brokers.
            ("reconnect.backoff.max.ms", "2000"),
            ("socket.nagle.disable", "true"),
        ]);
        let shared = Arc::new(Shared {
            in_flight: AtomicUsize::new(0),
            budget: options.publish_buffer,
            waiting: AtomicUsize::new(0),
            room: Notify::new(),
            metrics,
            fatal: CancellationToken::new(),
            fatal_reason: OnceLock::new(),
            last_complaint: Mutex::new(None),
        });
        let reports = Reports { shared: Arc::clone(&shared) };
        let producer = ThreadedProducer::from_config_and_context(&config, reports)
            .map_err(|error| options.kafka.explain(&error))
            .context("cannot make the Kafka producer")?;
        Ok(Self {
            producer,
            shared,
            topic_events: options.kafka.topic_events.clone(),
            topic_dead_letter: options.kafka.topic_dead_letter.clone(),
            topic_raw: options.topic_raw.clone(),
            kafka: options.kafka.clone(),
        })
    }

    /// Cancelled when the producer can work no more, which needs a new process.
    #[must_use]
    pub fn fatal(&self) -> &CancellationToken {
        &self.shared.fatal
    }

    /// Why [`Publisher::fatal`] was cancelled.
    #[must_use]
    pub fn fatal_reason(&self) -> Option<&str> {
        self.shared.fatal_reason.get().map(String::as_str)
    }

    /// Asks the brokers for the events topic. Blocks.
    pub fn check(&self) -> Result<(), String> {
        let client = self.producer.client();
        match client.fetch_metadata(Some(&self.topic_events), HEALTH_TIMEOUT) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("no answer from the brokers ({error})")),
        }
    }

    /// Whether records wait for acknowledgement, and how many have had one.
    #[must_use]
    pub fn progress(&self) -> (bool, u64) {
        let waiting = self.shared.in_flight.load(Ordering::Relaxed) > 0;
        (waiting, self.shared.metrics.acknowledged.get())
    }

    /// Whether a new client reaches the brokers, which have leaders for the events
    /// topic, and the producer does not reach them. Blocks.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.check().is_err() && self.serves_others()
    }

    fn serves_others(&self) -> bool {
        let client: Result<BaseConsumer, _> = self.kafka.client_config(&[]).create();
        let answer = client
            .and_then(|client| client.fetch_metadata(Some(&self.topic_events), HEALTH_TIMEOUT));
        answer.is_ok_and(|metadata| {
            metadata.topics().iter().any(|topic| {
                topic.error().is_none()
                    && !topic.partitions().is_empty()
                    && topic.partitions().iter().all(|partition| partition.leader() >= 0)
            })
        })
    }

    /// Ends it all as where librdkafka itself says that the producer can work no more:
    /// [`Publisher::fatal`] is cancelled.
    pub fn give_up(&self, reason: &str) {
        self.shared.give_up(reason);
    }

    /// Waits until all is acknowledged or refused, at most until `deadline`;
    /// returns the bytes that are neither.
    pub async fn drain(&self, deadline: Instant) -> usize {
        // Its timeout is all there is to its outcome.
        let _ = timeout_at(deadline.into(), self.shared.wait_until(0)).await;
        self.shared.in_flight.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn begin(&self, size: usize) {
        self.in_flight.fetch_add(size, Ordering::SeqCst);
        self.metrics.in_flight.add(signed(size));
    }

    fn end(&self, size: usize) {
        let left = self.in_flight.fetch_sub(size, Ordering::SeqCst) - size;
        self.metrics.in_flight.sub(signed(size));
        if self.waiting.load(Ordering::SeqCst) > 0 && left <= self.low_water() {
            self.room.notify_waiters();
        }
    }

    /// Sessions that wait go on only when there is room for a good many records.
    const fn low_water(&self) -> usize {
        self.budget / 4 * 3
    }

    fn give_up(&self, reason: &str) {
        tracing::error!(reason, "the kafka producer can work no more");
        // The first reason is the one that matters.
        let _ = self.fatal_reason.set(reason.to_owned());
        self.fatal.cancel();
    }

    fn has_room(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) < self.budget
    }

    async fn wait_until(&self, limit: usize) {
        loop {
            let notified = self.room.notified();
            tokio::pin!(notified);
            // First in the list, then the look: a report in between is not missed.
            notified.as_mut().enable();
            let _waiting = Waiting::new(&self.waiting);
            if self.in_flight.load(Ordering::SeqCst) <= limit {
                return;
            }
            notified.await;
        }
    }
}

/// Counts those who wait, for a report wakes nobody where nobody does.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

const fn cost(key: usize, value: usize) -> usize {
    key + value + RECORD_OVERHEAD
}

/// What becomes of a session's records.
#[derive(Default)]
struct Delivery {
    failed: OnceLock<String>,
    wake: Notify,
}

impl Delivery {
    fn fail(&self, reason: String) {
        // The first reason is the one that matters.
        let _ = self.failed.set(reason);
        self.wake.notify_one();
    }
}

/// Takes librdkafka's reports, on its own thread.
struct Reports {
    shared: Arc<Shared>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.shared.give_up(reason);
            return;
        }
        let mut last = self.shared.last_complaint.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            *last = Some(Instant::now());
            tracing::warn!(%error, reason, "trouble with kafka, events wait");
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, session: Arc<Delivery>) {
        let (Ok(message) | Err((_, message))) = result;
        match result {
            Ok(message) => {
                self.shared.metrics.acknowledged.inc();
                if let Some(took) = latency(message) {
                    self.shared.metrics.publish_seconds.observe(took.as_secs_f64());
                }
            }
            Err((error, message)) => {
                let reason = error
                    .rdkafka_error_code()
                    .map_or_else(|| "Unknown".to_owned(), |code| format!("{code:?}"));
                self.shared.metrics.failed.with_label_values(&[&reason]).inc();
                session.fail(format!("topic {}: {error}", message.topic()));
            }
        }
        self.shared.end(cost(message.key_len(), message.payload_len()));
    }
}

/// How long it took from the hand-over of a record to its report, by a clock that is never set. Its
/// timestamp is no measure: a topic may have the broker's time on it.
fn latency(message: &BorrowedMessage<'_>) -> Option<Duration> {
    #[expect(unsafe_code, reason = "the crate does not hand it out")]
    // SAFETY: the message is borrowed from librdkafka, which reads it and keeps nothing of it.
    let micros = unsafe { rd_kafka_message_latency(message.ptr()) };
    u64::try_from(micros).ok().map(Duration::from_micros)
}

/// One session's way into the publisher.
pub struct Output {
    publisher: Arc<Publisher>,
    delivery: Arc<Delivery>,
    /// By event type: a session's records differ in nothing else, but for a raw message's number.
    headers: Vec<(&'static str, OwnedHeaders)>,
    /// What librdkafka's queue had no place for, in order.
    held: VecDeque<Held>,
}

struct Held {
    destination: Destination,
    event_type: &'static str,
    key: Vec<u8>,
    value: Vec<u8>,
    headers: OwnedHeaders,
}

impl Output {
    /// A new session's.
    #[must_use]
    pub fn new(publisher: Arc<Publisher>) -> Self {
        Self { publisher, delivery: Arc::default(), headers: Vec::new(), held: VecDeque::new() }
    }

    /// Hands a record to the producer, or holds it until there is a place.
    pub fn record(&mut self, record: &Record<'_>) {
        let headers = self.headers(record);
        let queued = self.held.is_empty()
            && self.send(
                record.destination,
                record.event_type,
                record.key,
                record.value,
                headers.clone(),
            );
        if !queued {
            self.held.push_back(Held {
                destination: record.destination,
                event_type: record.event_type,
                key: record.key.to_vec(),
                value: record.value.to_vec(),
                headers,
            });
        }
    }

    /// Whether the session may read on without [`Output::room`].
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.held.is_empty() && self.publisher.shared.has_room()
    }

    /// Waits until the session may read on.
    pub async fn room(&mut self) {
        let shared = Arc::clone(&self.publisher.shared);
        shared.wait_until(shared.low_water()).await;
        self.hand_over().await;
    }

    /// Waits until every record of the session has a place in the producer's queue.
    pub async fn hand_over(&mut self) {
        let shared = Arc::clone(&self.publisher.shared);
        loop {
            let report = shared.room.notified();
            tokio::pin!(report);
            report.as_mut().enable();
            let _waiting = Waiting::new(&shared.waiting);
            if self.send_held() {
                return;
            }
            report.await;
        }
    }

    /// Forgets the records that have no place in the producer's queue, counts
    /// them as failed, and says how many there were.
    pub fn give_up(&mut self) -> usize {
        let count = self.held.drain(..).count();
        let code = format!("{:?}", RDKafkaErrorCode::QueueFull);
        let failed = &self.publisher.shared.metrics.failed;
        failed.with_label_values(&[&code]).inc_by(count as u64);
        count
    }

    /// Resolves with the reason when Kafka has refused one of the session's
    /// records for good.
    pub async fn failed(&self) -> String {
        loop {
            if let Some(reason) = self.delivery.failed.get() {
                return reason.clone();
            }
            self.delivery.wake.notified().await;
        }
    }

    /// Why no record will be acknowledged any more, once that is so.
    #[must_use]
    pub fn fatal_reason(&self) -> Option<&str> {
        self.publisher.fatal_reason()
    }

    fn send_held(&mut self) -> bool {
        while let Some(held) = self.held.pop_front() {
            let headers = held.headers.clone();
            if !self.send(held.destination, held.event_type, &held.key, &held.value, headers) {
                self.held.push_front(held);
                return false;
            }
        }
        true
    }

    /// False where the producer's queue has no place.
    fn send(
        &self,
        destination: Destination,
        event_type: &'static str,
        key: &[u8],
        value: &[u8],
        headers: OwnedHeaders,
    ) -> bool {
        let topic = match destination {
            Destination::Events => &self.publisher.topic_events,
            Destination::DeadLetter => &self.publisher.topic_dead_letter,
            Destination::Raw { .. } => &self.publisher.topic_raw,
        };
        let record = BaseRecord::with_opaque_to(topic, Arc::clone(&self.delivery))
            .key(key)
            .payload(value)
            .headers(headers);
        let size = cost(key.len(), value.len());
        // Before the record is sent, for its report may come at once.
        self.publisher.shared.begin(size);
        let Err((error, _)) = self.publisher.producer.send(record) else {
            self.publisher.shared.metrics.published.inc();
            return true;
        };
        self.publisher.shared.end(size);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
            return false;
        }
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        self.publisher.shared.metrics.failed.with_label_values(&[&format!("{code:?}")]).inc();
        self.delivery
            .fail(format!("topic {topic}: {event_type} of {} bytes: {error}", value.len()));
        true
    }

    fn headers(&mut self, record: &Record<'_>) -> OwnedHeaders {
        let headers = self.headers_of_type(record);
        let Destination::Raw { sequence, .. } = record.destination else { return headers };
        let sequence = sequence.to_string();
        headers.insert(Header { key: record::HEADER_SEQUENCE, value: Some(&sequence) })
    }

    fn headers_of_type(&mut self, record: &Record<'_>) -> OwnedHeaders {
        let known = self.headers.iter().find(|(event_type, _)| *event_type == record.event_type);
        if let Some((_, headers)) = known {
            return headers.clone();
        }
        let content_type = match record.destination {
            Destination::Events => record::CONTENT_TYPE_EVENT,
            Destination::DeadLetter => record::CONTENT_TYPE_DEAD_LETTER,
            Destination::Raw { .. } => record::CONTENT_TYPE_RAW,
        };
        let mut headers = OwnedHeaders::new_with_capacity(3)
            .insert(Header { key: record::HEADER_EVENT, value: Some(record.event_type) })
            .insert(Header { key: record::HEADER_ROUTER, value: Some(record.router) })
            .insert(Header { key: record::HEADER_CONTENT_TYPE, value: Some(content_type) });
        if let Destination::Raw { session, .. } = record.destination {
            let session = session.to_string();
            headers = headers.insert(Header { key: record::HEADER_SESSION, value: Some(&session) });
        }
        self.headers.push((record.event_type, headers.clone()));
        headers
    }
}
