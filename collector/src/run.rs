//! The daemon: everything that `run` wires together.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use prometheus::Registry;
use ribstream_runtime::{
    http::{self, Health, Teller},
    status::{Status, time},
};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    config::RunOptions,
    directory::Directory,
    listener::{Listener, Sockets},
    metrics::Metrics,
    output::{Lines, Target},
    publish::Publisher,
    reception::Reception,
    tls::Tls,
    topics, watchdog,
};

/// How often `/readyz` learns whether Kafka answers.
const HEALTH_INTERVAL: Duration = Duration::from_secs(10);
/// The name of Kafka's line in `/readyz`.
const KAFKA: &str = "kafka";

/// Collects from the routers that connect to `sockets` until `shutdown` is
/// cancelled, then ends their sessions and waits for Kafka's acknowledgements.
///
/// Fails where Kafka or its topics cannot be used at the start, where there is no usable
/// certificate for TLS, or where the producer can work no more.
pub async fn run(
    sockets: impl Into<Sockets>,
    http: TcpListener,
    options: RunOptions,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let sockets = sockets.into();
    let tls = Tls::new(&options.transport)?.map(Arc::new);
    let registry = Registry::new();
    let metrics = Arc::new(Metrics::new(&registry).context("cannot register the metrics")?);
    let health = Health::default();
    // Its own token: the metrics of the drain are worth seeing.
    let http_shutdown = CancellationToken::new();
    if let Some(tls) = &tls {
        let fresh = Arc::clone(tls).keep_fresh(Arc::clone(&metrics), http_shutdown.clone());
        tokio::spawn(fresh);
    }
    let directory = Arc::new(Directory::default());
    let server = tokio::spawn(http::serve(
        "ribstream-collector",
        http,
        registry,
        health.clone(),
        teller(&options, &health, &metrics, &directory),
        http_shutdown.clone(),
    ));

    let stdout = options.stdout;
    let daemon = Daemon { sockets, tls, options, metrics, directory };
    let result = if stdout {
        daemon.collect_lines(shutdown).await
    } else {
        health.set(KAFKA, Err("starting".to_owned()));
        daemon.publish(health, shutdown).await
    };
    http_shutdown.cancel();
    if let Ok(Err(error)) = server.await {
        tracing::warn!(%error, "the http server failed");
    }
    result
}

/// What the daemon is made of, whatever becomes of the events.
struct Daemon {
    sockets: Sockets,
    tls: Option<Arc<Tls>>,
    options: RunOptions,
    metrics: Arc<Metrics>,
    directory: Arc<Directory>,
}

impl Daemon {
    /// Serves the routers until told to stop, and what they send to `target`.
    async fn serve(self, target: Target, stop: CancellationToken) {
        let Self { sockets, tls, options, metrics, directory } = self;
        let keys = Arc::clone(&sockets.keys);
        let reception = Reception::new(&options, keys, target, metrics, directory, stop);
        let listener = Listener::new(sockets, tls, options.transport.connect, reception);
        listener.serve(options.shutdown_timeout).await;
    }

    async fn collect_lines(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let stop = shutdown.child_token();
        let lines = Arc::new(Lines::default());
        let closed = lines.closed.clone();
        self.sockets.announce(&self.options.collector_name(), "standard output");
        stop_when(&closed, &stop, self.serve(Target::Lines(lines), stop.clone())).await;
        Ok(())
    }

    async fn publish(self, health: Health, shutdown: CancellationToken) -> anyhow::Result<()> {
        if self.options.create_topics {
            topics::ensure(&self.options).await?;
        }
        let publisher = Arc::new(Publisher::new(&self.options, Arc::clone(&self.metrics))?);
        let stall = self.options.publish_stall_timeout;
        let mut watchers = vec![
            watch_health(Arc::clone(&publisher), health),
            tokio::spawn(watchdog::tell_stalls(Arc::clone(&publisher), Arc::clone(&self.metrics))),
        ];
        if !stall.is_zero() {
            watchers.push(tokio::spawn(watchdog::watch(Arc::clone(&publisher), stall)));
        }
        let stop = shutdown.child_token();
        self.sockets.announce(&self.options.collector_name(), &self.options.kafka.brokers);
        let shutdown_timeout = self.options.shutdown_timeout;
        let serving = self.serve(Target::Kafka(Arc::clone(&publisher)), stop.clone());
        let began = stop_when(publisher.fatal(), &stop, serving).await;
        for watcher in watchers {
            watcher.abort();
        }

        let fatal = publisher.fatal_reason();
        // A producer that can work no more is not waited for.
        let patience = if fatal.is_some() { Duration::ZERO } else { shutdown_timeout };
        let left = publisher.drain(began + patience).await;
        if left > 0 {
            tracing::error!(
                bytes = left,
                timeout = ?shutdown_timeout,
                "kafka has not acknowledged everything, the routers will send it again",
            );
        }
        if let Some(reason) = fatal {
            anyhow::bail!("the Kafka producer can work no more ({reason}); restart");
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Tells `/status`.
fn teller(
    options: &RunOptions,
    health: &Health,
    metrics: &Arc<Metrics>,
    directory: &Arc<Directory>,
) -> Teller {
    let (health, metrics, directory) = (health.clone(), Arc::clone(metrics), Arc::clone(directory));
    let name = options.collector_name();
    let started = SystemTime::now();
    Arc::new(move || {
        let daemon = vec![
            ("collector", json!(name)),
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("started", time(started)),
            ("sessions", json!(metrics.sessions.get())),
            ("peers_up", json!(metrics.peers.get())),
            ("records_published", json!(metrics.published.get())),
            ("records_acknowledged", json!(metrics.acknowledged.get())),
            ("bytes_in_flight", json!(metrics.in_flight.get())),
            ("stalled_seconds", json!(metrics.stalled.get())),
        ];
        let status = Status::default().fields("daemon", daemon).fields("checks", health.fields());
        directory.tell(status)
    })
}

/// Runs `serving` to its end, which `cause` brings about by way of `stop`, as a
/// shutdown does. Returns when the end began.
async fn stop_when(
    cause: &CancellationToken,
    stop: &CancellationToken,
    serving: impl Future<Output = ()>,
) -> Instant {
    let began = async {
        tokio::select! {
            () = cause.cancelled() => stop.cancel(),
            () = stop.cancelled() => {}
        }
        Instant::now()
    };
    let (began, ()) = tokio::join!(began, serving);
    began
}

fn watch_health(publisher: Arc<Publisher>, health: Health) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let asked = Arc::clone(&publisher);
            if let Ok(state) = tokio::task::spawn_blocking(move || asked.check()).await {
                health.set(KAFKA, state);
            }
            sleep(HEALTH_INTERVAL).await;
        }
    })
}
