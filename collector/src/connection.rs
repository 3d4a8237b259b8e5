//! One router's connection: reads the socket, splits the stream, publishes.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::{Buf, BytesMut};
use ribstream_proto::v1::RouterDownReason;
use tokio::{
    net::TcpStream,
    time::{MissedTickBehavior, interval_at, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::RunOptions,
    frame::{FrameError, next_frame},
    metrics::Metrics,
    output::Output,
    raw::{self, Framer},
    session::{Counters, Origin, Record, Session, Sink as _},
};

/// Bytes to ask of the socket at a time: some hundreds of messages, so that the
/// cost of a read does not matter.
const READ_SIZE: usize = 128 << 10;
/// A session that has nothing to decode keeps no buffer larger than this.
const IDLE_BUFFER: usize = 4 << 10;
/// How long the last words of a session may wait for a place in Kafka's queue.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// The bounds within which a session is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest message.
    pub max_message: usize,
    /// Most bytes undecoded.
    pub max_buffer: usize,
    /// Between heartbeats.
    pub heartbeat: Duration,
    /// Longest silence, where there is a limit.
    pub idle: Option<Duration>,
}

impl Limits {
    /// As configured.
    #[must_use]
    pub fn new(options: &RunOptions) -> Self {
        Self {
            max_message: options.max_message,
            max_buffer: options.max_buffer,
            // An interval of zero would be one without end.
            heartbeat: options.heartbeat_interval.max(Duration::from_millis(10)),
            idle: (!options.idle_timeout.is_zero()).then_some(options.idle_timeout),
        }
    }
}

/// Why a session ends.
#[derive(Debug)]
enum Close {
    Termination,
    Disconnect(String),
    Idle(Duration),
    Frame(FrameError),
    Buffer { held: usize },
    Shutdown,
    PublishFailed(String),
}

impl Close {
    /// The word to count it by.
    const fn label(&self) -> &'static str {
        match self {
            Self::Termination => "termination",
            Self::Disconnect(_) => "disconnect",
            Self::Idle(_) => "idle",
            Self::Frame(error) => error.reason(),
            Self::Buffer { .. } => "buffer",
            Self::Shutdown => "shutdown",
            Self::PublishFailed(_) => "publish-failed",
        }
    }

    const fn reason(&self) -> RouterDownReason {
        match self {
            Self::Termination => RouterDownReason::Termination,
            Self::Disconnect(_) => RouterDownReason::Disconnect,
            Self::Idle(_) => RouterDownReason::Idle,
            Self::Frame(_) | Self::Buffer { .. } => RouterDownReason::BadFrame,
            Self::Shutdown => RouterDownReason::CollectorShutdown,
            Self::PublishFailed(_) => RouterDownReason::PublishFailed,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Termination => String::new(),
            Self::Disconnect(detail) | Self::PublishFailed(detail) => detail.clone(),
            Self::Idle(limit) => format!("nothing received for {limit:?}"),
            Self::Frame(error) => error.to_string(),
            Self::Buffer { held } => format!("{held} bytes hold no whole message"),
            Self::Shutdown => "the collector is shutting down".to_owned(),
        }
    }
}

/// A router's connection.
pub struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    session: Session,
    output: Output,
    raw: Option<Framer>,
    limits: Limits,
    shutdown: CancellationToken,
    metrics: Arc<Metrics>,
    reported: Counters,
    reported_peers: i64,
}

impl Connection {
    /// A connection that was just accepted, with a framer where the raw topic is on.
    #[must_use]
    pub fn new(
        stream: TcpStream,
        origin: Origin,
        output: Output,
        raw: Option<Framer>,
        limits: Limits,
        shutdown: CancellationToken,
        metrics: Arc<Metrics>,
    ) -> Self {
        metrics.sessions_opened.inc();
        metrics.sessions.inc();
        Self {
            stream,
            buffer: BytesMut::new(),
            session: Session::new(origin),
            output,
            raw,
            limits,
            shutdown,
            metrics,
            reported: Counters::default(),
            reported_peers: 0,
        }
    }

    /// Serves the router until its session ends, for whatever reason.
    pub async fn serve(mut self) {
        tracing::info!("session opened");
        let close = self.receive().await;
        self.end(&close).await;
    }

