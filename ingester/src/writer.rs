//! A writer: one task, one connection, one batch after another.
//!
//! ```text
//!            ┌─ committed ─► report
//!  batch ──► write ── unavailable ─► wait, write again
//!            ├─ fenced ─► report; the batch is dropped
//!            └─ data refused ─► halve; a single record is parked
//! ```
//!
//! A batch belongs to an assignment, by its generation. When partitions are
//! revoked the generation moves on, and what is in hand is dropped, uncommitted.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use ribstream_runtime::{http::Health, status::Troubles};
use tokio::sync::{mpsc, watch};

use crate::{
    batch::{Advance, Batch},
    letters::{Letters, letter},
    metrics::Metrics,
    store::{Store, StoreError, describe},
};

/// First and longest wait before the database is asked again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What a writer tells the consumer.
#[derive(Debug)]
pub enum Report {
    /// These offsets are in the database.
    Committed(Vec<Advance>),
    /// Another ingester has written what we were about to: start again from the database.
    Fenced,
}

/// The consumer's end of a writer.
#[derive(Debug)]
pub struct Writer {
    batches: mpsc::Sender<Batch>,
    empties: Mutex<std::sync::mpsc::Receiver<Batch>>,
    generation: watch::Sender<u64>,
    pending: Arc<AtomicUsize>,
}

impl Writer {
    /// Starts a writer's task. It ends when the `Writer` is dropped.
    #[must_use]
    pub fn start(task: Task, runtime: &tokio::runtime::Handle) -> Self {
        // One batch waits while another is written and a third is filled.
        let (batches, queue) = mpsc::channel(1);
        let (spent, empties) = std::sync::mpsc::channel();
        let (generation, current) = watch::channel(0);
        let pending = Arc::new(AtomicUsize::new(0));
        runtime.spawn(task.run(queue, spent, current, Arc::clone(&pending)));
        Self { batches, empties: Mutex::new(empties), generation, pending }
    }

    /// Whether it has nothing to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0
    }

    /// The generation that batches must bear to be written.
    #[must_use]
    pub fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    /// Takes the batch, and leaves an empty one in its place; false where one is
    /// waiting already.
    #[must_use]
    pub fn offer(&self, batch: &mut Batch) -> bool {
        let Ok(place) = self.batches.try_reserve() else { return false };
        self.pending.fetch_add(1, Ordering::AcqRel);
        place.send(std::mem::replace(batch, self.empty_batch()));
        true
    }

    /// An empty batch, a used one where there is one, for its memory.
    #[must_use]
    pub fn empty_batch(&self) -> Batch {
        let empties = self.empties.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = empties.try_recv().unwrap_or_default();
        batch.generation = self.generation();
        batch
    }

    /// Makes the writer drop all that it was handed so far, uncommitted.
    pub fn revoke(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Waits until the writer has nothing to do; whether that came in time.
    #[must_use]
    pub fn wait_idle(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while !self.is_idle() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }
}

/// What a writer works with.
pub struct Task {
    /// Where it writes.
    pub store: Store,
    /// Where it parks.
    pub letters: Letters,
    /// The topic that it writes.
    pub topic: Arc<str>,
    /// What it counts.
    pub metrics: Metrics,
    /// Where it says how the database is.
    pub health: Health,
    /// Where it says what went wrong.
    pub troubles: Troubles,
    /// Where it reports.
    pub reports: std::sync::mpsc::Sender<Report>,
}

