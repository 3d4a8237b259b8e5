//! The daemon: everything that `run` wires together.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use prometheus::Registry;
use ribstream_runtime::http::{self, Health};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    config::RunOptions,
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
    let server = tokio::spawn(http::serve(http, registry, health.clone(), http_shutdown.clone()));

    let result = if options.stdout {
        let lines = Arc::new(Lines::default());
        collect_lines(sockets, tls, &options, lines, metrics, shutdown).await
    } else {
        health.set(KAFKA, Err("starting".to_owned()));
        publish(sockets, tls, &options, health, metrics, shutdown).await
    };
    http_shutdown.cancel();
    if let Ok(Err(error)) = server.await {
        tracing::warn!(%error, "the http server failed");
    }
    result
}

async fn collect_lines(
    sockets: Sockets,
    tls: Option<Arc<Tls>>,
    options: &RunOptions,
    lines: Arc<Lines>,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let stop = shutdown.child_token();
    let closed = lines.closed.clone();
    let target = Target::Lines(lines);
    sockets.announce(&options.collector_name(), "standard output");
    let reception = Reception::new(options, target, metrics, stop.clone());
    let listener = Listener::new(sockets, tls, options.transport.connect.clone(), reception);
    stop_when(&closed, &stop, listener.serve(options.shutdown_timeout)).await;
    Ok(())
}

async fn publish(
    sockets: Sockets,
    tls: Option<Arc<Tls>>,
    options: &RunOptions,
    health: Health,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if options.create_topics {
        topics::ensure(options).await?;
    }
    let publisher = Arc::new(Publisher::new(options, Arc::clone(&metrics))?);
    let watch = watch_health(Arc::clone(&publisher), health);
    let stall = options.publish_stall_timeout;
    let watchdog =
        (!stall.is_zero()).then(|| tokio::spawn(watchdog::watch(Arc::clone(&publisher), stall)));
    let stop = shutdown.child_token();
    let target = Target::Kafka(Arc::clone(&publisher));
    sockets.announce(&options.collector_name(), &options.kafka.brokers);
    let reception = Reception::new(options, target, metrics, stop.clone());
    let listener = Listener::new(sockets, tls, options.transport.connect.clone(), reception);
    let serving = listener.serve(options.shutdown_timeout);
    let began = stop_when(publisher.fatal(), &stop, serving).await;
    watch.abort();
    if let Some(watchdog) = watchdog {
        watchdog.abort();
    }

    let fatal = publisher.fatal_reason();
    // A producer that can work no more is not waited for.
    let patience = if fatal.is_some() { Duration::ZERO } else { options.shutdown_timeout };
    let left = publisher.drain(began + patience).await;
    if left > 0 {
        tracing::error!(
            bytes = left,
            timeout = ?options.shutdown_timeout,
            "kafka has not acknowledged everything, the routers will send it again",
        );
    }
    if let Some(reason) = fatal {
        anyhow::bail!("the Kafka producer can work no more ({reason}); restart");
    }
    tracing::info!("stopped");
    Ok(())
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