    async fn receive(&mut self) -> Close {
        let first_beat = tokio::time::Instant::now() + self.limits.heartbeat;
        let mut heartbeat = interval_at(first_beat, self.limits.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_read = Instant::now();
        loop {
            let idle_at = self.limits.idle.map(|limit| last_read + limit);
            tokio::select! {
                ready = self.stream.readable() => {
                    if let Err(error) = ready {
                        return Close::Disconnect(error.to_string());
                    }
                    match self.read() {
                        Ok(0) => return Close::Disconnect("the router closed".to_owned()),
                        Ok(_) => {
                            if let Some(close) = self.process(micros_now()).await {
                                return close;
                            }
                            // After the wait for Kafka, if there was one: that silence was ours.
                            last_read = Instant::now();
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            self.release();
                        }
                        Err(error) => return Close::Disconnect(error.to_string()),
                    }
                }
                // Who has said nothing yet is no router.
                _ = heartbeat.tick(), if self.session.counters().total() > 0 => {
                    self.session.heartbeat(micros_now(), &mut self.output);
                    self.output.flush();
                }
                () = sleep_until(idle_at.unwrap_or(last_read).into()), if idle_at.is_some() => {
                    return Close::Idle(self.limits.idle.unwrap_or_default());
                }
                () = self.shutdown.cancelled() => return self.stopped(),
                reason = self.output.failed() => return Close::PublishFailed(reason),
            }
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ_SIZE);
        self.stream.try_read_buf(&mut self.buffer)
    }

    /// Gives back the memory of a session that waits for its router.
    fn release(&mut self) {
        if self.buffer.is_empty() && self.buffer.capacity() > IDLE_BUFFER {
            self.buffer = BytesMut::new();
        }
    }

    /// Publishes every whole message in the buffer, and leaves the rest in it.
    async fn process(&mut self, now: u64) -> Option<Close> {
        let mut done = 0;
        let close = loop {
            let rest = self.buffer.get(done..).unwrap_or_default();
            let length = match next_frame(rest, self.limits.max_message) {
                Ok(Some(length)) => length,
                Ok(None) if rest.len() >= self.limits.max_buffer => {
                    break Some(Close::Buffer { held: rest.len() });
                }
                Ok(None) => break None,
                Err(error) => break Some(Close::Frame(error)),
            };
            let frame = rest.get(..length).unwrap_or(rest);
            self.session.message(frame, now, &mut self.output);
            if let Some(raw) = &mut self.raw {
                self.output.record(Record {
                    destination: self.session.raw(),
                    key: self.session.router().as_bytes(),
                    event_type: raw::EVENT_TYPE,
                    router: self.session.router(),
                    value: raw.frame(frame, now),
                });
                self.metrics.raw.inc();
            }
            done += length;
            if self.session.terminated() {
                break Some(Close::Termination);
            }
            if !self.output.has_room()
                && let Some(close) = self.wait_for_room().await
            {
                break Some(close);
            }
        };
        self.buffer.advance(done);
        self.output.flush();
        self.report();
        close
    }

    async fn wait_for_room(&mut self) -> Option<Close> {
        self.report();
        let waiting = Instant::now();
        let shutdown = self.shutdown.clone();
        let close = tokio::select! {
            () = self.output.room() => None,
            () = shutdown.cancelled() => Some(self.stopped()),
        };
        let waited = waiting.elapsed();
        self.session.held_back(waited);
        self.metrics.backpressure.inc_by(waited.as_secs_f64());
        close
    }

    /// Why the collector stops.
    fn stopped(&self) -> Close {
        match self.output.fatal_reason() {
            Some(reason) => Close::PublishFailed(reason.to_owned()),
            None => Close::Shutdown,
        }
    }

    fn report(&mut self) {
        self.metrics.received(self.session.counters(), &mut self.reported);
        let peers = i64::try_from(self.session.peers_up()).unwrap_or(i64::MAX);
        self.metrics.peers.add(peers - self.reported_peers);
        self.reported_peers = peers;
    }

    async fn end(&mut self, close: &Close) {
        let detail = close.detail();
        self.session.end(close.reason(), &detail, micros_now(), &mut self.output);
        if timeout(FAREWELL_TIMEOUT, self.output.hand_over()).await.is_err() {
            tracing::warn!(events = self.output.give_up(), "no place for events in kafka's queue");
        }
        self.output.flush();
        self.report();
        let incomplete = self.buffer.len();
        self.metrics.incomplete_octets.inc_by(incomplete as u64);
        self.metrics.sessions_closed.with_label_values(&[close.label()]).inc();
        let counters = self.session.counters();
        let (messages, octets) = (counters.total(), counters.octets);
        let reason = close.label();
        match close {
            Close::Termination | Close::Disconnect(_) | Close::Shutdown => {
                tracing::info!(reason, detail, messages, octets, incomplete, "session closed");
            }
            _ => tracing::warn!(reason, detail, messages, octets, incomplete, "session closed"),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.sessions.dec();
        self.metrics.peers.sub(self.reported_peers);
    }
}

/// The wall clock, in microseconds since the epoch.
#[must_use]
pub fn micros_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
