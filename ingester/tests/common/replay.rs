//! Captures sent to a collector as their routers did, and stored.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use clap::Parser as _;
use ribstream_collector::{
    config::{Cli, Command},
    frame::next_frame,
    listener, run,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_util::sync::CancellationToken;

use crate::common::{self, Bed};

/// Sends a stream to a collector, as a router that closes at once, and waits until all that
/// the collector makes of it is in the topic.
pub async fn collect(bed: &Bed, stream: &[u8]) {
    collect_with(bed, stream, &[]).await;
}

/// The same, by a collector that is told more.
pub async fn collect_with(bed: &Bed, stream: &[u8], more: &[&str]) {
    let arguments = ["ribstream-collector", "run", "--kafka", bed.kafka.brokers()];
    let topics = ["--topic-events", &bed.topic, "--topic-dead-letter", &bed.dead_letter];
    let arguments = arguments.into_iter().chain(topics).chain(more.iter().copied());
    let Command::Run(options) = Cli::parse_from(arguments).command else {
        unreachable!("it says run")
    };
    let socket = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let http = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let stop = CancellationToken::new();
    let collector = tokio::spawn(run::run(socket, http, options, stop.clone()));
    let before = records(bed).await;
    let mut router = TcpStream::connect(address).await.unwrap();
    router.write_all(stream).await.unwrap();
    drop(router);
    // One record a message, and with the first one more the session's end has been told.
    let messages = before + i64::try_from(frames(stream).len()).unwrap();
    common::wait_for("the end of the session", async || records(bed).await > messages).await;
    stop.cancel();
    collector.await.unwrap().unwrap();
}

pub async fn records(bed: &Bed) -> i64 {
    bed.kafka.lengths(&bed.topic).await.unwrap().iter().sum()
}

/// The stream's BMP messages.
pub fn frames(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Ok(Some(length)) = next_frame(stream, 1_000_000) {
        let (frame, rest) = stream.split_at(length);
        frames.push(frame);
        stream = rest;
    }
    frames
}

/// Lets an undisturbed ingester store the topic.
pub async fn store(bed: &Bed) {
    let ingester = bed.ingester(&[]);
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));
}
