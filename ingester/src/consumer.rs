//! From Kafka to the writers: one thread that polls, decodes and fills batches.

use std::{
    collections::HashMap,
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    config::FromClientConfigAndContext as _,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::KafkaError,
    message::BorrowedMessage,
    types::RDKafkaErrorCode,
};
use ribstream_runtime::{http::Health, kafka::KafkaOptions};
use sqlx::postgres::PgConnectOptions;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{
    batch::{Batch, Limits},
    decode::{Content, Decoder, append_time},
    group::{Change, Group, Position, Positions},
    inventory::Inventory,
    letters::letter,
    metrics::Metrics,
    silence::{self, Clock},
    writer::{Backoff, Report, Writer, now_micros},
};

/// How long `poll` waits for a record, and so how late a stop is noticed.
const POLL: Duration = Duration::from_millis(50);
/// How long a full batch may wait for its writer before its partitions are
/// paused. Longer than a transaction takes: pausing throws away what librdkafka
/// has fetched. Shorter than any limit on polling.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a full batch asks whether its writer is free.
const OFFER_AGAIN: Duration = Duration::from_millis(1);
/// How often Kafka is told the offsets that are in the database, for lag tools.
const GROUP_COMMIT: Duration = Duration::from_secs(1);
/// How often a halted partition is looked at again.
const HALTED_AGAIN: Duration = Duration::from_secs(10);
/// How often it is asked which BMP sessions have gone silent.
const LISTEN: Duration = Duration::from_secs(5);
/// How long moving within a partition may take.
const SEEK_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything between Kafka and the writers.
pub(crate) struct Pipeline {
    pub(crate) kafka: KafkaOptions,
    pub(crate) group: String,
    pub(crate) content: Content,
    pub(crate) limits: Limits,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) silence: Duration,
    pub(crate) database: PgConnectOptions,
    pub(crate) topic: Arc<str>,
    pub(crate) inventory: Arc<Inventory>,
    pub(crate) writers: Vec<Writer>,
    pub(crate) reports: Receiver<Report>,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) runtime: Handle,
    pub(crate) stop: CancellationToken,
}

/// Why a membership of the group ended.
enum End {
    Stopped,
    /// Leave the group, and join it again.
    Rejoin,
}

impl Pipeline {
    /// Reads until told to stop.
    pub(crate) fn run(self) -> Result<(), KafkaError> {
        let writers: Vec<Arc<Writer>> = self.writers.into_iter().map(Arc::new).collect();
        let positions = Positions {
            topic: self.topic.clone(),
            database: self.database,
            runtime: self.runtime,
            metrics: self.metrics.clone(),
            health: self.health,
            content: self.content,
        };
        let mut config = client_config(&self.kafka, &self.group);
        let mut decoder = Decoder::new(self.content);
        let mut backoff = Backoff::default();
        loop {
            let group = Group::new(positions.clone(), writers.clone());
            let consumer = BaseConsumer::from_config_and_context(&config, group)?;
            consumer.subscribe(&[&self.topic])?;
            let membership = Membership {
                consumer: &consumer,
                topic: &self.topic,
                limits: self.limits,
                inventory: &self.inventory,
                reports: &self.reports,
                metrics: &self.metrics,
                stop: &self.stop,
                decoder: &mut decoder,
                open: writers.iter().map(|writer| Open::new(writer.clone())).collect(),
                partitions: HashMap::new(),
                committed: HashMap::new(),
                stored: HashMap::new(),
                told: Instant::now(),
                looked: Instant::now(),
                listened: Instant::now(),
                clock: Clock::default(),
                silence: self.silence,
            };
            let end = membership.run(self.shutdown_timeout);
            for writer in &writers {
                writer.revoke();
            }
            // Leaves the group.
            drop(consumer);
            match end {
                End::Stopped => return Ok(()),
                End::Rejoin => {
                    for writer in &writers {
                        // What was in hand may still be on its way; the fence tells.
                        let _ = writer.wait_idle(SEEK_TIMEOUT);
                    }
                    while self.reports.try_recv().is_ok() {}
                    // Under its name it would be given what it had without a rebalance (KIP-345),
                    // and what it has just let go, for a rebalance that was to follow, would be
                    // nobody's. A member without a name always begins one.
                    config.remove("group.instance.id");
                    let wait = backoff.next();
                    tracing::info!(?wait, "left the consumer group, joining again");
                    std::thread::sleep(wait.min(Duration::from_secs(2)));
                }
            }
        }
    }
}

