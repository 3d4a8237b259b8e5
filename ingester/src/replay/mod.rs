//! `ribstream-ingester replay`: writes a range of the events topic again.
//!
//! ```text
//!  Kafka, from its oldest record ──► scratch: the partition run through once more,
//!        to where the database is              beside the tables, in a schema of its own
//!                                                    │
//!                      the offset's row is locked: the partition's ingester waits
//!                                                    ▼
//!                                  merge: history of the range and current tables
//!                                  are made what scratch has, row by row
//! ```
//!
//! What a row of history says depends on all events before it, and the current
//! tables on all events there are: so the whole partition is run through, but
//! only the history of the range is kept. Rows that are right are not touched.

mod merge;
mod range;
mod scratch;

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};
use ribstream_runtime::kafka::KafkaOptions;
use sqlx::{PgConnection, postgres::PgConnectOptions};
use tokio_util::sync::CancellationToken;

pub use range::Bound;
use range::Range;
use scratch::Scratch;

use crate::{
    batch::{Batch, Limits},
    config::DatabaseOptions,
    decode::Decoder,
    inventory::Inventory,
    migrate,
    store::{self, describe},
};

/// How long Kafka may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long no record may come although there are some.
const STALLED: Duration = Duration::from_mins(1);
/// How much is written to the scratch tables at once.
const LIMITS: Limits = Limits { rows: 50_000, bytes: 16 << 20, age: Duration::from_secs(1) };
/// How far behind the database the tables may be when its ingester is made to wait: what
/// is missing then is run through meanwhile.
const CLOSE: i64 = 10_000;

/// What `replay` needs.
#[derive(Args, Clone, Debug)]
pub struct ReplayOptions {
    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaOptions,
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseOptions,
    /// The first record to be written again: a time such as 2026-05-28T14:00:00Z (at which
    /// Kafka received it), an offset, or earliest
    #[arg(long, env = "RIBSTREAM_FROM", value_name = "TIME|OFFSET")]
    pub from: Bound,
    /// The record after the last: a time, an offset, or latest for as far as the database
    /// is; as far as the topic is, where the database has nothing of it
    #[arg(long, env = "RIBSTREAM_TO", value_name = "TIME|OFFSET", default_value = "latest")]
    pub to: Bound,
    /// Only these partitions
    #[arg(
        long = "partition",
        env = "RIBSTREAM_PARTITIONS",
        value_name = "N",
        value_delimiter = ','
    )]
    pub partitions: Vec<i32>,
    /// Only say what would be changed
    #[arg(long, env = "RIBSTREAM_DRY_RUN")]
    pub dry_run: bool,
}

/// Replays, and prints what it changed.
///
/// # Errors
/// One line that names what is wrong and what to do. Each partition is done or left as it was.
pub async fn run(
    options: ReplayOptions,
    database: PgConnectOptions,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    migrate::check(&database).await?;
    ribstream_runtime::kafka::check_broker(&options.kafka, TIMEOUT).await?;
    let consumer = open(&options.kafka)?;
    let topic: Arc<str> = options.kafka.topic_events.as_str().into();
    let mut connection = store::connect(&database).await.map_err(failed)?;
    merge::begin(&mut connection).await?;
    let stored = store::offsets(&mut connection, &topic).await.map_err(failed)?;
    let partitions = partitions(&consumer, &options)?;
    let mut ranges = Vec::new();
    for partition in partitions {
        let stored = stored.iter().find(|(known, _)| *known == partition).map(|(_, next)| *next);
        let bounds = (options.from, options.to);
        ranges.push(range::find(&consumer, &topic, partition, stored, bounds)?);
    }
    let bar = progress(&ranges);
    for range in ranges {
        let mut replay = Replay {
            reader: Reader { consumer: &consumer, topic: &topic, stop: &stop, bar: &bar },
            database: &database,
            inventory: Inventory::default(),
            decoder: Decoder::default(),
            skipped: 0,
        };
        let changes = replay.partition(&mut connection, range, options.dry_run).await;
        let changes = changes.with_context(|| {
            format!("partition {} of {topic} is as it was before", range.partition)
        })?;
        let Range { partition, from, to, .. } = range;
        let would = if options.dry_run { "would be " } else { "" };
        let mut text = format!("partition {partition}, offsets {from} to {to}: ");
        if changes.is_empty() {
            text.push_str("nothing to change");
        }
        for (number, change) in changes.iter().enumerate() {
            let merge::Changed { table, deleted, inserted } = change;
            let comma = if number == 0 { "" } else { "; " };
            let _ = write!(
                text,
                "{comma}{table}: {deleted} rows {would}deleted, {inserted} {would}written"
            );
        }
        if replay.skipped > 0 {
            let skipped = replay.skipped;
            let _ = write!(text, "; {skipped} records have no rows, as when they were parked");
        }
        bar.suspend(|| {
            // Nobody may be there to read it.
            let _ = writeln!(io::stdout(), "{text}");
        });
    }
    bar.finish_and_clear();
    merge::end(&mut connection).await.map_err(failed)
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: sqlx::Error) -> anyhow::Error {
    anyhow!("database: {}", describe(&error))
}

