//! An ingester that can be asked how it is.

use std::{fs, net::TcpListener, process::Command};

use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::common::{self, Bed, Ingester};

/// A member of the consumer group, its log and its metrics.
pub(crate) struct Member {
    pub(crate) ingester: Ingester,
    http: String,
    log: NamedTempFile,
}

impl Member {
    pub(crate) fn start(bed: &Bed, arguments: &[&str]) -> Self {
        Self::spawn(bed.command().args(arguments))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let http = format!("127.0.0.1:{port}");
        let log = NamedTempFile::new().unwrap();
        command
            .args(["--http", &http, "--log", "info,ribstream_ingester=debug"])
            .stderr(log.reopen().unwrap());
        Self { ingester: Ingester::spawn(command), http, log }
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }

    /// How often it has logged a line that has this.
    pub(crate) fn logged(&self, what: &str) -> usize {
        self.log().lines().filter(|line| line.contains(what)).count()
    }

    pub(crate) async fn wait_for_log(&self, what: &str) {
        common::wait_for(what, async || self.logged(what) > 0).await;
    }

    async fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(&self.http).await.ok()?;
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    /// A metric, by its name behind `ribstream_ingester_`, with its labels; 0 where it has none.
    pub(crate) async fn metric(&self, name: &str) -> i64 {
        let answer = self.get("/metrics").await.unwrap_or_default();
        let series = format!("ribstream_ingester_{name} ");
        let value = answer.lines().find_map(|line| line.strip_prefix(&series));
        value.map_or(0, |value| value.parse().unwrap())
    }

    pub(crate) async fn wait_for_metric(&self, name: &str, least: i64) {
        common::wait_for(name, async || self.metric(name).await >= least).await;
    }

    /// What `/readyz` says: the status line, and the state of each thing.
    pub(crate) async fn readiness(&self) -> String {
        self.get("/readyz").await.unwrap_or_default()
    }

    /// SIGTERM, which it obeys.
    pub(crate) fn stop(self) {
        let Self { ingester, log, .. } = self;
        assert_eq!(ingester.stop(), Some(0), "{}", fs::read_to_string(log.path()).unwrap());
    }
}
