//! What the collector tells Prometheus.

mod connections;

use prometheus::{
    Counter, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    core::{Atomic, Collector, GenericCounter},
};

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
    /// Seconds that sessions have waited for Kafka instead of reading.
    pub backpressure: Counter,
    /// Seconds that sessions were not read because of their rate.
    pub rate_limited: Counter,
}

impl Metrics {
    /// The metrics, registered.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let messages = labelled(
            registry,
            "messages_received_total",
            "BMP messages received, by type.",
            "type",
        )?;
        let metrics = Self {
            sessions: gauge(registry, "sessions", "BMP sessions open now.")?,
            peers: gauge(registry, "peers", "Peers that the open sessions hold up.")?,
            sessions_opened: counter(registry, "sessions_opened_total", "Sessions accepted.")?,
            sessions_closed: labelled(
                registry,
                "sessions_closed_total",
                "Sessions closed, by reason; a session is a connection that has brought a message.",
                "reason",
            )?,
            connections: Connections::new(registry)?,
            messages: Kind::ALL
                .into_iter()
                .map(|kind| (kind, messages.with_label_values(&[kind.name()])))
                .collect(),
            octets: counter(
                registry,
                "received_bytes_total",
                "Bytes of whole BMP messages received.",
            )?,
            decode_errors: labelled(
                registry,
                "decode_errors_total",
                "BMP messages that could not be decoded and went to the dead-letter topic, \
                 by reason.",
                "reason",
            )?,
            attributes_discarded: counter(
                registry,
                "attributes_discarded_total",
                "Malformed path attributes discarded (RFC 7606).",
            )?,
            treated_as_withdraw: counter(
                registry,
                "treated_as_withdraw_total",
                "UPDATEs whose routes were treated as withdrawn (RFC 7606).",
            )?,
            incomplete_octets: counter(
                registry,
                "incomplete_bytes_total",
                "Bytes of messages cut short by the end of their session.",
            )?,
            published: counter(
                registry,
                "records_published_total",
                "Records handed to the Kafka producer.",
            )?,
            raw: counter(
                registry,
                "raw_messages_total",
                "BMP messages handed to the Kafka producer for the raw topic.",
            )?,
            acknowledged: counter(
                registry,
                "records_acknowledged_total",
                "Records that Kafka has acknowledged.",
            )?,
            failed: labelled(
                registry,
                "records_failed_total",
                "Records that Kafka refused for good, by reason; each closes its session.",
                "reason",
            )?,
            in_flight: gauge(
                registry,
                "publish_in_flight_bytes",
                "Bytes that wait for Kafka's acknowledgement.",
            )?,
            backpressure: seconds(
                registry,
                "backpressure_seconds_total",
                "Seconds that sessions have waited for Kafka instead of reading, summed over them.",
            )?,
            rate_limited: seconds(
                registry,
                "rate_limited_seconds_total",
                "Seconds that sessions were not read because of --rate-messages or --rate-bytes, \
                 summed over them.",
            )?,
        };
        Ok(metrics)
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

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("ribstream").subsystem("collector")
}

fn register<M: Collector + Clone + 'static>(
    registry: &Registry,
    metric: M,
) -> prometheus::Result<M> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counter(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    register(registry, IntCounter::with_opts(opts(name, help))?)
}

fn seconds(registry: &Registry, name: &str, help: &str) -> prometheus::Result<Counter> {
    register(registry, Counter::with_opts(opts(name, help))?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    register(registry, IntGauge::with_opts(opts(name, help))?)
}

fn labelled(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
) -> prometheus::Result<IntCounterVec> {
    register(registry, IntCounterVec::new(opts(name, help), &[label])?)
}
