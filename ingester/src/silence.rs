//! BMP sessions of collectors that died without a word.
//!
//! A session that lives has a heartbeat in the topic every few seconds. One that
//! has none for longer counts as ended, since its last; another heartbeat takes
//! that back, and the routes with it. The time is the topic's own: of a
//! partition that was read to its end, now; of another, the receive time of what
//! was read last. So one that is behind, or is read again from its beginning,
//! ends nothing that lived.

use std::{collections::BTreeSet, time::Duration};

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
    from bmp_sessions s join ingest_offsets o on o.topic = $1 and o.partition = s.partition \
    where s.partition = any ($2) and s.ended is null and s.silent_since is null \
        and s.last_heard < timestamptz 'epoch' + ($3 - $4) * interval '1 microsecond'";

const JUDGE: &str = "update bmp_sessions s set silent_since = s.last_heard \
    from ingest_offsets o \
    where o.topic = $1 and o.partition = s.partition and s.partition = any ($2) \
        and s.ended is null and s.silent_since is null \
        and s.last_heard < case when s.partition = any ($5) \
                then timestamptz 'epoch' + $3 * interval '1 microsecond' \
                else o.last_received end - $4 * interval '1 microsecond' \
    returning (select identity from routers r where r.id = s.router_id), s.session, s.collector";

/// Ends the sessions, among those whose events are in `partitions`, that have been silent
/// for longer than `limit`.
pub(crate) fn judge<C: ConsumerContext>(
    positions: &Positions,
    consumer: &BaseConsumer<C>,
    partitions: &[i32],
    limit: Duration,
) -> Result<(), PositionError> {
    let now = now_micros();
    let limit = i64::try_from(limit.as_micros()).unwrap_or(i64::MAX);
    let asked = async {
        let mut connection = store::connect(&positions.database).await?;
        let candidates = sqlx::query(CANDIDATES)
            .bind(&*positions.topic)
            .bind(partitions)
            .bind(now)
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
            .bind(now)
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
