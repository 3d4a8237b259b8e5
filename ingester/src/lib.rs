//! Writes the events topic into TimescaleDB, each event exactly once.
//!
//! ```text
//!            consumer.rs (one thread)               writer.rs (a task for each connection)
//!  ┌────────────────────────────────────────┐    ┌───────────────────────────────────────┐
//!  │ Kafka ──► decode ──► rows ──► batch ───┼──► │ store: one transaction                │
//!  │   ▲       Event      COPY     closes on│    │   advance ingest_offsets (the fence)  │
//!  │   │                  BINARY   rows,    │    │   COPY each table                     │
//!  │ group.rs                      octets   │    │   state: sessions, routers, peers     │
//!  │ assign: seek to the database's offset  │    │ letters: what is refused is parked    │
//!  │ revoke: drop the batch                 │    └───────────────────────────────────────┘
//!  └────────────────────────────────────────┘
//!            inventory: identity ──► slot ──► id of routers and peers
//! ```
//!
//! With `--raw` there are two such pipelines, the other of the raw topic: a consumer
//! group of its own, one writer, one table.
//!
//! A partition always goes to the same writer, so its events are written in the
//! order of the log. The offsets in the database, moved in the transaction that
//! writes the rows, are the only truth about what has been written; those that
//! the consumer group has in Kafka are for tools that show the lag.
//!
//! Beside the pipeline: [`migrate`] the schema, [`replay`] a range of the topic, [`tap`] it.

pub mod batch;
pub mod config;
mod consumer;
pub mod current;
pub mod decode;
mod group;
pub mod inventory;
pub mod letters;
pub mod lifecycle;
mod members;
pub mod metrics;
pub mod migrate;
mod no_delay;
pub mod openbmp;
mod orphans;
pub mod replay;
pub mod rows;
mod silence;
mod snapshots;
mod state;
mod status;
pub mod store;
mod sweep;
pub mod tap;
pub mod writer;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use config::{Cli, Command, DatabaseOptions, HealthOptions, RunOptions};
use ribstream_runtime::{
    health, http, http::Health, kafka, kafka::TopicSpec, shutdown, status::Troubles,
};
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

use crate::{
    decode::Content,
    inventory::Inventory,
    letters::Letters,
    metrics::Metrics,
    migrate::SchemaError,
    store::Store,
    writer::{Backoff, Task, Writer},
};

/// How long Kafka may take to answer at the start.
const KAFKA_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end waits for a member that has joined to have partitions dealt anew.
const FAREWELL: Duration = Duration::from_secs(3);

/// Does what the command line says.
///
/// # Errors
/// One line that names the thing, the value and what to do.
pub fn main(cli: Cli) -> anyhow::Result<()> {
    cli.log.init()?;
    // Two: the work is done by the consumer's own thread, by Kafka's and by the database.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match cli.command {
        Command::Run(options) => runtime.block_on(async {
            shutdown::survive_hangup();
            run(options, shutdown::signal()).await
        }),
        Command::Migrate(options) => runtime.block_on(migrate(&options)),
        Command::Replay(options) => {
            let database = database(&options.database)?;
            runtime.block_on(async { replay::run(options, database, shutdown::signal()).await })
        }
        Command::Tap(options) => {
            runtime.block_on(async { tap::tap(options, shutdown::signal()).await })
        }
        Command::Health(options) => runtime.block_on(health(&options)),
    }
}

async fn health(options: &HealthOptions) -> anyhow::Result<()> {
    println!("ready: {}", health::ask(options.http).await?);
    Ok(())
}

fn database(options: &DatabaseOptions) -> anyhow::Result<PgConnectOptions> {
    // The URL is not shown: it may hold a password.
    store::options(&options.database_url).map_err(|error| {
        anyhow!(
            "--database-url (RIBSTREAM_DATABASE_URL) is not a PostgreSQL URL: {error}; \
             it looks like postgresql://user:password@host:5432/name"
        )
    })
}

async fn migrate(options: &DatabaseOptions) -> anyhow::Result<()> {
    let options = database(options)?;
    let place = migrate::place(&options);
    let migrate::Migrated { before, after, edition, aggregates, missing_roles } =
        migrate::migrate(&options).await?;
    match before {
        Some(before) if before == after => println!("{place} is at schema version {after} already"),
        Some(before) => println!("{place} migrated from schema version {before} to {after}"),
        None => println!("{place} migrated to schema version {after}"),
    }
    if aggregates > 0 {
        let edition = edition.name();
        println!("{place} has {aggregates} new aggregates, for TimescaleDB's {edition} edition");
    }
    if !missing_roles.is_empty() {
        let (user, roles) = (options.get_username(), missing_roles.join(", "));
        println!(
            "{place} lacks the roles {roles}, which {user} may not create; create them and run \
             migrate again, or give ingesters the owner's rights"
        );
    }
    Ok(())
}