fn open(kafka: &KafkaOptions) -> anyhow::Result<BaseConsumer> {
    kafka
        .client_config(&[
            ("client.id", "ribstream-replay"),
            // librdkafka wants a name to assign by; no group of it ever comes to be.
            ("group.id", "ribstream-replay"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "error"),
            ("allow.auto.create.topics", "false"),
            ("queued.max.messages.kbytes", "16384"),
        ])
        .create()
        .map_err(|error| kafka.explain(&error).into())
}

/// The partitions asked for, or all.
fn partitions(consumer: &BaseConsumer, options: &ReplayOptions) -> anyhow::Result<Vec<i32>> {
    let topic = options.kafka.topic_events.as_str();
    let metadata = consumer
        .fetch_metadata(Some(topic), TIMEOUT)
        .map_err(|error| options.kafka.explain(&error))?;
    let known = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
    let mut known: Vec<i32> = known.iter().map(rdkafka::metadata::MetadataPartition::id).collect();
    known.sort_unstable();
    if known.is_empty() {
        bail!("there is no topic {topic} at {}; check --topic-events", options.kafka.brokers);
    }
    if let Some(unknown) = options.partitions.iter().find(|asked| !known.contains(asked)) {
        let last = known.len() - 1;
        bail!("{topic} has no partition {unknown} (--partition): it has 0 to {last}");
    }
    if !options.partitions.is_empty() {
        known.retain(|partition| options.partitions.contains(partition));
    }
    Ok(known)
}

fn progress(ranges: &[Range]) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let records = ranges.iter().map(|range| (range.end - range.low).unsigned_abs()).sum();
    let style = ProgressStyle::with_template(
        "{wide_bar} {human_pos} of {human_len} records, {per_sec}, {eta} left {msg}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(records).with_style(style)
}

struct Replay<'a> {
    reader: Reader<'a>,
    database: &'a PgConnectOptions,
    inventory: Inventory,
    decoder: Decoder,
    /// Records without rows.
    skipped: u64,
}