/// What a member of the group is configured with.
pub(crate) fn client_config(kafka: &KafkaOptions, group: &str) -> ClientConfig {
    kafka.client_config(&[
        ("client.id", "ribstream-ingester"),
        ("group.id", group),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("allow.auto.create.topics", "false"),
        // Others go on while one comes or goes.
        ("partition.assignment.strategy", "cooperative-sticky"),
        // A member that died is replaced after this.
        ("session.timeout.ms", "10000"),
        ("heartbeat.interval.ms", "2000"),
        // A topic that is created later is found after this.
        ("topic.metadata.refresh.interval.ms", "10000"),
        ("fetch.wait.max.ms", "100"),
        // What waits inside librdkafka is memory: a few batches ahead is enough.
        ("queued.min.messages", "20000"),
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.message.max.bytes", "2097152"),
        ("fetch.max.bytes", "8388608"),
        // After a full queue: at once, not after the default second.
        ("fetch.queue.backoff.ms", "10"),
        ("statistics.interval.ms", "5000"),
    ])
}

/// The batch that is being filled for a writer.
struct Open {
    writer: Arc<Writer>,
    batch: Batch,
    /// Since when it is full and its writer is not free.
    waiting: Option<Instant>,
    paused: bool,
}

impl Open {
    fn new(writer: Arc<Writer>) -> Self {
        let batch = writer.empty_batch();
        Self { writer, batch, waiting: None, paused: false }
    }

    /// Hands the batch over; whether it was taken.
    fn offer(&mut self) -> bool {
        self.writer.offer(&mut self.batch)
    }

    /// For who has no partitions any more, or reads them again from the beginning of the batch.
    fn drop_batch(&mut self) {
        self.batch.clear();
        self.batch.generation = self.writer.generation();
        self.waiting = None;
        self.paused = false;
    }
}

/// One stay in the consumer group.
struct Membership<'a> {
    consumer: &'a BaseConsumer<Group>,
    topic: &'a str,
    limits: Limits,
    inventory: &'a Inventory,
    reports: &'a Receiver<Report>,
    metrics: &'a Metrics,
    stop: &'a CancellationToken,
    decoder: &'a mut Decoder,
    open: Vec<Open>,
    /// The next offset of each partition that is ours; `None` where it is halted.
    partitions: HashMap<i32, Option<i64>>,
    /// Offsets that are in the database and that Kafka was not told yet.
    committed: HashMap<i32, i64>,
    /// Next offset in the database, and when the event before it was logged.
    stored: HashMap<i32, (i64, Option<i64>)>,
    told: Instant,
    looked: Instant,
    listened: Instant,
    clock: Clock,
    silence: Duration,
}

