//! Makes the copies of views that dashboards read.
//!
//! What looks at every current route (leaks, strange paths, adjacencies) takes seconds
//! where there are millions. One ingester at a time, whoever has the lock, makes the
//! copies that are due, one after another. A copy is due again after the interval asked
//! for, and not before ten times as long as all of them took: together they never cost
//! more than a tenth of one of the database's cores. One that cannot be made keeps none
//! of the others from being made; the ingester that has tried it tries it again after ten
//! times as long as that took.

use std::{collections::HashMap, time::Duration};

use sqlx::{PgConnection, postgres::PgConnectOptions};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    store::{connect, describe},
};

/// Names the lock: "ribsnap" in octets.
const LOCK: i64 = 0x72_6962_736e_6170;
/// From one look to the next, at most.
const REST: Duration = Duration::from_mins(1);

/// Makes copies that are older than `every` until `stop` is cancelled.
pub(crate) async fn run(
    database: PgConnectOptions,
    every: Duration,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut resting = HashMap::new();
    loop {
        let look = async {
            let mut connection = connect(&database).await?;
            take(&mut connection, every, &mut resting, &metrics).await
        };
        tokio::select! {
            // The next look will do.
            taken = look => if let Err(error) = taken {
                failed(None, &error, &metrics);
            },
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(every.min(REST)) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn failed(view: Option<&str>, error: &sqlx::Error, metrics: &Metrics) {
    metrics.snapshot_failures.inc();
    let error = describe(error);
    tracing::warn!(view, %error, "cannot make the copies of views that dashboards read");
}

/// Makes what is due. What could not be made rests until the time in `resting`.
async fn take(
    connection: &mut PgConnection,
    every: Duration,
    resting: &mut HashMap<String, Instant>,
    metrics: &Metrics,
) -> sqlx::Result<()> {
    // The lock goes with the connection.
    let (ours,): (bool,) = sqlx::query_as("select pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(&mut *connection)
        .await?;
    if !ours {
        return Ok(());
    }
    // What is right for batches is not for these. One core at most, and none for an ingester that
    // has ended.
    let settings = "set enable_hashjoin = on; set enable_mergejoin = on; \
                    set max_parallel_workers_per_gather = 0; \
                    set client_connection_check_interval = '10s'";
    sqlx::raw_sql(settings).execute(&mut *connection).await?;
    let due: Vec<String> = sqlx::query_scalar(
        "select view from snapshots \
         where taken is null \
             or clock_timestamp() > taken + greatest($1 * interval '1 second', \
                 10 * (select sum(took) from snapshots)) \
             or clock_timestamp() < taken \
         order by taken nulls first, view",
    )
    .bind(every.as_secs_f64())
    .fetch_all(&mut *connection)
    .await?;
    resting.retain(|_, until| *until > Instant::now());
    for view in due {
        if resting.contains_key(&view) {
            continue;
        }
        let began = Instant::now();
        let taken = sqlx::query_as("select take_snapshot($1)")
            .bind(&view)
            .fetch_one(&mut *connection)
            .await;
        let (entries,): (i64,) = match taken {
            Ok(entries) => entries,
            Err(error) => {
                resting.insert(view.clone(), Instant::now() + every.max(10 * began.elapsed()));
                if !matches!(error, sqlx::Error::Database(_)) {
                    return Err(error);
                }
                failed(Some(&view), &error, metrics);
                continue;
            }
        };
        metrics.snapshot_seconds.observe(began.elapsed().as_secs_f64());
        tracing::debug!(view, entries, took = ?began.elapsed(), "made the copy of a view");
    }
    Ok(())
}
