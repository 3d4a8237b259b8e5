//! `/metrics` for Prometheus, `/healthz` and `/readyz` for an orchestrator, `/status`
//! for whoever wants to know more.

use std::{
    collections::BTreeMap,
    fmt::Write,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{Registry, TextEncoder};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::status::Status;

/// What `/readyz` answers: the state of each thing that the daemon depends on.
///
/// Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct Health {
    checks: Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>,
}

impl Health {
    /// Records that `check` is well, or why it is not. The first call registers it.
    pub fn set(&self, check: &'static str, state: Result<(), String>) {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).insert(check, state);
    }

    /// Whether all checks are well, and one line for each.
    #[must_use]
    pub fn report(&self) -> (bool, String) {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (name, state) in checks.iter() {
            let _ = match state {
                Ok(()) => writeln!(text, "{name}: ok"),
                Err(reason) => writeln!(text, "{name}: {reason}"),
            };
        }
        (checks.values().all(Result::is_ok), text)
    }

    /// The same for `/status`.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, serde_json::Value)> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let word = |state: &Result<(), String>| match state {
            Ok(()) => json!("ok"),
            Err(reason) => json!(reason),
        };
        checks.iter().map(|(name, state)| (*name, word(state))).collect()
    }
}

/// Tells a daemon's state.
pub type Teller = Arc<dyn Fn() -> Status + Send + Sync>;

#[derive(Clone)]
struct Shared {
    daemon: &'static str,
    registry: Registry,
    health: Health,
    teller: Teller,
}

/// Serves what `daemon` has to tell until `shutdown` is cancelled.
pub async fn serve(
    daemon: &'static str,
    listener: TcpListener,
    registry: Registry,
    health: Health,
    teller: Teller,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .with_state(Shared { daemon, registry, health, teller });
    axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

async fn metrics(State(shared): State<Shared>) -> Response {
    match TextEncoder::new().encode_to_string(&shared.registry.gather()) {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn ready(State(shared): State<Shared>) -> Response {
    let (ready, text) = shared.health.report();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, text).into_response()
}

/// A page for browsers, JSON for everybody else.
async fn status(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let status = (shared.teller)();
    let accepts = headers.get(ACCEPT).and_then(|accepts| accepts.to_str().ok()).unwrap_or_default();
    if accepts.split(',').any(|kind| kind.trim().starts_with("text/html")) {
        ([(CONTENT_TYPE, "text/html; charset=utf-8")], status.page(shared.daemon)).into_response()
    } else {
        let text = format!("{:#}\n", status.json());
        ([(CONTENT_TYPE, "application/json")], text).into_response()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        get_as(address, path, "*/*").await
    }

    async fn get_as(address: std::net::SocketAddr, path: &str, accept: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn ready_only_when_every_check_is_well() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let registry = Registry::new();
        let counter = prometheus::IntCounter::new("seen_total", "Things seen.").unwrap();
        counter.inc();
        registry.register(Box::new(counter)).unwrap();
        let health = Health::default();
        let shutdown = CancellationToken::new();
        let checks = health.clone();
        let teller: Teller = Arc::new(move || Status::default().fields("checks", checks.fields()));
        let told = shutdown.clone();
        let server =
            tokio::spawn(serve("a-daemon", listener, registry, health.clone(), teller, told));

        health.set("kafka", Ok(()));
        health.set("database", Err("refused".to_owned()));
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.ends_with("database: refused\nkafka: ok\n"), "{answer}");

        health.set("database", Ok(()));
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/healthz").await.ends_with("ok\n"));
        assert!(get(address, "/metrics").await.contains("seen_total 1"));

        let answer = get(address, "/status").await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body, json!({"checks": {"database": "ok", "kafka": "ok"}}));
        let answer = get_as(address, "/status", "text/html,application/xml;q=0.9").await;
        assert!(answer.contains("content-type: text/html"), "{answer}");
        assert!(answer.contains("<tr><th>kafka</th><td>ok</td></tr>"), "{answer}");

        shutdown.cancel();
        server.await.unwrap().unwrap();
    }
}
