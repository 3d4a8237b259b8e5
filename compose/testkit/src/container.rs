//! Kafka and TimescaleDB as containers, where no server is named by the environment.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result};
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

use crate::reaper::Reaper;

/// How long a container may take, its image's download included.
const START: Duration = Duration::from_secs(300);

/// A running container, removed when dropped or when the test process ends.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) container: ContainerAsync<GenericImage>,
    /// The port of this machine that leads to it; the same after a restart.
    pub(crate) port: u16,
    _reaper: Reaper,
}

impl Container {
    async fn start(
        image: testcontainers::ContainerRequest<GenericImage>,
        port: u16,
    ) -> Result<Self> {
        let container = image.with_startup_timeout(START).start().await.context(
            "no server for the tests: start Docker, or set RIBSTREAM_TEST_KAFKA and \
             RIBSTREAM_TEST_DATABASE_URL, or run the tests by `make test`",
        )?;
        let reaper = Reaper::new(["docker", "rm", "--force", "--volumes", container.id()])
            .context("cannot start a shell that removes the container")?;
        Ok(Self { container, port, _reaper: reaper })
    }
}

/// A port that is free now. Fixed before the start, because Kafka has to tell its clients
/// where it is reached, and because a restart must not change it.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

pub(crate) async fn kafka() -> Result<Container> {
    let port = free_port()?;
    let mut image = GenericImage::new("apache/kafka", "4.1.0")
        .with_wait_for(WaitFor::message_on_stdout("Kafka Server started"))
        .with_mapped_port(port, 9092.tcp());
    let advertised = format!("HOST://127.0.0.1:{port},INSIDE://localhost:19092");
    for (key, value) in [
        ("KAFKA_NODE_ID", "1"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093"),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_LISTENERS", "HOST://:9092,INSIDE://:19092,CONTROLLER://:9093"),
        ("KAFKA_ADVERTISED_LISTENERS", advertised.as_str()),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "INSIDE"),
        (
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "HOST:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        ),
        ("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false"),
        ("KAFKA_MESSAGE_MAX_BYTES", "16777216"),
        ("KAFKA_REPLICA_FETCH_MAX_BYTES", "16777216"),
        ("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "3"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
        ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
        ("KAFKA_HEAP_OPTS", "-Xms256m -Xmx512m"),
    ] {
        image = image.with_env_var(key, value);
    }
    Container::start(image, port).await
}

pub(crate) async fn postgres() -> Result<Container> {
    let port = free_port()?;
    let image = GenericImage::new("timescale/timescaledb", "latest-pg17")
        // Said twice: first by the server that only initialises the database.
        .with_wait_for(WaitFor::message_on_stdout("PostgreSQL init process complete"))
        .with_wait_for(WaitFor::message_on_stderr("database system is ready to accept connections"))
        .with_mapped_port(port, 5432.tcp())
        .with_env_var("POSTGRES_USER", "ribstream")
        .with_env_var("POSTGRES_PASSWORD", "ribstream")
        .with_env_var("TIMESCALEDB_TELEMETRY", "off")
        .with_cmd([
            "postgres",
            "-c",
            "shared_preload_libraries=timescaledb",
            "-c",
            "max_connections=200",
            "-c",
            "max_worker_processes=80",
            "-c",
            "timescaledb.max_background_workers=64",
        ]);
    Container::start(image, port).await
}
