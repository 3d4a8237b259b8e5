//! Captures played into a real collector, from where their routers are and as far as one likes.

use std::net::SocketAddr;

use bytes::Bytes;
use clap::Parser as _;
use ribstream_collector::{
    config::{Cli, Command},
    listener, run,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::common::{self, Bed};

/// A collector for the topics of a test.
pub(crate) struct Collector {
    address: SocketAddr,
    metrics: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Collector {
    pub(crate) fn start(bed: &Bed) -> Self {
        let arguments = ["ribstream-collector", "run", "--kafka", bed.kafka.brokers()];
        let topics = ["--topic-events", &bed.topic, "--topic-dead-letter", &bed.dead_letter];
        let Command::Run(options) = Cli::parse_from(arguments.into_iter().chain(topics)).command
        else {
            unreachable!("it says run")
        };
        let socket = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let http = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, metrics) = (socket.local_addr().unwrap(), http.local_addr().unwrap());
        let stop = CancellationToken::new();
        let task = tokio::spawn(run::run(socket, http, options, stop.clone()));
        Self { address, metrics, stop, task }
    }

    /// Waits until so many octets of whole messages have been read, and all that the collector
    /// makes of them is in the topic.
    pub(crate) async fn read(&self, octets: usize) {
        let octets = octets.to_string();
        let mut before = None;
        common::wait_for("the collector", async || {
            let metrics = self.metrics().await;
            let metric = |name: &str| {
                let name = format!("ribstream_collector_{name} ");
                metrics.lines().find_map(|line| line.strip_prefix(&name)).map(str::to_owned)
            };
            let (read, published) =
                (metric("received_bytes_total"), metric("records_published_total"));
            let settled = read.as_ref() == Some(&octets)
                && published.is_some()
                && published == metric("records_acknowledged_total")
                // A message is counted when it is read, and only then published.
                && published == before;
            before = published;
            settled
        })
        .await;
    }

    async fn metrics(&self) -> String {
        let mut socket = TcpStream::connect(self.metrics).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Ends its sessions and waits until all that it has to say of them is in the topic.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// A connection to a collector, on which a capture is played.
pub(crate) struct Router {
    /// What is to be sent. The connection is open as long as this is.
    parts: UnboundedSender<Bytes>,
    sent: usize,
}

impl Router {
    /// Connects from an address of the loopback network, which is what the router is known by.
    pub(crate) async fn connect(collector: &Collector, source: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
        let mut socket = socket.connect(collector.address).await.unwrap();
        let (parts, mut received) = unbounded_channel::<Bytes>();
        tokio::spawn(async move {
            while let Some(part) = received.recv().await {
                socket.write_all(&part).await.unwrap();
            }
        });
        Self { parts, sent: 0 }
    }

    /// Sends a stream up to an octet beside what others send, and leaves the session open.
    pub(crate) fn play(&mut self, stream: &Bytes, until: usize) {
        self.parts.send(stream.slice(self.sent..until)).unwrap();
        self.sent = until;
    }
}
