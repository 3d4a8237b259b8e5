//! Routers: captures, each from an address of its own, to whichever collector answers, anew
//! from the beginning whenever the connection is lost.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use ribstream_collector::frame::next_frame;
use ribstream_testkit::captures;
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::random::Random;

/// BMP's message types of a Route Monitoring and a Peer Down.
const ROUTE_MONITORING: u8 = 0;
const PEER_DOWN: u8 = 2;
/// Route Monitorings up to this may be an End-of-RIB: the headers, an UPDATE, one attribute.
const SHORT: usize = 6 + 42 + 40;
/// As the collectors are configured.
const MAX_MESSAGE: usize = 1_000_000;
/// How long a router tries one collector.
const CONNECT: Duration = Duration::from_secs(1);
/// How often it has something to say.
const TICK: Duration = Duration::from_millis(20);

/// A router's BMP stream, of whole messages.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) octets: Bytes,
    pub(crate) messages: usize,
    /// Peers go down in it, which a router would not tell again in a new session.
    pub(crate) flaps: bool,
}

impl Stream {
    /// A capture up to a message that is chosen at random, with so many messages at most.
    ///
    /// Of a larger one some of the Route Monitorings are chosen: a router might have sent those.
    pub(crate) fn load(name: &str, most: u64, random: &mut Random) -> Option<Self> {
        let all = captures::capture(name)?;
        let mut frames = Vec::new();
        let mut rest = all.as_slice();
        while let Ok(Some(length)) = next_frame(rest, MAX_MESSAGE) {
            let (frame, behind) = rest.split_at(length);
            frames.push(frame);
            rest = behind;
        }
        // Not to the end: there peers go down, and nothing would be left to compare.
        let share = 60 + random.below(35);
        let until = frames.len() * usize::try_from(share).expect("a percentage") / 100;
        let one_in = (until as u64).div_ceil(most).max(1);
        let kept: Vec<&[u8]> = frames[..until]
            .iter()
            .copied()
            .filter(|frame| {
                let chosen = random.below(one_in) == 0;
                chosen || frame.get(5) != Some(&ROUTE_MONITORING) || frame.len() <= SHORT
            })
            .collect();
        let flaps = kept.iter().any(|frame| frame.get(5) == Some(&PEER_DOWN));
        Some(Self { octets: kept.concat().into(), messages: kept.len(), flaps })
    }
}

/// One of a router's connections.
#[derive(Debug)]
pub(crate) struct Session {
    /// The router's address, by which it is known.
    pub(crate) source: Ipv4Addr,
    pub(crate) stream: Arc<Stream>,
    /// The collector that it is configured to use; any where it is not.
    pub(crate) only: Option<usize>,
    /// How long a whole stream takes where nothing disturbs it.
    pub(crate) pace: Duration,
    /// How often the stream was begun.
    pub(crate) begun: AtomicU64,
    /// The whole stream was sent on a connection that stands.
    pub(crate) complete: AtomicBool,
    /// Asks it to close the connection and connect anew.
    pub(crate) reconnect: Notify,
    /// From then on it keeps its connection open when all is sent.
    pub(crate) settle: CancellationToken,
}

impl Session {
    /// Plays until the task is aborted.
    pub(crate) async fn run(&self, collectors: &[SocketAddr], mut random: Random) {
        loop {
            self.complete.store(false, Ordering::SeqCst);
            let socket = self.connect(collectors, &mut random).await;
            self.begun.fetch_add(1, Ordering::SeqCst);
            let rest = random.millis(0, 3000);
            let (mut reader, mut writer) = socket.into_split();
            let mut buffer = [0; 64];
            tokio::select! {
                // Collectors say nothing: any answer is the connection's end.
                _ = reader.read(&mut buffer) => {}
                () = self.reconnect.notified() => {}
                () = self.play(&mut writer, rest) => {}
            }
            // What it has said is read before it says it again: a session that ends while
            // another tells of what came after it is more than the ingester can sort out.
            let _ = writer.shutdown().await;
            let _ = reader.read(&mut buffer).await;
        }
    }

    async fn connect(&self, collectors: &[SocketAddr], random: &mut Random) -> TcpStream {
        let mut choice = random.index(collectors.len());
        loop {
            let collector = self.only.unwrap_or(choice % collectors.len());
            let socket = TcpSocket::new_v4().expect("a socket");
            let source = SocketAddr::V4(SocketAddrV4::new(self.source, 0));
            socket.bind(source).expect("an address of the loopback network");
            if let Ok(Ok(socket)) = timeout(CONNECT, socket.connect(collectors[collector])).await {
                return socket;
            }
            sleep(random.millis(50, 300)).await;
            choice += 1;
        }
    }

    /// Sends the stream, in parts that know nothing of messages, and waits for a while; where
    /// it is to settle, for ever.
    async fn play(&self, writer: &mut (impl AsyncWrite + Unpin), rest: Duration) {
        let ticks = (self.pace.as_millis() / TICK.as_millis()).max(1);
        let ticks = usize::try_from(ticks).expect("a round is short");
        for part in self.stream.octets.chunks(self.stream.octets.len().div_ceil(ticks)) {
            if writer.write_all(part).await.is_err() {
                return;
            }
            sleep(TICK).await;
        }
        self.complete.store(true, Ordering::SeqCst);
        sleep(rest).await;
        if self.settle.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }
}
