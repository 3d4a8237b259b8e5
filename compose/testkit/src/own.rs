//! Servers of a test's own, to be stopped, killed and paused at will.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sqlx::{Connection, PgConnection};

use crate::container::{self, Container};
use crate::database::container_url;
use crate::kafka::Kafka;
use crate::reaper::Reaper;
use crate::unique;

/// How long a restarted container may take to serve again.
const SERVING: Duration = Duration::from_mins(1);

/// A server, by whichever means there are.
#[derive(Debug)]
enum Server {
    /// An instance of `compose/stack`, whose path `RIBSTREAM_TEST_STACK` gives.
    Stack { script: PathBuf, instance: String, server: &'static str, _reaper: Reaper },
    /// A container, where no stack is named.
    Container(Box<Container>),
}

impl Server {
    async fn start(server: &'static str) -> Result<Self> {
        Self::start_with(server, &[]).await
    }

    /// Tells the stack more, and a container nothing.
    async fn start_with(server: &'static str, more: &[&OsStr]) -> Result<Self> {
        let Some(script) = std::env::var_os("RIBSTREAM_TEST_STACK").map(PathBuf::from) else {
            return Ok(Self::Container(match server {
                "kafka" => Box::new(container::kafka().await?),
                _ => Box::new(container::postgres().await?),
            }));
        };
        let prefix = std::env::var("RIBSTREAM_TEST_INSTANCES").unwrap_or_else(|_| "own".into());
        let instance = format!("{prefix}-{}", unique());
        let reaper = Reaper::new([
            script.as_os_str(),
            "down".as_ref(),
            "--remove".as_ref(),
            "--name".as_ref(),
            instance.as_ref(),
        ])
        .context("cannot start a shell that takes the server down")?;
        let own = Self::Stack { script, instance, server, _reaper: reaper };
        own.stack_with("up", more).await?;
        Ok(own)
    }

    /// Runs a command of the stack on this server and gives what it printed.
    async fn stack(&self, command: &'static str) -> Result<String> {
        self.stack_with(command, &[]).await
    }