/// Reads the topic into the database until `stop` is cancelled.
///
/// # Errors
/// What cannot be put right by waiting: the configuration, the schema, Kafka at the start.
pub async fn run(options: RunOptions, stop: CancellationToken) -> anyhow::Result<()> {
    let database = database(&options.database)?;
    let registry = prometheus::Registry::new();
    let metrics = Metrics::new(&registry)?;
    let health = Health::default();
    health.set("database", Err("not reached yet".to_owned()));
    health.set("kafka", Err("not reached yet".to_owned()));
    let listener = tokio::net::TcpListener::bind(options.http)
        .await
        .with_context(|| format!("cannot listen on {} (--http)", options.http))?;
    let troubles = Troubles::default();
    let teller = status::teller(&options, &health, &metrics, &troubles);
    let name = "ribstream-ingester";
    tokio::spawn(http::serve(name, listener, registry, health.clone(), teller, stop.clone()));

    if !wait_for_schema(&database, &stop).await? {
        return Ok(());
    }
    health.set("database", Ok(()));
    kafka::check_broker(&options.kafka, KAFKA_TIMEOUT).await?;
    kafka::ensure_topics(&options.kafka, &[dead_letter_topic(&options)]).await?;
    let letters =
        Letters::new(options.kafka.clone()).map_err(|error| options.kafka.explain(&error))?;

    if !options.keep_gone.is_zero() {
        tokio::spawn(sweep::run(database.clone(), options.keep_gone, stop.clone()));
    }
    tokio::spawn(lifecycle::run(database.clone(), options.lifecycle.clone(), stop.clone()));
    if !options.snapshot_every.is_zero() {
        let (database, every) = (database.clone(), options.snapshot_every);
        tokio::spawn(snapshots::run(database, every, metrics.clone(), stop.clone()));
    }
    let means = Means { options, database, letters, metrics, health, troubles, stop };
    let raw = async { if means.options.raw { means.pipeline(Content::Raw).await } else { Ok(()) } };
    let events =
        if means.options.processing_times { Content::EventsAndTimes } else { Content::Events };
    tokio::try_join!(means.pipeline(events), raw)?;
    Ok(())
}

/// What pipelines are made of.
struct Means {
    options: RunOptions,
    database: PgConnectOptions,
    letters: Letters,
    metrics: Metrics,
    health: Health,
    troubles: Troubles,
    stop: CancellationToken,
}

impl Means {
    /// Reads a topic until told to stop.
    async fn pipeline(&self, content: Content) -> anyhow::Result<()> {
        let options = &self.options;
        let (topic, group, writers) = match content {
            Content::Events | Content::EventsAndTimes => {
                (&options.kafka.topic_events, options.group.clone(), options.writers)
            }
            // One: COPY alone is far ahead of what the events cost.
            Content::Raw => (&options.topic_raw, format!("{}-raw", options.group), 1),
        };
        let topic: Arc<str> = topic.as_str().into();
        let inventory = Arc::new(Inventory::default());
        let runtime = tokio::runtime::Handle::current();
        let (reports, inbox) = std::sync::mpsc::channel();
        let writers = (0..writers)
            .map(|_| {
                let (database, topic, inventory) =
                    (self.database.clone(), topic.clone(), inventory.clone());
                let task = Task {
                    store: Store::new(database, topic.clone(), content, inventory),
                    letters: self.letters.clone(),
                    topic,
                    metrics: self.metrics.clone(),
                    health: self.health.clone(),
                    troubles: self.troubles.clone(),
                    reports: reports.clone(),
                };
                Writer::start(task, &runtime)
            })
            .collect();
        let watch = orphans::Watch {
            config: consumer::client_config(&options.kafka, &group),
            group: group.clone(),
            topic: topic.clone(),
            database: self.database.clone(),
            metrics: self.metrics.clone(),
            runtime: runtime.clone(),
            stop: self.stop.clone(),
        };
        let pipeline = consumer::Pipeline {
            limits: options.limits(),
            shutdown_timeout: options.shutdown_timeout,
            silence: options.session_silence,
            kafka: options.kafka.clone(),
            group,
            content,
            database: self.database.clone(),
            topic,
            inventory,
            writers,
            reports: inbox,
            metrics: self.metrics.clone(),
            health: self.health.clone(),
            runtime,
            stop: self.stop.clone(),
        };
        let (done, finished) = tokio::sync::oneshot::channel();
        std::thread::Builder::new().name("consumer".to_owned()).spawn(move || {
            // The receiver waits for as long as this thread runs.
            drop(done.send(pipeline.run()));
        })?;
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        std::thread::Builder::new().name("orphans".to_owned()).spawn(move || {
            let _guard = guard;
            watch.run();
        })?;
        let panicked = async {
            ended.cancelled().await;
            if self.stop.is_cancelled() {
                std::future::pending::<()>().await;
            }
        };
        let done = tokio::select! {
            done = finished => done.context("a consumer thread has panicked"),
            () = panicked => bail!("the thread that looks for orphaned partitions has panicked"),
        };
        // A member that has joined for a moment is to leave. Where Kafka does not answer, there is
        // none.
        self.stop.cancel();
        let _ = tokio::time::timeout(FAREWELL, ended.cancelled()).await;
        done??;
        Ok(())
    }
}

fn dead_letter_topic(options: &RunOptions) -> TopicSpec {
    TopicSpec {
        name: options.kafka.topic_dead_letter.clone(),
        partitions: 1,
        replication: -1,
        config: Vec::new(),
    }
}

/// Waits for the database where it is away; whether it came before the stop.
async fn wait_for_schema(
    database: &PgConnectOptions,
    stop: &CancellationToken,
) -> Result<bool, SchemaError> {
    let mut backoff = Backoff::default();
    loop {
        let error = match migrate::check(database).await {
            Ok(()) => return Ok(true),
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(error),
        };
        let wait = backoff.next();
        tracing::warn!(%error, ?wait, "waiting for the database");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return Ok(false),
        }
    }
}