impl Task {
    async fn run(
        mut self,
        mut queue: mpsc::Receiver<Batch>,
        spent: std::sync::mpsc::Sender<Batch>,
        mut current: watch::Receiver<u64>,
        pending: Arc<AtomicUsize>,
    ) {
        while let Some(mut batch) = queue.recv().await {
            let generation = batch.generation;
            let report = tokio::select! {
                biased;
                _ = current.wait_for(|current| *current != generation) => None,
                report = self.write(&mut batch) => Some(report),
            };
            if let Some(report) = report {
                // The consumer is gone only when the process ends.
                drop(self.reports.send(report));
            } else {
                tracing::debug!(records = batch.len(), "dropped a revoked batch");
            }
            batch.clear();
            drop(spent.send(batch));
            pending.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Writes a whole batch, in parts where some of it is refused.
    async fn write(&mut self, batch: &mut Batch) -> Report {
        let all = 0..batch.len();
        let mut parts = vec![all.clone()];
        while let Some(part) = parts.pop() {
            match self.write_part(batch, part.clone(), false).await {
                Ok(()) => {}
                Err(StoreError::Data(_)) if part.len() > 1 => {
                    let middle = part.start + part.len() / 2;
                    parts.push(middle..part.end);
                    parts.push(part.start..middle);
                }
                Err(StoreError::Data(error)) => {
                    self.park_refused(batch, part.start, &error).await;
                    if self.write_part(batch, part, true).await.is_err() {
                        return Report::Fenced;
                    }
                }
                Err(StoreError::Fenced { .. } | StoreError::Unavailable(_)) => {
                    return Report::Fenced;
                }
            }
        }
        Report::Committed(batch.advances(&all))
    }

    /// Writes a part, again and again while the database is away.
    async fn write_part(
        &mut self,
        batch: &mut Batch,
        part: Range<usize>,
        parked: bool,
    ) -> Result<(), StoreError> {
        // A letter must be in Kafka before the offset passes its record.
        for (index, letter) in &batch.letters {
            if part.contains(index) {
                self.park(letter).await;
            }
        }
        batch.letters.retain(|(index, _)| !part.contains(index));
        let mut backoff = Backoff::default();
        loop {
            let begun = Instant::now();
            match self.store.write(batch, part.clone(), parked).await {
                Ok(written) => {
                    self.health.set("database", Ok(()));
                    if backoff.waited {
                        tracing::info!("the database answers again");
                    }
                    self.metrics.committed(
                        batch,
                        part.len(),
                        &written,
                        begun.elapsed(),
                        now_micros(),
                    );
                    return Ok(());
                }
                Err(StoreError::Unavailable(error)) => {
                    let wait = backoff.next();
                    let error = describe(&error);
                    tracing::warn!(%error, ?wait, records = part.len(), "cannot write to the database, will try again");
                    self.metrics.retries.inc();
                    self.troubles.note("database", &*error);
                    self.health.set("database", Err(error));
                    tokio::time::sleep(wait).await;
                }
                Err(error @ StoreError::Fenced { .. }) => {
                    tracing::warn!(%error, records = part.len(), "another ingester has written this batch, dropped it");
                    self.metrics.fenced.inc();
                    self.troubles.note(&*self.topic, format!("fenced: {error}"));
                    return Err(error);
                }
                Err(error @ StoreError::Data(_)) => return Err(error),
            }
        }
    }

    /// Parks a record that the database refuses by itself.
    async fn park_refused(&self, batch: &Batch, index: usize, error: &sqlx::Error) {
        let Some((partition, offset)) = batch.place(index) else { return };
        // One that was parked when it was decoded has no rows to refuse.
        let payload = self.letters.reread(&self.topic, partition, offset).await;
        let detail = describe(error);
        self.park(&letter("refused", detail, &self.topic, partition, offset, payload.as_deref()))
            .await;
    }

    async fn park(&self, letter: &ribstream_proto::v1::DeadLetter) {
        let (partition, offset) = (letter.partition, letter.offset);
        let mut backoff = Backoff::default();
        while let Err(error) = self.letters.publish(letter).await {
            let wait = backoff.next();
            tracing::warn!(%error, ?wait, partition, offset, "cannot publish a dead letter, will try again");
            tokio::time::sleep(wait).await;
        }
        tracing::warn!(
            topic = letter.topic,
            partition,
            offset,
            reason = letter.reason,
            detail = letter.detail,
            router = letter.router,
            "parked a record in the dead-letter topic"
        );
        self.metrics.parked.with_label_values(&[letter.reason.as_str()]).inc();
        let subject = format!("{} partition {partition} offset {offset}", letter.topic);
        self.troubles.note(subject, format!("parked ({}): {}", letter.reason, letter.detail));
    }
}

/// Microseconds since 1970 by this machine's clock.
pub(crate) fn now_micros() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

/// Growing waits, with jitter so that many ingesters do not return at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    last: Duration,
    pub(crate) waited: bool,
}

impl Backoff {
    pub(crate) fn next(&mut self) -> Duration {
        self.waited = true;
        self.last = (self.last * 2).clamp(BACKOFF.0, BACKOFF.1);
        // The clock's nanoseconds are random enough to spread a herd.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last.mul_f64(0.75 + f64::from(now.subsec_nanos() % 1000) / 2000.0)
    }
}
