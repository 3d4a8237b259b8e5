//! How long the history is kept, and when it goes to the columnstore.
//!
//! On the Community edition these are the database's own policies, put as the
//! configuration says; on the Apache edition, which has none, chunks are dropped
//! here, by the topic's time. Both is done by functions of the database that run as the
//! tables' owner: an ingester need not be. One ingester at a time, whoever has the lock. The
//! current tables are not touched: what is current stays when its history goes.

use std::{fmt, str::FromStr, time::Duration};

use clap::Args;
use ribstream_runtime::units::duration;
use sqlx::{AssertSqlSafe, PgConnection, postgres::PgConnectOptions};
use tokio_util::sync::CancellationToken;

use crate::{
    migrate::aggregates::{Edition, edition},
    store::{connect, describe},
};

/// A hypertable.
#[derive(Clone, Copy, Debug)]
struct Table {
    name: &'static str,
    /// It is large enough for the columnstore.
    large: bool,
    /// It is a part of the history, which `--retention` is about, and aggregates are made of it.
    history: bool,
}

const fn history(name: &'static str) -> Table {
    Table { name, large: true, history: true }
}

/// All of them.
const TABLES: [Table; 9] = [
    history("route_events"),
    history("evpn_events"),
    history("other_events"),
    history("peer_events"),
    history("stats_reports"),
    history("mirrored_messages"),
    Table { large: false, ..history("dump_events") },
    Table { history: false, ..history("raw_messages") },
    Table { history: false, ..history("processing_times") },
];

/// How long tables beside the history are kept: large, and for looking at what was just now.
const BESIDE: Duration = Duration::from_hours(7 * 24);

/// Names the lock: "ribkeep" in octets.
const LOCK: i64 = 0x72_6962_6b65_6570;
/// From one look to the next.
const REST: Duration = Duration::from_hours(1);
/// The aggregates of a day are made again for a week back: what they are made of must
/// still be there.
const LEAST: Duration = Duration::from_hours(8 * 24);

/// How long the history is kept.
#[derive(Args, Clone, Debug)]
pub struct LifecycleOptions {
    /// How long the history is kept, by whole chunks of a day; at least 8d, 0s for ever. Raw
    /// messages and processing times are kept for 7d, whatever this says
    #[arg(long, env = "RIBSTREAM_RETENTION", value_name = "DURATION", default_value = "90d",
        value_parser = retention)]
    pub retention: Duration,
    /// The same for some tables, as TABLE=DURATION: route_events, evpn_events, other_events,
    /// peer_events, stats_reports, mirrored_messages, dump_events; and of raw_messages and
    /// processing_times, which may be kept for less than 8d
    #[arg(
        long,
        env = "RIBSTREAM_RETENTION_OF",
        value_name = "TABLE=DURATION",
        value_delimiter = ','
    )]
    pub retention_of: Vec<RetentionOf>,
    /// Age at which chunks go to the columnstore, where the database is TimescaleDB's
    /// Community edition; 0s for never
    #[arg(long, env = "RIBSTREAM_COLUMNSTORE_AFTER", value_name = "DURATION",
        default_value = "2d", value_parser = duration)]
    pub columnstore_after: Duration,
}

/// How long one table is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionOf {
    table: &'static str,
    keep: Duration,
}

impl FromStr for RetentionOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, keep)) = text.split_once('=') else {
            return Err(format!("{text:?} is not TABLE=DURATION; write route_events=400d"));
        };
        let table = TABLES.into_iter().find(|table| table.name == name).ok_or_else(|| {
            let names = TABLES.map(|table| table.name).join(", ");
            format!("there is no table {name:?} with history; there are {names}")
        })?;
        let keep = if table.history { retention(keep)? } else { duration(keep)? };
        Ok(Self { table: table.name, keep })
    }
}

impl fmt::Display for RetentionOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}s", self.table, self.keep.as_secs())
    }
}

fn retention(text: &str) -> Result<Duration, String> {
    let keep = duration(text)?;
    if keep.is_zero() || keep >= LEAST {
        return Ok(keep);
    }
    Err(format!(
        "{text:?} is too short: the aggregates of a day need a week of history; write 8d or \
         more, or 0s for ever"
    ))
}

