//! BMP sessions of collectors that died without a word.
//!
//! A session that lives has a heartbeat in the topic every few seconds. One that
//! has none for longer counts as ended, since its last; another heartbeat takes
//! that back, and the routes with it. The time is the topic's own: of a
//! partition that was read to its end, now; of another, the time of what was
//! read last. So one that is behind, or is read again from its beginning,
//! ends nothing that lived.
//!
//! Now is by the clock that the events were told by, the broker's: when it took the
//! latest, and what has passed since. So it is nothing to a session that the clock of its
//! collector is wrong, or this machine's.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use sqlx::Row;

use crate::{
    group::{PositionError, Positions},
    store,
    writer::now_micros,
};

/// How long Kafka and the database may take: reading waits meanwhile.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Sessions that may be silent by the clock: their partitions.
const CANDIDATES: &str = "select distinct s.partition, o.next_offset \
    from unnest($2::integer[], $3::bigint[]) as p (partition, now) \
    join bmp_sessions s using (partition) \
    join ingest_offsets o on o.topic = $1 and o.partition = p.partition \
    where s.ended is null and s.silent_since is null \
        and s.last_heard < timestamptz 'epoch' + (p.now - $4) * interval '1 microsecond'";

const JUDGE: &str = "update bmp_sessions s set silent_since = s.last_heard \
    from unnest($2::integer[], $3::bigint[]) as p (partition, now) \
    join ingest_offsets o on o.topic = $1 and o.partition = p.partition \
    where s.partition = p.partition and s.ended is null and s.silent_since is null \
        and s.last_heard < case when s.partition = any ($5) \
                then timestamptz 'epoch' + p.now * interval '1 microsecond' \
                else o.last_received end - $4 * interval '1 microsecond' \
    returning (select identity from routers r where r.id = s.router_id), s.session, s.collector";

/// The time in each partition.
#[derive(Debug, Default)]
pub(crate) struct Clock(HashMap<i32, (i64, Instant)>);

impl Clock {
    /// The broker of a partition took at this time what has just been read.
    pub(crate) fn set(&mut self, partition: i32, appended: i64) {
        self.0.insert(partition, (appended, Instant::now()));
    }

    /// Of a partition that is somebody else's now.
    pub(crate) fn forget(&mut self, partition: i32) {
        self.0.remove(&partition);
    }

    /// What time it is in a partition, in microseconds since 1970; by this machine's clock where
    /// its broker has not said.
    fn now(&self, partition: i32) -> i64 {
        self.0.get(&partition).map_or_else(now_micros, |(appended, read)| {
            let passed = i64::try_from(read.elapsed().as_micros()).unwrap_or(i64::MAX);
            appended.saturating_add(passed)
        })
    }
}

/// Ends the sessions, among those whose events are in `partitions`, that have been silent
/// for longer than `limit`.
pub(crate) fn judge<C: ConsumerContext>(
    positions: &Positions,
    consumer: &BaseConsumer<C>,
    partitions: &[i32],
    clock: &Clock,
    limit: Duration,
) -> Result<(), PositionError> {
    let now: Vec<i64> = partitions.iter().map(|partition| clock.now(*partition)).collect();
    let limit = i64::try_from(limit.as_micros()).unwrap_or(i64::MAX);
    let asked = async {
        let mut connection = store::connect(&positions.database).await?;
        let candidates = sqlx::query(CANDIDATES)
            .bind(&*positions.topic)
            .bind(partitions)
            .bind(&now)
            .bind(limit)
            .fetch_all(&mut connection)
            .await?;
        let mut read = BTreeSet::new();
        for row in &candidates {
            read.insert((row.try_get::<i32, _>(0)?, row.try_get::<i64, _>(1)?));
        }
        Ok::<_, sqlx::Error>((connection, read))
    };
    let (mut connection, candidates) = within(positions, asked)?;
    if candidates.is_empty() {
        return Ok(());
    }
    let mut to_the_end = Vec::new();
    for (partition, next) in &candidates {
        let (_, end) = consumer.fetch_watermarks(&positions.topic, *partition, TIMEOUT)?;
        if *next >= end {
            to_the_end.push(*partition);
        }
    }
    let judged = async {
        let rows = sqlx::query(JUDGE)
            .bind(&*positions.topic)
            .bind(partitions)
            .bind(&now)
            .bind(limit)
            .bind(&to_the_end)
            .fetch_all(&mut connection)
            .await?;
        for row in &rows {
            let router: String = row.try_get(0)?;
            let (session, collector): (i64, String) = (row.try_get(1)?, row.try_get(2)?);
            tracing::warn!(router, session, collector, "a BMP session has gone silent");
        }
        Ok(())
    };
    within(positions, judged)
}

fn within<T>(
    positions: &Positions,
    work: impl Future<Output = sqlx::Result<T>>,
) -> Result<T, PositionError> {
    let work = async { tokio::time::timeout(TIMEOUT, work).await };
    match positions.runtime.block_on(work) {
        Ok(done) => done.map_err(|error| PositionError::Database(store::describe(&error))),
        Err(_) => Err(PositionError::Database(format!("no answer in {TIMEOUT:?}"))),
    }
}
