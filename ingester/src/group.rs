//! What happens when Kafka assigns partitions or takes them away.
//!
//! Both callbacks run inside `poll`, on the consumer's thread. An assignment
//! begins where the database says; a revocation makes the writers drop what they
//! hold before Kafka gives the partition to another member.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol},
    error::KafkaError,
    topic_partition_list::TopicPartitionListElem,
    types::RDKafkaRespErr,
};
use ribstream_runtime::http::Health;
use sqlx::postgres::PgConnectOptions;
use tokio::runtime::Handle;

use crate::{decode::Content, metrics::Metrics, store, writer::Writer};

/// How long the database or Kafka may take to say where a partition begins.
/// Past it the member leaves the group and comes back when they answer: far
/// below max.poll.interval.ms, at which Kafka would throw it out.
const POSITION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a revocation waits for the writers to let go. A commit that is on its
/// way takes less; if it should not, the fence holds all the same.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where reading of a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// At this offset.
    At(i64),
    /// Nowhere: the topic does not hold the offset that the database names.
    Halted,
}

/// What a rebalance did, for the consumer to take note of after `poll`.
#[derive(Debug)]
pub(crate) enum Change {
    Assigned(Vec<(i32, Position)>),
    Revoked(Vec<i32>),
    /// The positions could not be found out: leave the group and come back.
    Failed,
}

/// Why positions could not be found out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PositionError {
    #[error("database: {0}")]
    Database(String),
    #[error("kafka: {0}")]
    Kafka(#[from] KafkaError),
}

/// Finds out where partitions begin.
#[derive(Clone)]
pub(crate) struct Positions {
    pub(crate) topic: Arc<str>,
    pub(crate) database: PgConnectOptions,
    pub(crate) runtime: Handle,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) content: Content,
}

impl Positions {
    /// Where each of `partitions` begins, by the database; the lowest offset of one that it has never seen.
    pub(crate) fn find<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partitions: &[i32],
    ) -> Result<Vec<(i32, Position)>, PositionError> {
        let mut bounds = HashMap::new();
        for partition in partitions {
            let bound = consumer.fetch_watermarks(&self.topic, *partition, POSITION_TIMEOUT)?;
            bounds.insert(*partition, bound);
        }
        let stored = self.stored(&bounds)?;
        let mut halted = 0;
        let positions = bounds
            .into_iter()
            .map(|(partition, (low, high))| {
                let position = match stored.get(&partition) {
                    Some(offset) if (low..=high).contains(offset) => Position::At(*offset),
                    stored => {
                        halted += 1;
                        self.explain(partition, stored.copied(), low, high);
                        Position::Halted
                    }
                };
                let gauge =
                    self.metrics.halted.with_label_values(&[&*self.topic, &partition.to_string()]);
                gauge.set(i64::from(position == Position::Halted));
                (partition, position)
            })
            .collect();
        let state = if halted == 0 {
            Ok(())
        } else {
            Err(format!("{halted} partitions are halted, see the log"))
        };
        let check = if self.content == Content::Raw { "raw-offsets" } else { "offsets" };
        self.health.set(check, state);
        Ok(positions)
    }

    fn stored(
        &self,
        bounds: &HashMap<i32, (i64, i64)>,
    ) -> Result<HashMap<i32, i64>, PositionError> {
        let asked = async {
            let mut connection = store::connect(&self.database).await?;
            let stored = store::offsets(&mut connection, &self.topic).await?;
            let mut stored: HashMap<i32, i64> = stored.into_iter().collect();
            for (partition, (low, _)) in bounds {
                if !stored.contains_key(partition) {
                    store::begin_partition(&mut connection, &self.topic, *partition, *low).await?;
                    stored.insert(*partition, *low);
                }
            }
            Ok::<_, sqlx::Error>(stored)
        };
        let asked = async { tokio::time::timeout(POSITION_TIMEOUT, asked).await };
        match self.runtime.block_on(asked) {
            Ok(Ok(stored)) => Ok(stored),
            Ok(Err(error)) => Err(PositionError::Database(store::describe(&error))),
            Err(_) => Err(PositionError::Database(format!("no answer in {POSITION_TIMEOUT:?}"))),
        }
    }

    fn explain(&self, partition: i32, stored: Option<i64>, low: i64, high: i64) {
        let (topic, stored) = (&*self.topic, stored.unwrap_or_default());
        let cause = if stored > high {
            "the topic was deleted and created again, or lost its end"
        } else {
            "Kafka has deleted records that were never stored (retention)"
        };
        tracing::error!(
            topic,
            partition,
            stored,
            low,
            high,
            "halted a partition, its stored offset is outside of the topic: {cause}; to go on \
             at the topic's beginning: update ingest_offsets set next_offset = {low} where \
             topic = '{topic}' and partition = {partition} and next_offset = {stored}"
        );
    }
}