impl LifecycleOptions {
    /// How long a table is kept; nothing where for ever.
    fn keep(&self, table: Table) -> Option<u64> {
        let of = self.retention_of.iter().rev().find(|of| of.table == table.name);
        let others = if table.history { self.retention } else { BESIDE };
        Some(of.map_or(others, |of| of.keep).as_secs()).filter(|keep| *keep > 0)
    }

    /// The statements that make the Community edition keep what is asked for. They change
    /// nothing that is so already.
    #[must_use]
    pub fn policies(&self) -> Vec<String> {
        let after = Some(self.columnstore_after.as_secs()).filter(|after| *after > 0);
        let mut statements = Vec::new();
        let interval = |seconds: Option<u64>| {
            seconds.map_or_else(
                || "null".to_owned(),
                |seconds| format!("interval '{seconds} seconds'"),
            )
        };
        for table in TABLES {
            let keep = interval(self.keep(table));
            let after = interval(after.filter(|_| table.large));
            statements.push(format!("select keep_history('{}', {keep}, {after})", table.name));
        }
        statements
    }
}

/// Keeps what is asked for until `stop` is cancelled.
pub(crate) async fn run(
    database: PgConnectOptions,
    options: LifecycleOptions,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            // The next look will do.
            kept = keep(&database, &options) => if let Err(error) = kept {
                let error = describe(&error);
                tracing::warn!(%error, "cannot keep the history as configured");
            },
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn keep(database: &PgConnectOptions, options: &LifecycleOptions) -> sqlx::Result<()> {
    let mut connection = connect(database).await?;
    let (ours,): (bool,) = sqlx::query_as("select pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(&mut connection)
        .await?;
    if !ours {
        return Ok(());
    }
    // The lock goes with the connection.
    match edition(&mut connection).await? {
        Edition::Community => {
            for statement in options.policies() {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
            }
        }
        Edition::Apache => drop_chunks(&mut connection, options).await?,
    }
    Ok(())
}

async fn drop_chunks(
    connection: &mut PgConnection,
    options: &LifecycleOptions,
) -> sqlx::Result<()> {
    let now: Option<String> =
        sqlx::query_scalar("select max(last_received)::text from ingest_offsets")
            .fetch_one(&mut *connection)
            .await?;
    let Some(now) = now else { return Ok(()) };
    for table in TABLES {
        let name = table.name;
        let Some(keep) = options.keep(table) else { continue };
        let sql = format!(
            "select drop_history('{name}', timestamptz '{now}' - interval '{keep} seconds')"
        );
        let chunks: i64 =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await?;
        if chunks > 0 {
            tracing::info!(table = name, chunks, "dropped history that is kept no longer");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_too_short_or_of_no_table_is_refused_with_the_remedy() {
        assert_eq!(retention("0s"), Ok(Duration::ZERO));
        assert!(retention("7d").unwrap_err().contains("8d or more"));
        assert!("route_events".parse::<RetentionOf>().unwrap_err().contains("route_events=400d"));
        let error = "routes=90d".parse::<RetentionOf>().unwrap_err();
        assert!(error.contains("mirrored_messages"), "{error}");
        let of: RetentionOf = "peer_events=400d".parse().unwrap();
        assert_eq!(of.to_string(), "peer_events=34560000s");
    }

    #[test]
    fn each_table_is_kept_as_long_as_it_is_said_for_it() {
        let options = LifecycleOptions {
            retention: Duration::from_hours(90 * 24),
            retention_of: vec![
                "peer_events=0s".parse().unwrap(),
                "raw_messages=1h".parse().unwrap(),
            ],
            columnstore_after: Duration::ZERO,
        };
        let keep = |name| options.keep(*TABLES.iter().find(|table| table.name == name).unwrap());
        assert_eq!(keep("peer_events"), None);
        assert_eq!(keep("route_events"), Some(90 * 86_400));
        assert_eq!(keep("raw_messages"), Some(3600));
        assert_eq!(keep("processing_times"), Some(7 * 86_400));
    }
}
