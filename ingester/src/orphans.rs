//! Sees to it that every partition has a member of the group.
//!
//! Kafka knows a member with a `group.instance.id` by that name alone (KIP-345). One that
//! is killed between the halves of a rebalance, after it has let a partition go and before
//! it has joined again, comes back to what it was given last, without a rebalance: what it
//! had let go is nobody's, until any member comes or goes. So Kafka is asked who has what.
//! Where a partition stays without a member, one without a name joins for a moment, and the
//! partitions are dealt anew. One ingester of the group at a time does that, whoever has the
//! lock.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Buf as _, TryGetError};
use rdkafka::{
    ClientConfig, ClientContext,
    config::{FromClientConfigAndContext as _, RDKafkaLogLevel},
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, KafkaResult},
    metadata::{MetadataPartition, MetadataTopic},
};
use sqlx::{PgConnection, postgres::PgConnectOptions};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    members,
    metrics::Metrics,
    store::{connect, describe},
};

/// From one look to the next.
const REST: Duration = Duration::from_secs(10);
/// Looks in a row that find a partition without a member before something is done. A member
/// has more time than it takes for letting go of what it is to give to another.
const LOOKS: u32 = 3;
/// The same where dealing anew has not helped: each time twice as many, up to this.
const MOST_LOOKS: u32 = 48;
/// How long Kafka or the database may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the member that joins for a moment waits to be given partitions.
const STAY: Duration = Duration::from_secs(30);

/// What is to have a member.
pub(crate) struct Watch {
    /// Of a member, with its group.
    pub(crate) config: ClientConfig,
    pub(crate) group: String,
    pub(crate) topic: Arc<str>,
    pub(crate) database: PgConnectOptions,
    pub(crate) metrics: Metrics,
    pub(crate) runtime: Handle,
    pub(crate) stop: CancellationToken,
}

/// Why it could not be found out or done.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error("kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("database: {}", describe(.0))]
    Database(#[from] sqlx::Error),
    #[error("database: no answer in {TIMEOUT:?}")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("a member's assignment cannot be read: {0}")]
    Assignment(#[from] TryGetError),
}

/// A client whose troubles are told by those that do the work.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
    }
}

impl ConsumerContext for Quiet {}

impl Watch {
    /// Looks until told to stop. Blocks.
    pub(crate) fn run(mut self) {
        // Under a name it would take the place of the member that has it.
        self.config.remove("group.instance.id");
        self.config.set("statistics.interval.ms", "0");
        let mut seen = Seen::default();
        let mut asker = None;
        while !self.stopped_after(REST) {
            if let Err(error) = self.look(&mut asker, &mut seen) {
                seen.interrupted();
                // Nothing is known any more.
                let _ = self.metrics.orphaned.remove_label_values(&[&*self.topic]);
                tracing::debug!(group = self.group, %error, "cannot tell who has which partition");
            }
        }
    }

    fn stopped_after(&self, rest: Duration) -> bool {
        let stopped = async { timeout(rest, self.stop.cancelled()).await };
        self.runtime.block_on(stopped).is_ok()
    }

    fn client(&self) -> KafkaResult<BaseConsumer<Quiet>> {
        BaseConsumer::from_config_and_context(&self.config, Quiet)
    }

    fn look(
        &self,
        asker: &mut Option<BaseConsumer<Quiet>>,
        seen: &mut Seen,
    ) -> Result<(), WatchError> {
        let asker = match asker {
            Some(asker) => asker,
            None => asker.insert(self.client()?),
        };
        // What it has to say of itself is taken off its queue.
        while asker.poll(Duration::ZERO).is_some() {}
        let Some(orphans) = self.orphans(asker)? else {
            seen.interrupted();
            return Ok(());
        };
        let count = i64::try_from(orphans.len()).unwrap_or(i64::MAX);
        self.metrics.orphaned.with_label_values(&[&*self.topic]).set(count);
        if seen.is_enough(orphans) && self.deal_anew(&seen.orphans)? {
            seen.dealt();
        }
        Ok(())
    }

    /// The partitions that no member has; nothing while the group is at work on that itself.
    fn orphans(&self, asker: &BaseConsumer<Quiet>) -> Result<Option<BTreeSet<i32>>, WatchError> {
        let Some(group) = members::group(asker.client(), &self.group, TIMEOUT)? else {
            return Ok(None);
        };
        if !matches!(group.state.as_str(), "Stable" | "Empty") {
            return Ok(None);
        }
        let metadata = asker.fetch_metadata(Some(&self.topic), TIMEOUT)?;
        let topics = metadata.topics().iter().filter(|topic| topic.name() == &*self.topic);
        let mut orphans: BTreeSet<i32> =
            topics.flat_map(MetadataTopic::partitions).map(MetadataPartition::id).collect();
        for assignment in &group.assignments {
            for partition in partitions_of(assignment, &self.topic)? {
                orphans.remove(&partition);
            }
        }
        Ok(Some(orphans))
    }

