//! Flags, environment variables and their meaning.

use std::{net::SocketAddr, time::Duration};

use clap::{Args, Parser, Subcommand};
use ribstream_runtime::{
    kafka::KafkaOptions,
    log::LogOptions,
    units::{bytes, duration},
};

use crate::{batch::Limits, lifecycle::LifecycleOptions, replay::ReplayOptions, tap::TapOptions};

/// Row offsets inside a batch are 32 bits wide; memory is the sooner limit.
const MAX_BATCH_BYTES: usize = 1 << 30;

/// Where metrics and health are served unless told otherwise.
const HTTP: &str = "[::]:11022";

/// Writes the events of Ribstream's collectors into TimescaleDB, each exactly once.
#[derive(Debug, Parser)]
#[command(name = "ribstream-ingester", version)]
pub struct Cli {
    /// How the logs are written.
    #[command(flatten)]
    pub log: LogOptions,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the ingester can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read the events topic and write it to the database until told to stop
    Run(RunOptions),
    /// Bring the database's schema to this version, and exit
    Migrate(DatabaseOptions),
    /// Write a range of the events topic again, as if it had been written once
    Replay(ReplayOptions),
    /// Print the events topic as JSON lines
    Tap(TapOptions),
    /// Ask the running ingester whether it is ready; exit with 1 where it is not
    Health(HealthOptions),
}

/// Where the database is.
#[derive(Args, Clone, Debug)]
pub struct DatabaseOptions {
    /// The database, as postgresql://user:password@host:port/name
    #[arg(long, env = "RIBSTREAM_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: String,
}

/// What `run` needs.
#[derive(Args, Clone, Debug)]
pub struct RunOptions {
    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaOptions,
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseOptions,
    /// Store every BMP message as received too, from the raw topic, which collectors with --raw fill
    #[arg(long, env = "RIBSTREAM_RAW")]
    pub raw: bool,
    /// The topic of the BMP messages as received
    #[arg(
        long,
        env = "RIBSTREAM_TOPIC_RAW",
        value_name = "TOPIC",
        default_value = "ribstream.raw"
    )]
    pub topic_raw: String,
    /// Store when each event was received, was in Kafka and in the database too
    #[arg(long, env = "RIBSTREAM_PROCESSING_TIMES")]
    pub processing_times: bool,
    /// The consumer group; ingesters of one group share the topic's partitions
    #[arg(
        long,
        env = "RIBSTREAM_GROUP",
        value_name = "NAME",
        default_value = "ribstream-ingester"
    )]
    pub group: String,
    /// Connections that write to the database; a partition always has the same one
    #[arg(long, env = "RIBSTREAM_WRITERS", value_name = "N", default_value_t = 2,
        value_parser = clap::value_parser!(u16).range(1..=64))]
    pub writers: u16,
    /// Rows in a transaction at most
    #[arg(long, env = "RIBSTREAM_BATCH_ROWS", value_name = "N", default_value_t = 50_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch_rows: u32,
    /// Size of the rows of a transaction at most, one record more excepted
    #[arg(long, env = "RIBSTREAM_BATCH_BYTES", value_name = "SIZE", default_value = "16MiB",
        value_parser = bytes)]
    pub batch_bytes: usize,
    /// How long an event may wait for others to share its transaction
    #[arg(long, env = "RIBSTREAM_BATCH_AGE", value_name = "DURATION", default_value = "50ms",
        value_parser = duration)]
    pub batch_age: Duration,
    /// How long after its last heartbeat a BMP session counts as ended, until it is heard
    /// of again; longer than collectors' heartbeats are apart
    #[arg(long, env = "RIBSTREAM_SESSION_SILENCE", value_name = "DURATION",
        default_value = "45s", value_parser = duration)]
    pub session_silence: Duration,
    /// How long a route that is gone stays in the current tables, so that it is known when it
    /// returns; 0s for ever
    #[arg(long, env = "RIBSTREAM_KEEP_GONE", value_name = "DURATION", default_value = "30d",
        value_parser = duration)]
    pub keep_gone: Duration,
    /// How long the history is kept.
    #[command(flatten)]
    pub lifecycle: LifecycleOptions,
    /// How old the copies of views that dashboards read become before they are made anew; at least
    /// ten times as old as making all of them takes. 0s for no copies
    #[arg(long, env = "RIBSTREAM_SNAPSHOT_EVERY", value_name = "DURATION",
        default_value = "5m", value_parser = duration)]
    pub snapshot_every: Duration,
    /// Where /metrics, /healthz, /readyz and /status are served
    #[arg(long, env = "RIBSTREAM_HTTP", value_name = "ADDRESS", default_value = HTTP)]
    pub http: SocketAddr,
    /// How long a shutdown may take to commit what is in hand and leave the group
    #[arg(long, env = "RIBSTREAM_SHUTDOWN_TIMEOUT", value_name = "DURATION",
        default_value = "20s", value_parser = duration)]
    pub shutdown_timeout: Duration,
}

/// Settings of `health`.
#[derive(Args, Clone, Debug)]
pub struct HealthOptions {
    /// Where the running ingester serves /readyz; a wildcard address is this host
    #[arg(long, env = "RIBSTREAM_HTTP", value_name = "ADDRESS", default_value = HTTP)]
    pub http: SocketAddr,
}

impl RunOptions {
    /// When batches are closed.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            rows: self.batch_rows as usize,
            bytes: self.batch_bytes.clamp(1, MAX_BATCH_BYTES),
            age: self.batch_age,
        }
    }
}