    async fn stack_with(&self, command: &'static str, more: &[&OsStr]) -> Result<String> {
        let Self::Stack { script, instance, server, .. } = self else {
            bail!("{command} is for the stack, and this is a container");
        };
        let mut stack = Command::new(script);
        stack.args([command, "--name", instance]).args(more);
        if command != "env" {
            stack.arg(server);
        }
        stack.stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || stack.output())
            .await?
            .with_context(|| format!("cannot run {}", script.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{} {command} --name {instance} failed: {said}", script.display());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The value of a variable of `compose/stack env`.
    async fn variable(&self, name: &str) -> Result<String> {
        let prefix = format!("export {name}=");
        let environment = self.stack("env").await?;
        environment
            .lines()
            .find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
            .with_context(|| format!("compose/stack env printed no {name}"))
    }

    async fn kill(&self) -> Result<()> {
        match self {
            Self::Stack { .. } => self.stack("kill").await.map(drop),
            // No time to end by itself: SIGKILL.
            Self::Container(it) => Ok(it.handle.stop_with_timeout(Some(0)).await?),
        }
    }

    async fn stop(&self) -> Result<()> {
        match self {
            Self::Stack { .. } => self.stack("stop").await.map(drop),
            Self::Container(it) => Ok(it.handle.stop().await?),
        }
    }

    async fn restart(&self) -> Result<()> {
        match self {
            Self::Stack { .. } => self.stack("start").await.map(drop),
            Self::Container(it) => Ok(it.handle.start().await?),
        }
    }

    async fn pause(&self) -> Result<()> {
        match self {
            Self::Stack { .. } => self.stack("pause").await.map(drop),
            Self::Container(it) => Ok(it.handle.pause().await?),
        }
    }

    async fn resume(&self) -> Result<()> {
        match self {
            Self::Stack { .. } => self.stack("resume").await.map(drop),
            Self::Container(it) => Ok(it.handle.unpause().await?),
        }
    }
}

/// A Kafka of a test's own, taken away when dropped.
#[derive(Debug)]
pub struct OwnKafka {
    server: Server,
    kafka: Kafka,
}

impl OwnKafka {
    /// Starts one; it serves when this returns.
    pub async fn start() -> Result<Self> {
        let server = Server::start("kafka").await?;
        let brokers = match &server {
            Server::Stack { .. } => server.variable("RIBSTREAM_KAFKA").await?,
            Server::Container(it) => format!("127.0.0.1:{}", it.port),
        };
        Ok(Self { server, kafka: Kafka::at(brokers) })
    }

    /// To make topics in it and to read them.
    #[must_use]
    pub fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// SIGKILL: no goodbye to its clients, its log as it lies on the disk.
    pub async fn kill(&self) -> Result<()> {
        self.server.kill().await
    }

    /// SIGTERM, and waits for its end.
    pub async fn stop(&self) -> Result<()> {
        self.server.stop().await
    }

    /// Starts it again on the same port with the same log, after a kill or a stop; it serves
    /// when this returns.
    pub async fn restart(&self) -> Result<()> {
        self.server.restart().await?;
        let deadline = tokio::time::Instant::now() + SERVING;
        // Only a stack waits by itself.
        while self.kafka.lengths("__no_such_topic").await.is_err_and(|error| is_transport(&error)) {
            if tokio::time::Instant::now() > deadline {
                bail!("Kafka at {} does not serve again after {SERVING:?}", self.kafka.brokers());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// SIGSTOP: its sockets stay open, and nobody answers.
    pub async fn pause(&self) -> Result<()> {
        self.server.pause().await
    }

    /// SIGCONT.
    pub async fn resume(&self) -> Result<()> {
        self.server.resume().await
    }
}

/// Whether this process may mount file systems: CAP_SYS_ADMIN.
fn may_mount() -> bool {
    const SYS_ADMIN: u64 = 1 << 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    effective.is_some_and(|mask| mask & SYS_ADMIN != 0)
}

/// A broker that is not there, unlike one that has no such topic.
fn is_transport(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<rdkafka::error::KafkaError>()
        .is_some_and(|error| matches!(error, rdkafka::error::KafkaError::MetadataFetch(_)))
}

/// A Kafka of a test's own that listens by TLS and by SASL too, taken away when dropped.
#[derive(Debug)]
pub struct SecureKafka {
    own: OwnKafka,
    tls: String,
    sasl: String,
}

impl SecureKafka {
    /// Starts one with `server.pem` (key and certificate) and `ca.pem` of a directory. None,
    /// where there is no stack.
    pub async fn start(directory: &Path) -> Result<Option<Self>> {
        if std::env::var_os("RIBSTREAM_TEST_STACK").is_none() {
            return Ok(None);
        }
        let more = [OsStr::new("--kafka-tls"), directory.as_os_str()];
        let server = Server::start_with("kafka", &more).await?;
        let tls = server.variable("RIBSTREAM_TEST_KAFKA_TLS").await?;
        let sasl = server.variable("RIBSTREAM_TEST_KAFKA_SASL").await?;
        let brokers = server.variable("RIBSTREAM_KAFKA").await?;
        let own = OwnKafka { server, kafka: Kafka::at(brokers) };
        Ok(Some(Self { own, tls, sasl }))
    }

    /// In the clear, for the test itself.
    #[must_use]
    pub fn kafka(&self) -> &Kafka {
        self.own.kafka()
    }

    /// Where it wants a client's certificate.
    #[must_use]
    pub fn tls(&self) -> &str {
        &self.tls
    }

    /// Where it wants a name and a password, by TLS; both are `ribstream`.
    #[must_use]
    pub fn sasl(&self) -> &str {
        &self.sasl
    }
}

/// A PostgreSQL with TimescaleDB of a test's own, taken away when dropped.
#[derive(Debug)]
pub struct OwnPostgres {
    server: Server,
    url: String,
}

impl OwnPostgres {
    /// Starts one; it serves when this returns.
    pub async fn start() -> Result<Self> {
        let server = Server::start("postgres").await?;
        let url = match &server {
            Server::Stack { .. } => server.variable("RIBSTREAM_DATABASE_URL").await?,
            Server::Container(it) => container_url(it.port),
        };
        let own = Self { server, url };
        own.serving().await?;
        Ok(own)
    }

    /// Starts one whose data are on a disk of so much, such as `300M`. None, where there is no
    /// stack, or no right to mount one.
    pub async fn start_on_a_disk_of(size: &str) -> Result<Option<Self>> {
        if std::env::var_os("RIBSTREAM_TEST_STACK").is_none() || !may_mount() {
            return Ok(None);
        }
        let more = [OsStr::new("--disk"), OsStr::new(size)];
        let server = Server::start_with("postgres", &more).await?;
        let url = server.variable("RIBSTREAM_DATABASE_URL").await?;
        let own = Self { server, url };
        own.serving().await?;
        Ok(Some(own))
    }

    /// Takes all that is left of its disk.
    pub async fn fill(&self) -> Result<()> {
        self.server.stack("fill").await.map(drop)
    }

    /// Gives it back.
    pub async fn free(&self) -> Result<()> {
        self.server.stack("free").await.map(drop)
    }

    /// Its database `ribstream`, empty: what the ingester's `--database-url` takes.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn serving(&self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + SERVING;
        loop {
            match PgConnection::connect(&self.url).await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(error) if tokio::time::Instant::now() > deadline => {
                    return Err(error).with_context(|| format!("{} does not serve", self.url));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// SIGKILL to the server and all its backends: a crash, followed by recovery.
    pub async fn kill(&self) -> Result<()> {
        self.server.kill().await
    }

    /// A fast shutdown: its clients are thrown out.
    pub async fn stop(&self) -> Result<()> {
        self.server.stop().await
    }

    /// Starts it again on the same port with the same data; it serves when this returns.
    pub async fn restart(&self) -> Result<()> {
        self.server.restart().await?;
        self.serving().await
    }

    /// SIGSTOP to the server and all its backends: connections stay open, and nobody answers.
    pub async fn pause(&self) -> Result<()> {
        self.server.pause().await
    }

    /// SIGCONT.
    pub async fn resume(&self) -> Result<()> {
        self.server.resume().await
    }
}