    /// Joins the group, and leaves it: Kafka deals the partitions at each. Whether it was ours to
    /// do.
    fn deal_anew(&self, orphans: &BTreeSet<i32>) -> Result<bool, WatchError> {
        let locked = async {
            tokio::select! {
                locked = timeout(TIMEOUT, self.lock()) => Ok::<_, WatchError>(locked??),
                () = self.stop.cancelled() => Ok(None),
            }
        };
        // The lock goes with the connection.
        let Some(_connection) = self.runtime.block_on(locked)? else { return Ok(false) };
        tracing::warn!(
            group = self.group,
            topic = &*self.topic,
            ?orphans,
            "no member of the group has these partitions, having them dealt anew"
        );
        let passing = self.client()?;
        passing.subscribe(&[&self.topic])?;
        let begun = Instant::now();
        while passing.assignment()?.count() == 0
            && begun.elapsed() < STAY
            && !self.stop.is_cancelled()
        {
            // Whatever it is given to read, it leaves to who has it next.
            passing.poll(Duration::from_millis(100));
        }
        Ok(true)
    }

    async fn lock(&self) -> sqlx::Result<Option<PgConnection>> {
        let mut connection = connect(&self.database).await?;
        let lock = "select pg_try_advisory_lock(hashtextextended('ribstream deal ' || $1, 0))";
        let (ours,): (bool,) =
            sqlx::query_as(lock).bind(&self.group).fetch_one(&mut connection).await?;
        Ok(ours.then_some(connection))
    }
}

/// What looks have found.
struct Seen {
    /// Partitions that each of the last looks found without a member.
    orphans: BTreeSet<i32>,
    looks: u32,
    /// How many it takes.
    enough: u32,
}

impl Default for Seen {
    fn default() -> Self {
        Self { orphans: BTreeSet::new(), looks: 0, enough: LOOKS }
    }
}

impl Seen {
    /// Takes note of a look; whether it is time to do something.
    fn is_enough(&mut self, orphans: BTreeSet<i32>) -> bool {
        if orphans.is_empty() {
            *self = Self::default();
            return false;
        }
        self.orphans.retain(|partition| orphans.contains(partition));
        if self.orphans.is_empty() {
            self.orphans = orphans;
            self.looks = 0;
        }
        self.looks += 1;
        self.looks >= self.enough
    }

    /// A look said nothing: the next is the first of its row.
    fn interrupted(&mut self) {
        self.looks = 0;
    }

    /// They were dealt anew. Where that does not help, the next time is later.
    fn dealt(&mut self) {
        self.looks = 0;
        self.enough = MOST_LOOKS.min(self.enough * 2);
    }
}

/// The partitions of a topic in a member's assignment, as Kafka's consumer protocol has it
/// (ConsumerProtocolAssignment: version, topics with their partitions, octets of the assignor's).
fn partitions_of(mut assignment: &[u8], topic: &str) -> Result<Vec<i32>, TryGetError> {
    let mut partitions = Vec::new();
    if assignment.is_empty() {
        return Ok(partitions);
    }
    let _version = assignment.try_get_i16()?;
    for _ in 0..assignment.try_get_i32()? {
        let length = usize::try_from(assignment.try_get_i16()?).unwrap_or_default();
        let Some((name, rest)) = assignment.split_at_checked(length) else {
            return Err(TryGetError { requested: length, available: assignment.len() });
        };
        assignment = rest;
        for _ in 0..assignment.try_get_i32()? {
            let partition = assignment.try_get_i32()?;
            if name == topic.as_bytes() {
                partitions.push(partition);
            }
        }
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_names_the_partitions_of_each_topic() {
        let mut octets = b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x01\0\0\0\x07".to_vec();
        octets.extend(b"\0\x06events\0\0\0\x02\0\0\0\x02\0\0\0\x05\0\0\0\0");
        assert_eq!(partitions_of(&octets, "events"), Ok(vec![2, 5]));
        assert_eq!(partitions_of(&octets, "a"), Ok(vec![7]));
        assert_eq!(partitions_of(&octets, "b"), Ok(vec![]));
        assert_eq!(partitions_of(&[], "b"), Ok(vec![]));
        for end in 1..octets.len() - 4 {
            assert!(partitions_of(&octets[..end], "events").is_err(), "{end}");
        }
    }

    #[test]
    fn what_stays_without_a_member_is_dealt_anew_and_less_often_where_that_does_not_help() {
        let mut seen = Seen::default();
        let set = |orphans: &[i32]| orphans.iter().copied().collect();
        // A rebalance that goes on: never the same.
        for orphans in [&[1][..], &[2], &[3], &[1], &[]] {
            assert!(!seen.is_enough(set(orphans)));
        }
        let mut waits = Vec::new();
        let mut wait = 0;
        for _ in 0..200 {
            wait += 1;
            if seen.is_enough(set(&[4, 9])) {
                seen.dealt();
                waits.push(std::mem::take(&mut wait));
            }
        }
        assert_eq!(waits, [3, 6, 12, 24, 48, 48, 48]);
        // Mended, and lost again; another does what is to be done, or nobody can.
        assert!(!seen.is_enough(set(&[])));
        let looks = [(); 4].map(|()| seen.is_enough(set(&[4])));
        assert_eq!(looks, [false, false, true, true]);
        seen.interrupted();
        let looks = [(); 3].map(|()| seen.is_enough(set(&[4])));
        assert_eq!(looks, [false, false, true]);
    }
}