/// The consumer's callbacks.
pub(crate) struct Group {
    pub(crate) positions: Positions,
    pub(crate) writers: Vec<Arc<Writer>>,
    changes: Mutex<Vec<Change>>,
    /// The end of each partition, from librdkafka's statistics.
    ends: Mutex<HashMap<i32, i64>>,
}

impl Group {
    pub(crate) fn new(positions: Positions, writers: Vec<Arc<Writer>>) -> Self {
        Self { positions, writers, changes: Mutex::default(), ends: Mutex::default() }
    }

    /// What rebalances did since the last call.
    pub(crate) fn take_changes(&self) -> Vec<Change> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut changes)
    }

    /// The end of each partition, where statistics came since the last call.
    pub(crate) fn take_ends(&self) -> HashMap<i32, i64> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut ends)
    }

    fn note(&self, change: Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &[i32]) {
        self.positions.metrics.rebalances.with_label_values(&["assigned"]).inc();
        let positions = match self.positions.find(consumer, partitions) {
            Ok(positions) => positions,
            Err(error) => {
                tracing::warn!(%error, ?partitions, "cannot tell where partitions begin");
                self.note(Change::Failed);
                partitions.iter().map(|partition| (*partition, Position::Halted)).collect()
            }
        };
        let mut assigned = TopicPartitionList::new();
        let mut halted = TopicPartitionList::new();
        let mut read = TopicPartitionList::new();
        for (partition, position) in &positions {
            let offset = match position {
                Position::At(offset) => {
                    read.add_partition(&self.positions.topic, *partition);
                    Offset::Offset(*offset)
                }
                Position::Halted => {
                    halted.add_partition(&self.positions.topic, *partition);
                    Offset::End
                }
            };
            if let Err(error) =
                assigned.add_partition_offset(&self.positions.topic, *partition, offset)
            {
                tracing::error!(%error, partition, "cannot assign a partition");
                self.note(Change::Failed);
            }
        }
        let done = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&assigned),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(&assigned),
        };
        // A partition that was paused when it went away is so when it comes back (librdkafka
        // 2.12), and nobody would know.
        let done = done
            .and_then(|()| if read.count() == 0 { Ok(()) } else { consumer.resume(&read) })
            .and_then(|()| if halted.count() == 0 { Ok(()) } else { consumer.pause(&halted) });
        if let Err(error) = done {
            tracing::warn!(%error, ?partitions, "cannot take partitions");
            self.note(Change::Failed);
        }
        let topic = &*self.positions.topic;
        tracing::info!(topic, ?positions, "partitions assigned");
        self.note(Change::Assigned(positions));
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: &[i32]) {
        self.positions.metrics.rebalances.with_label_values(&["revoked"]).inc();
        for (index, writer) in self.writers.iter().enumerate() {
            if partitions.iter().any(|partition| self.writer_of(*partition) == index) {
                writer.revoke();
            }
        }
        let until = Instant::now() + REVOKE_TIMEOUT;
        for writer in &self.writers {
            if !writer.wait_idle(until.saturating_duration_since(Instant::now())) {
                tracing::warn!("a writer does not let go, the fence must hold");
            }
        }
        let mut revoked = TopicPartitionList::new();
        for partition in partitions {
            revoked.add_partition(&self.positions.topic, *partition);
        }
        let done = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(&revoked),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
        };
        if let Err(error) = done {
            tracing::warn!(%error, ?partitions, "cannot give partitions up");
            self.note(Change::Failed);
        }
        let topic = &*self.positions.topic;
        tracing::info!(topic, ?partitions, "partitions revoked");
        self.note(Change::Revoked(partitions.to_vec()));
    }

    /// Which writer a partition has.
    pub(crate) fn writer_of(&self, partition: i32) -> usize {
        usize::try_from(partition).unwrap_or_default() % self.writers.len().max(1)
    }
}

impl ConsumerContext for Group {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let partitions: Vec<i32> =
            partitions.elements().iter().map(TopicPartitionListElem::partition).collect();
        if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assign(consumer, &partitions);
        } else {
            self.revoke(consumer, &partitions);
        }
    }

    fn commit_callback(
        &self,
        result: rdkafka::error::KafkaResult<()>,
        _offsets: &TopicPartitionList,
    ) {
        if let Err(error) = result {
            // These offsets are for tools that show the lag: nothing depends on them.
            tracing::debug!(%error, "cannot tell Kafka how far the database is");
        }
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => tracing::warn!(facility, message, "librdkafka"),
            _ => tracing::debug!(facility, message, "librdkafka"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        let up = statistics.brokers.values().any(|broker| broker.state == "UP");
        let state = if up { Ok(()) } else { Err("no broker answers".to_owned()) };
        self.positions.health.set("kafka", state);
        let Some(topic) = statistics.topics.get(&*self.positions.topic) else { return };
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for (partition, statistics) in &topic.partitions {
            if *partition >= 0 && statistics.hi_offset >= 0 {
                ends.insert(*partition, statistics.hi_offset);
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka");
    }
}