impl Replay<'_> {
    async fn partition(
        &mut self,
        connection: &mut PgConnection,
        range: Range,
        dry_run: bool,
    ) -> anyhow::Result<Vec<merge::Changed>> {
        let mut scratch = Scratch::create(self.database).await.map_err(failed)?;
        let changed = self.work(&mut scratch, connection, range, dry_run).await;
        if changed.is_err() {
            // So that nothing holds what is to be removed; the first error is what matters.
            let _ = merge::finish(connection, true).await;
        }
        scratch.remove().await.map_err(failed)?;
        changed
    }

    async fn work(
        &mut self,
        scratch: &mut Scratch,
        connection: &mut PgConnection,
        range: Range,
        dry_run: bool,
    ) -> anyhow::Result<Vec<merge::Changed>> {
        // A dry run leaves nothing behind of what the database has never met.
        if dry_run {
            merge::transaction(connection).await.map_err(failed)?;
        }
        let (topic, partition) = (self.reader.topic, range.partition);
        self.reader.seek(partition, range.low)?;
        let mut next = range.low;
        let mut end = range.end;
        loop {
            for (to, kept) in [(range.from, false), (range.to, true), (end, false)] {
                while next < to {
                    next = self.batch(scratch, connection, partition, (next, to), kept).await?;
                }
            }
            let stored = merge::position(connection, topic, partition).await.map_err(failed)?;
            end = end.max(stored.unwrap_or(end));
            if end - next < CLOSE {
                break;
            }
        }
        scratch.index().await.map_err(failed)?;
        if !dry_run {
            merge::transaction(connection).await.map_err(failed)?;
        }
        // From here on the partition's ingester waits.
        let stored = merge::lock(connection, topic, partition, range.from).await.map_err(failed)?;
        while next < stored {
            next = self.batch(scratch, connection, partition, (next, stored), false).await?;
        }
        let changed = merge::merge(connection, topic, partition, next).await.map_err(failed)?;
        merge::finish(connection, dry_run).await.map_err(failed)?;
        if !dry_run && !changed.is_empty() {
            merge::refresh(connection).await.map_err(failed)?;
        }
        Ok(changed)
    }

    /// Runs through some records from `next` on, and none from `to` on; where it came.
    async fn batch(
        &mut self,
        scratch: &mut Scratch,
        connection: &mut PgConnection,
        partition: i32,
        (next, to): (i64, i64),
        kept: bool,
    ) -> anyhow::Result<i64> {
        let mut batch = Batch::default();
        let read = self.reader.fill(
            &mut batch,
            &mut self.decoder,
            &self.inventory,
            (partition, next, to),
            &mut self.skipped,
        )?;
        if !self.inventory.is_resolved() {
            self.inventory.resolve(connection).await.map_err(failed)?;
        }
        self.skipped +=
            scratch.write(connection, &mut batch, &self.inventory, kept).await.map_err(failed)?;
        Ok(read)
    }
}

/// Reads one partition.
struct Reader<'a> {
    consumer: &'a BaseConsumer,
    topic: &'a str,
    stop: &'a CancellationToken,
    bar: &'a ProgressBar,
}

impl Reader<'_> {
    fn seek(&self, partition: i32, offset: i64) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.topic, partition, Offset::Offset(offset))?;
        self.consumer.assign(&list)
    }

    /// Fills a batch from `next` on, up to `to`; where it came.
    fn fill(
        &self,
        batch: &mut Batch,
        decoder: &mut Decoder,
        inventory: &Inventory,
        (partition, next, to): (i32, i64, i64),
        skipped: &mut u64,
    ) -> anyhow::Result<i64> {
        let mut next = next;
        let mut heard = std::time::Instant::now();
        while next < to && !batch.is_full(&LIMITS) {
            if self.stop.is_cancelled() {
                bail!("interrupted");
            }
            let message = match self.consumer.poll(Duration::from_millis(100)) {
                Some(message) => message.context("kafka")?,
                None if heard.elapsed() < STALLED => {
                    // The end of a partition may be records that no reader is shown.
                    let (_, high) =
                        self.consumer.fetch_watermarks(self.topic, partition, TIMEOUT)?;
                    let position = self.consumer.position()?;
                    let at = position.find_partition(self.topic, partition).map(|at| at.offset());
                    match at {
                        Some(Offset::Offset(at)) if at >= to && to <= high => return Ok(to),
                        _ => continue,
                    }
                }
                None => bail!("no record of partition {partition} has come for {STALLED:?}"),
            };
            heard = std::time::Instant::now();
            let offset = message.offset();
            if message.partition() != partition || offset < next {
                continue;
            }
            if offset >= to {
                // Compacted away, or a marker: what was to come is not there. It comes again.
                self.seek(partition, to)?;
                return Ok(to);
            }
            let appended = decoder.append(&message, inventory, &mut batch.rows);
            match appended {
                Ok(times) => batch.push(partition, next, offset, times),
                Err(_) => *skipped += 1,
            }
            self.bar.inc((offset + 1 - next).unsigned_abs());
            next = offset + 1;
        }
        Ok(next)
    }
}
