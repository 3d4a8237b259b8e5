//! Deletes routes that have been gone for long from the current tables.
//!
//! A withdrawal, the end of an epoch and a dump leave rows behind, so that a route
//! that returns is known. One ingester at a time, whoever has the lock, walks
//! through the tables a few pages at a time and deletes what has been gone for
//! longer than it is to be kept, by the topic's time. A batch that finds a row
//! deleted which it had just read is written again.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, postgres::PgConnectOptions};
use tokio_util::sync::CancellationToken;

use crate::{
    rows::Current,
    store::{connect, describe},
};

/// Names the lock: "ribstrm" in octets.
const LOCK: i64 = 0x72_6962_7374_726d;
/// Pages in a step, four MiB.
const PAGES: i64 = 512;
/// Between steps: the tables are read at some 20 MiB/s.
const PAUSE: Duration = Duration::from_millis(200);
/// From the end of a walk to the next.
const REST: Duration = Duration::from_mins(10);

/// Sweeps until `stop` is cancelled.
pub(crate) async fn run(database: PgConnectOptions, keep: Duration, stop: CancellationToken) {
    loop {
        let walk = async {
            let mut connection = connect(&database).await?;
            walk(&mut connection, keep).await
        };
        tokio::select! {
            swept = walk => match swept {
                Ok(0) => {}
                Ok(routes) => tracing::info!(routes, "swept routes that have been gone for long"),
                // The next walk begins where this one did.
                Err(error) => {
                    let error = describe(&error);
                    tracing::warn!(%error, "cannot sweep the current tables");
                }
            },
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Walks once through all tables, unless somebody else does; how many rows were deleted.
async fn walk(connection: &mut PgConnection, keep: Duration) -> sqlx::Result<u64> {
    let (ours,): (bool,) = sqlx::query_as("select pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(&mut *connection)
        .await?;
    let mut swept = 0;
    if !ours {
        return Ok(swept);
    }
    for table in Current::ALL {
        let name = table.name();
        let (pages,): (i64,) = sqlx::query_as("select pg_relation_size($1::regclass) / 8192")
            .bind(name)
            .fetch_one(&mut *connection)
            .await?;
        let mut page = 0;
        while page < pages {
            swept += step(connection, name, page, keep).await?;
            page += PAGES;
            tokio::time::sleep(PAUSE).await;
        }
    }
    // The lock goes with the connection.
    Ok(swept)
}

async fn step(
    connection: &mut PgConnection,
    table: &str,
    page: i64,
    keep: Duration,
) -> sqlx::Result<u64> {
    let sql = format!(
        "with past (time) as ( \
             select max(last_received) - $3 * interval '1 second' from ingest_offsets \
         ) \
         delete from {table} where ctid = any (array( \
             select r.ctid \
             from {table} r \
             cross join past \
             left join peer_epochs e on e.peer_id = r.peer_id and e.epoch = r.epoch \
             left join rib_dumps d on d.peer_id = r.peer_id and d.view = r.view \
                 and d.afi = r.afi and d.safi = r.safi \
             where r.ctid >= format('(%s,0)', $1)::tid and r.ctid < format('(%s,0)', $2)::tid \
                 and (r.withdrawn < past.time or e.ended < past.time \
                     or d.ended < past.time and case when r.heard_session = d.session \
                         then r.heard_sequence <= d.sequence \
                         else (coalesce(r.heard_logged, r.heard), r.heard) \
                             < (coalesce(d.logged, d.began), d.began) \
                         end) \
             for update of r skip locked))"
    );
    let seconds = i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
    let swept = sqlx::query(AssertSqlSafe(sql))
        .bind(page)
        .bind(page + PAGES)
        .bind(seconds)
        .execute(connection)
        .await?;
    Ok(swept.rows_affected())
}