impl Membership<'_> {
    fn run(mut self, shutdown_timeout: Duration) -> End {
        loop {
            if self.stop.is_cancelled() {
                self.drain(shutdown_timeout);
                return End::Stopped;
            }
            if let Err(rejoin) = self.step() {
                tracing::debug!(reason = rejoin, "leaving the group");
                return End::Rejoin;
            }
        }
    }

    /// Hands over what is ready, then reads one record. An error says why to rejoin.
    fn step(&mut self) -> Result<(), &'static str> {
        self.take_reports()?;
        let Some(wait) = self.hand_over() else {
            std::thread::sleep(OFFER_AGAIN);
            return Ok(());
        };
        self.listen();
        let polled = self.consumer.poll(wait);
        // A rebalance inside the poll comes first: it says what is ours.
        self.take_changes()?;
        match polled {
            Some(Ok(message)) => self.append(&message),
            Some(Err(error)) => Self::poll_failed(&error)?,
            None => self.look_again()?,
        }
        Ok(())
    }

    /// Offers full batches, and due ones to idle writers. How long to wait for
    /// records then; `None` if a full batch has nowhere to go, and the wait for
    /// its writer is expected to be short.
    fn hand_over(&mut self) -> Option<Duration> {
        let mut wait = POLL;
        let mut stuck = false;
        for index in 0..self.open.len() {
            let open = &mut self.open[index];
            let full = open.batch.is_full(&self.limits);
            if !full {
                if let Some(due) = open.batch.due(&self.limits) {
                    let left = due.saturating_duration_since(Instant::now());
                    if !left.is_zero() {
                        wait = wait.min(left);
                    } else if open.writer.is_idle() {
                        open.offer();
                    } else {
                        wait = wait.min(OFFER_AGAIN);
                    }
                }
                continue;
            }
            if open.offer() {
                open.waiting = None;
                if std::mem::take(&mut open.paused) {
                    self.pause(index, false);
                }
            } else if open.waiting.get_or_insert_with(Instant::now).elapsed() < PATIENCE {
                stuck = true;
            } else if !open.paused {
                open.paused = true;
                tracing::info!("the database is slower than Kafka, paused partitions");
                self.pause(index, true);
            }
        }
        (!stuck).then_some(wait)
    }

    /// Pauses or resumes the partitions of a writer.
    fn pause(&self, index: usize, pause: bool) {
        let mut list = TopicPartitionList::new();
        for (partition, next) in &self.partitions {
            if self.consumer.context().writer_of(*partition) == index && next.is_some() {
                list.add_partition(self.topic, *partition);
            }
        }
        let done = if pause { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        if let Err(error) = done {
            tracing::warn!(%error, pause, "cannot pause or resume partitions");
        }
    }

    fn append(&mut self, message: &BorrowedMessage<'_>) {
        let (partition, offset) = (message.partition(), message.offset());
        let Some(Some(next)) = self.partitions.get_mut(&partition) else { return };
        if offset < *next {
            return;
        }
        let writer = self.consumer.context().writer_of(partition);
        let batch = &mut self.open[writer].batch;
        let payload = message.payload();
        if let Some(appended) = append_time(message) {
            self.clock.set(partition, appended);
        }
        let times = match self.decoder.append(message, self.inventory, &mut batch.rows) {
            Ok(times) => times,
            Err(error) => {
                let detail = error.to_string();
                let letter = letter(error.reason(), detail, self.topic, partition, offset, payload);
                batch.letters.push((batch.len(), letter));
                None
            }
        };
        batch.push(partition, *next, offset, times);
        *next = offset + 1;
        self.metrics.records.inc();
    }

    fn take_reports(&mut self) -> Result<(), &'static str> {
        while let Ok(report) = self.reports.try_recv() {
            match report {
                Report::Committed(advances) => {
                    for advance in advances {
                        self.committed.insert(advance.partition, advance.to);
                        self.stored.insert(advance.partition, (advance.to, advance.logged));
                    }
                }
                Report::Fenced => return Err("a batch was fenced"),
            }
        }
        if self.told.elapsed() >= GROUP_COMMIT {
            self.told = Instant::now();
            self.tell_kafka(CommitMode::Async);
        }
        Ok(())
    }

    /// Tells Kafka what is in the database, and the metrics what is not.
    fn tell_kafka(&mut self, mode: CommitMode) {
        for (partition, end) in self.consumer.context().take_ends() {
            let Some((next, logged)) = self.stored.get(&partition) else { continue };
            let labels = [self.topic, &partition.to_string()];
            let lag = (end - next).max(0);
            self.metrics.lag.with_label_values(&labels).set(lag);
            let logged = logged.filter(|_| lag > 0);
            let age = logged.map_or(0, |logged| (now_micros() - logged).max(0) / 1_000_000);
            self.metrics.lag_seconds.with_label_values(&labels).set(age);
        }
        if self.committed.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in self.committed.drain() {
            if self.partitions.contains_key(&partition) {
                // An offset from the database is never negative.
                let _ = list.add_partition_offset(self.topic, partition, Offset::Offset(offset));
            }
        }
        if let Err(error) = self.consumer.commit(&list, mode) {
            tracing::debug!(%error, "cannot tell Kafka how far the database is");
        }
    }

    fn take_changes(&mut self) -> Result<(), &'static str> {
        for change in self.consumer.context().take_changes() {
            match change {
                Change::Failed => return Err("partitions could not be positioned"),
                Change::Assigned(positions) => {
                    for (partition, position) in positions {
                        let next = next_offset(position);
                        self.partitions.insert(partition, next);
                        if let Some(next) = next {
                            self.stored.insert(partition, (next, None));
                        }
                    }
                    // They are read from now on; those of a writer that is behind wait for it.
                    for index in (0..self.open.len()).filter(|index| self.open[*index].paused) {
                        self.pause(index, true);
                    }
                }
                Change::Revoked(revoked) => self.take_away(&revoked)?,
            }
        }
        Ok(())
    }

    /// Drops the batches that hold records of revoked partitions. What the same
    /// batches held of others is read again.
    fn take_away(&mut self, revoked: &[i32]) -> Result<(), &'static str> {
        let group = self.consumer.context();
        let writers: Vec<usize> = revoked.iter().map(|p| group.writer_of(*p)).collect();
        for partition in revoked {
            self.partitions.remove(partition);
            self.committed.remove(partition);
            self.stored.remove(partition);
            self.clock.forget(*partition);
            // A gauge that was never set is not there to remove.
            let labels = [self.topic, &partition.to_string()];
            let _ = self.metrics.lag.remove_label_values(&labels);
            let _ = self.metrics.lag_seconds.remove_label_values(&labels);
            let _ = self.metrics.halted.remove_label_values(&labels);
        }
        for (index, open) in self.open.iter_mut().enumerate() {
            if writers.contains(&index) {
                open.drop_batch();
            }
        }
        let again: Vec<i32> = self
            .partitions
            .iter()
            .filter(|(partition, next)| {
                next.is_some() && writers.contains(&group.writer_of(**partition))
            })
            .map(|(partition, _)| *partition)
            .collect();
        if again.is_empty() { Ok(()) } else { self.reposition(&again) }
    }

    /// Moves partitions that are ours to where the database says.
    fn reposition(&mut self, partitions: &[i32]) -> Result<(), &'static str> {
        let group = self.consumer.context();
        let positions = group.positions.find(self.consumer, partitions).map_err(|error| {
            tracing::warn!(%error, "cannot tell where partitions begin");
            "partitions could not be positioned"
        })?;
        let mut list = TopicPartitionList::new();
        for (partition, position) in &positions {
            let next = next_offset(*position);
            self.partitions.insert(*partition, next);
            if let Some(next) = next {
                let _ = list.add_partition_offset(self.topic, *partition, Offset::Offset(next));
            }
        }
        if list.count() == 0 {
            return Ok(());
        }
        let moved = self.consumer.seek_partitions(list, SEEK_TIMEOUT).and_then(|moved| {
            moved
                .elements()
                .iter()
                .try_for_each(rdkafka::topic_partition_list::TopicPartitionListElem::error)?;
            self.consumer.resume(&moved)
        });
        moved.map_err(|error| {
            tracing::warn!(%error, "cannot move to where the database is");
            "partitions could not be moved"
        })
    }

    /// Looks for BMP sessions that have gone silent.
    fn listen(&mut self) {
        let positions = &self.consumer.context().positions;
        // Whose sessions have gone silent is in the events topic alone.
        if positions.content == Content::Raw || self.listened.elapsed() < LISTEN {
            return;
        }
        self.listened = Instant::now();
        let ours: Vec<i32> = self.partitions.keys().copied().collect();
        if let Err(error) =
            silence::judge(positions, self.consumer, &ours, &self.clock, self.silence)
        {
            // The next time will do.
            tracing::debug!(%error, "cannot look for silent sessions");
        }
    }

    /// Halted partitions go on once an operator has put their offsets right.
    fn look_again(&mut self) -> Result<(), &'static str> {
        if self.looked.elapsed() < HALTED_AGAIN {
            return Ok(());
        }
        self.looked = Instant::now();
        let halted: Vec<i32> = self
            .partitions
            .iter()
            .filter(|(_, next)| next.is_none())
            .map(|(partition, _)| *partition)
            .collect();
        if halted.is_empty() { Ok(()) } else { self.reposition(&halted) }
    }

    fn poll_failed(error: &KafkaError) -> Result<(), &'static str> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                tracing::warn!(%error, "a partition no longer holds the offset to be read");
                Err("an offset is out of range")
            }
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                tracing::error!(%error, "kafka");
                Err("kafka failed for good")
            }
            _ => {
                tracing::warn!(%error, "kafka");
                Ok(())
            }
        }
    }

    /// Commits what was read, and tells Kafka.
    fn drain(&mut self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        for open in &mut self.open {
            while !open.batch.is_empty() && !open.offer() && Instant::now() < deadline {
                std::thread::sleep(OFFER_AGAIN);
            }
        }
        for open in &self.open {
            let left = deadline.saturating_duration_since(Instant::now());
            if !open.writer.wait_idle(left) || !open.batch.is_empty() {
                tracing::warn!(
                    ?timeout,
                    "the database did not take the last batch in time, the next ingester will \
                     read it again"
                );
            }
        }
        if self.take_reports().is_ok() {
            self.tell_kafka(CommitMode::Sync);
        }
    }
}

fn next_offset(position: Position) -> Option<i64> {
    match position {
        Position::At(offset) => Some(offset),
        Position::Halted => None,
    }
}
