//! What the collector tells Prometheus.

mod connections;

use prometheus::{
    Counter, Histogram, IntCounter, IntCounterVec, IntGauge, Registry,
    core::{Atomic, GenericCounter},
};
use ribstream_runtime::metrics::Registrar;

pub use connections::Connections;

use crate::{bmp::Kind, session::Counters};

/// The collector's metrics. Label values are a fixed set of words.
pub struct Metrics {
    /// Sessions open now.
    pub sessions: IntGauge,
    /// Peers that the open sessions hold up.
    pub peers: IntGauge,
    /// Sessions accepted.
    pub sessions_opened: IntCounter,
    /// Sessions closed, by reason.
    pub sessions_closed: IntCounterVec,
    /// What becomes of connections before they are sessions.
    pub connections: Connections,
    messages: Vec<(Kind, IntCounter)>,
    octets: IntCounter,
    decode_errors: IntCounterVec,
    attributes_discarded: IntCounter,
    treated_as_withdraw: IntCounter,
    /// Octets of messages cut short by the end of their session.
    pub incomplete_octets: IntCounter,
    /// Records handed to the producer.
    pub published: IntCounter,
    /// Messages for the raw topic among them.
    pub raw: IntCounter,
    /// Records acknowledged by Kafka.
    pub acknowledged: IntCounter,
    /// Records refused by Kafka for good, by reason.
    pub failed: IntCounterVec,
    /// Bytes that wait for acknowledgement.
    pub in_flight: IntGauge,
    /// Seconds from a record's hand-over to Kafka's acknowledgement.
    pub publish_seconds: Histogram,
    /// Seconds for which Kafka has acknowledged nothing while records wait.
    pub stalled: IntGauge,
    /// Seconds that sessions have waited for Kafka instead of reading.
    pub backpressure: Counter,
    /// Seconds that sessions were not read because of their rate.
    pub rate_limited: Counter,
}

impl Metrics {
    /// The metrics, registered.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        Self::register(&mut Registrar::new(registry, "collector"))
    }

    fn register(on: &mut Registrar<'_>) -> prometheus::Result<Self> {
        let messages =
            on.counters("messages_received_total", "BMP messages received, by type.", "type")?;
        let metrics = Self {
            sessions: on.gauge("sessions", "BMP sessions open now.")?,
            peers: on.gauge("peers", "Peers that the open sessions hold up.")?,
            sessions_opened: on.counter("sessions_opened_total", "Sessions accepted.")?,
            sessions_closed: on.counters(
                "sessions_closed_total",
                "Sessions closed, by reason; a session is a connection that has brought a message.",
                "reason",
            )?,
            connections: Connections::register(on)?,
            messages: Kind::ALL
                .into_iter()
                .map(|kind| (kind, messages.with_label_values(&[kind.name()])))
                .collect(),
            octets: on.counter("received_bytes_total", "Bytes of whole BMP messages received.")?,
            decode_errors: on.counters(
                "decode_errors_total",
                "BMP messages that could not be decoded and went to the dead-letter topic, \
                 by reason.",
                "reason",
            )?,
            attributes_discarded: on.counter(
                "attributes_discarded_total",
                "Malformed path attributes discarded (RFC 7606).",
            )?,
            treated_as_withdraw: on.counter(
                "treated_as_withdraw_total",
                "UPDATEs whose routes were treated as withdrawn (RFC 7606).",
            )?,
            incomplete_octets: on.counter(
                "incomplete_bytes_total",
                "Bytes of messages cut short by the end of their session.",
            )?,
            published: on
                .counter("records_published_total", "Records handed to the Kafka producer.")?,
            raw: on.counter(
                "raw_messages_total",
                "BMP messages handed to the Kafka producer for the raw topic.",
            )?,
            acknowledged: on
                .counter("records_acknowledged_total", "Records that Kafka has acknowledged.")?,
            failed: on.counters(
                "records_failed_total",
                "Records that Kafka refused for good, by reason; each closes its session.",
                "reason",
            )?,
            in_flight: on
                .gauge("publish_in_flight_bytes", "Bytes that wait for Kafka's acknowledgement.")?,
            publish_seconds: on.histogram(
                "publish_seconds",
                "Seconds from a record's hand-over to the producer to Kafka's acknowledgement.",
                prometheus::exponential_buckets(0.001, 2.0, 17)?,
            )?,
            stalled: on.gauge(
                "publish_stalled_seconds",
                "Seconds for which Kafka has acknowledged nothing while records wait; 0 where none \
                 wait.",
            )?,
            backpressure: on.seconds(
                "backpressure_seconds_total",
                "Seconds that sessions have waited for Kafka instead of reading, summed over them.",
            )?,
            rate_limited: on.seconds(
                "rate_limited_seconds_total",
                "Seconds that sessions were not read because of --rate-messages or --rate-bytes, \
                 summed over them.",
            )?,
        };
        Ok(metrics)
    }

    /// What the documentation says of them.
    pub fn reference() -> prometheus::Result<String> {
        let registry = Registry::new();
        let mut on = Registrar::new(&registry, "collector");
        Self::register(&mut on)?;
        Ok(on.reference())
    }

    /// Adds what a session has received since `reported`, and brings that up to date.
    pub fn received(&self, now: &Counters, reported: &mut Counters) {
        for (kind, counter) in &self.messages {
            add(counter, now.messages(*kind), reported.messages(*kind));
        }
        add(&self.octets, now.octets, reported.octets);
        add(&self.attributes_discarded, now.attributes_discarded, reported.attributes_discarded);
        add(&self.treated_as_withdraw, now.treated_as_withdraw, reported.treated_as_withdraw);
        for (reason, &count) in &now.errors {
            let before = reported.errors.get(reason).copied().unwrap_or_default();
            if count > before {
                self.decode_errors.with_label_values(&[reason]).inc_by(count - before);
            }
        }
        reported.clone_from(now);
    }
}

fn add<P: Atomic<T = u64>>(counter: &GenericCounter<P>, now: u64, before: u64) {
    if now > before {
        counter.inc_by(now - before);
    }
}
