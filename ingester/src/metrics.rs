//! What the ingester counts.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGaugeVec, Registry};
use ribstream_runtime::metrics::Registrar;

use crate::{batch::Batch, current::Written, rows::Table};

/// The labels of what there is for each partition.
const PARTITION: [&str; 2] = ["topic", "partition"];

/// The ingester's metrics. Clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Records read from Kafka.
    pub records: IntCounter,
    /// Rows committed, by table.
    pub rows: IntCounterVec,
    /// Transactions committed.
    pub commits: IntCounter,
    /// Records in a transaction.
    pub batch_records: Histogram,
    /// Rows in a transaction.
    pub batch_rows: Histogram,
    /// Seconds that a transaction took.
    pub commit_seconds: Histogram,
    /// Seconds from a collector's receipt of a batch's oldest event to its commit.
    pub delay_seconds: Histogram,
    /// Records parked in the dead-letter topic, by reason.
    pub parked: IntCounterVec,
    /// Batches dropped because another ingester had written them.
    pub fenced: IntCounter,
    /// Transactions to be tried again because the database was away.
    pub retries: IntCounter,
    /// Events that were in the tables already.
    pub duplicates: IntCounter,
    /// Events that are missing in the topic.
    pub missing: IntCounter,
    /// Routes that another session of the same router had told.
    pub echoes: IntCounter,
    /// Times that partitions were assigned or revoked.
    pub rebalances: IntCounterVec,
    /// Records of a partition that are not in the database yet.
    pub lag: IntGaugeVec,
    /// Age of the latest event of a partition in the database, while others wait.
    pub lag_seconds: IntGaugeVec,
    /// Partitions that no member of the group has.
    pub orphaned: IntGaugeVec,
    /// Seconds that it took to make the copy of a view.
    pub snapshot_seconds: Histogram,
    /// Times that copies could not be made.
    pub snapshot_failures: IntCounter,
    /// Partitions that cannot be read from their stored offset.
    pub halted: IntGaugeVec,
}

impl Metrics {
    /// Metrics registered with `registry`.
    ///
    /// # Errors
    /// Some are registered already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        Self::register(&mut Registrar::new(registry, "ingester"))
    }

    /// What the documentation says of them.
    ///
    /// # Errors
    /// Two have one name.
    pub fn reference() -> prometheus::Result<String> {
        let registry = Registry::new();
        let mut on = Registrar::new(&registry, "ingester");
        Self::register(&mut on)?;
        Ok(on.reference())
    }

    fn register(on: &mut Registrar<'_>) -> prometheus::Result<Self> {
        let sizes = || prometheus::exponential_buckets(1.0, 4.0, 9);
        let seconds = || prometheus::exponential_buckets(0.005, 2.0, 14);
        let metrics = Self {
            records: on.counter("records_total", "Records read from Kafka")?,
            rows: on.counters("rows_total", "Rows committed, by table", "table")?,
            commits: on.counter("commits_total", "Transactions committed")?,
            batch_records: on.histogram("batch_records", "Records in a transaction", sizes()?)?,
            batch_rows: on.histogram("batch_rows", "Rows in a transaction", sizes()?)?,
            commit_seconds: on.histogram(
                "commit_seconds",
                "Time that a transaction took, from its begin to its commit",
                seconds()?,
            )?,
            delay_seconds: on.histogram(
                "delay_seconds",
                "Time from the collector's receipt of a batch's oldest event to its commit",
                seconds()?,
            )?,
            parked: on.counters(
                "parked_total",
                "Records that cannot be stored and are in the dead-letter topic, by reason",
                "reason",
            )?,
            fenced: on.counter(
                "fenced_total",
                "Batches dropped because another ingester had written them",
            )?,
            retries: on.counter(
                "retries_total",
                "Transactions to be tried again because the database was away or overloaded",
            )?,
            duplicates: on.counter(
                "duplicates_total",
                "Events that were in the tables already and were left out",
            )?,
            missing: on.counter(
                "missing_total",
                "Events that a collector numbered and that are not in the topic, see event_gaps",
            )?,
            echoes: on.counter(
                "echoes_total",
                "Routes left out because another session of the same router had told them",
            )?,
            rebalances: on.counters(
                "rebalances_total",
                "Times that Kafka assigned or revoked partitions",
                "change",
            )?,
            lag: on.gauges(
                "lag_records",
                "Records of a partition that are not in the database yet",
                &PARTITION,
            )?,
            lag_seconds: on.gauges(
                "lag_seconds",
                "Age of the latest event of a partition in the database while others wait, 0 while \
                 none does",
                &PARTITION,
            )?,
            orphaned: on.gauges(
                "orphaned_partitions",
                "Partitions of a topic that no member of the consumer group has, at the last look",
                &["topic"],
            )?,
            snapshot_seconds: on.histogram(
                "snapshot_seconds",
                "Time that it took to make the copy of a view for dashboards",
                seconds()?,
            )?,
            snapshot_failures: on.counter(
                "snapshot_failures_total",
                "Times that copies of views could not be made",
            )?,
            halted: on.gauges(
                "halted",
                "1 for a partition that cannot be read from the offset in the database",
                &PARTITION,
            )?,
        };
        for table in Table::ALL {
            metrics.rows.with_label_values(&[table.name()]);
        }
        Ok(metrics)
    }

    /// Counts a transaction.
    pub(crate) fn committed(
        &self,
        batch: &Batch,
        records: usize,
        written: &Written,
        took: Duration,
        now: i64,
    ) {
        self.commits.inc();
        self.commit_seconds.observe(took.as_secs_f64());
        let mut rows = 0;
        for table in Table::ALL {
            let written = written.rows[table as usize] as u64;
            self.rows.with_label_values(&[table.name()]).inc_by(written);
            rows += written;
        }
        self.duplicates.inc_by(written.counts.duplicates);
        self.missing.inc_by(written.counts.missing);
        self.echoes.inc_by(written.counts.echoes);
        self.batch_records.observe(as_f64(records as u64));
        self.batch_rows.observe(as_f64(rows));
        if let Some(oldest) = batch.heard() {
            let delay = u64::try_from(now.saturating_sub(oldest)).unwrap_or_default();
            self.delay_seconds.observe(Duration::from_micros(delay).as_secs_f64());
        }
    }
}

/// Counts of a batch are far below 2^53.
#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
