//! Captures played into a real collector, from where their routers are and as far as one likes.

use std::net::SocketAddr;

use bytes::Bytes;
use clap::Parser as _;
use ribstream_collector::{
    config::{Cli, Command},
    listener, run,
};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpSocket,
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::common::Bed;

/// A collector for the topics of a test.
pub(crate) struct Collector {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Collector {
    pub(crate) fn start(bed: &Bed) -> Self {
        // Without heartbeats there is one record for each message, and the topic tells what has
        // been read.
        let arguments = ["ribstream-collector", "run", "--heartbeat-interval", "1h"];
        let topics = ["--topic-events", &bed.topic, "--topic-dead-letter", &bed.dead_letter];
        let arguments = arguments.into_iter().chain(["--kafka", bed.kafka.brokers()]).chain(topics);
        let Command::Run(options) = Cli::parse_from(arguments).command else {
            unreachable!("it says run")
        };
        let socket = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let http = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(run::run(socket, http, options, stop.clone()));
        Self { address, stop, task }
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
