//! One router's connection: reads the socket, splits the stream, publishes.

use std::{
    future::poll_fn,
    io, mem,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::{MissedTickBehavior, interval_at, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    bucket::Bucket,
    close::Close,
    complaints::Complaints,
    config::RunOptions,
    directory::{Directory, Listed, State},
    frame::next_frame,
    metrics::Metrics,
    names::{Names, Noted},
    output::Output,
    raw::{self, Framer},
    session::{Counters, Identity, Origin, Record, Session, Sink as _},
    tcp_auth::Rollover,
};

/// Bytes to ask of the socket at a time: some hundreds of messages, so that the
/// cost of a read does not matter.
const READ_SIZE: usize = 128 << 10;
/// A session that has nothing to decode keeps no buffer larger than this.
const IDLE_BUFFER: usize = 4 << 10;
/// How long the last words of a session may wait for a place in Kafka's queue.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// What a router sends, in the clear. Nothing is ever written: BMP is one-way.
pub type Stream = Box<dyn AsyncRead + Send + Unpin>;

/// The bounds within which a session is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest message.
    pub max_message: usize,
    /// Most bytes undecoded.
    pub max_buffer: usize,
    /// Between heartbeats.
    pub heartbeat: Duration,
    /// From the accept to the first whole message, where there is a limit.
    pub first_message: Option<Duration>,
    /// From the first byte of a message to its last, where there is a limit.
    pub message: Option<Duration>,
    /// Longest silence, where there is a limit.
    pub idle: Option<Duration>,
    /// Most messages a second, where there is a limit.
    pub rate_messages: Option<u32>,
    /// Most bytes a second, where there is a limit.
    pub rate_bytes: Option<u32>,
}

impl Limits {
    /// As configured.
    #[must_use]
    pub fn new(options: &RunOptions) -> Self {
        let RunOptions { heartbeat_interval, limits, .. } = options;
        let unless_zero = |limit: Duration| (!limit.is_zero()).then_some(limit);
        Self {
            max_message: limits.max_message,
            max_buffer: limits.max_buffer,
            // An interval of zero would be one without end.
            heartbeat: (*heartbeat_interval).max(Duration::from_millis(10)),
            first_message: unless_zero(limits.first_message_timeout),
            message: unless_zero(limits.message_timeout),
            idle: unless_zero(limits.idle_timeout),
            rate_messages: limits.rate_messages,
            rate_bytes: limits.rate_bytes,
        }
    }
}

/// What all connections share.
#[derive(Clone)]
pub struct Shared {
    /// The bounds of each.
    pub limits: Limits,
    /// Where they are counted.
    pub metrics: Arc<Metrics>,
    /// Limits what they write to the log.
    pub complaints: Arc<Complaints>,
    /// What their routers call themselves.
    pub names: Arc<Names>,
    /// Where they are listed.
    pub directory: Arc<Directory>,
    /// By what their routers are told from each other.
    pub identity: Identity,
    /// When to end.
    pub shutdown: CancellationToken,
}

/// A router's connection.
pub struct Connection {
    stream: Stream,
    rollover: Option<Rollover>,
    buffer: BytesMut,
    session: Session,
    output: Output,
    raw: Option<Framer>,
    shared: Shared,
    accepted: Instant,
    last_read: Instant,
    /// When the message began of which the buffer holds a part.
    begun: Option<Instant>,
    /// What the router calls itself, once it has said so.
    name: Option<Noted>,
    listed: Listed,
    bucket: Option<Bucket>,
    /// Since when the bucket is empty, and until when.
    slowed: Option<(Instant, Instant)>,
    reported: Counters,
    reported_peers: i64,
}

impl Connection {
    /// A connection that was accepted at `accepted`, with a framer where the raw topic is on.
    #[must_use]
    pub fn new(
        stream: Stream,
        rollover: Option<Rollover>,
        accepted: Instant,
        origin: Origin,
        output: Output,
        raw: Option<Framer>,
        shared: Shared,
    ) -> Self {
        shared.metrics.sessions_opened.inc();
        shared.metrics.sessions.inc();
        let limits = &shared.limits;
        let address = SocketAddr::new(origin.router_address, origin.remote_port);
        let listed = shared.directory.list(origin.session, address);
        Self {
            stream,
            rollover,
            buffer: BytesMut::new(),
            session: Session::identified_by(shared.identity, origin),
            output,
            raw,
            accepted,
            last_read: accepted,
            begun: None,
            name: None,
            listed,
            bucket: Bucket::new(limits.rate_messages, limits.rate_bytes, accepted),
            slowed: None,
            shared,
            reported: Counters::default(),
            reported_peers: 0,
        }
    }

    /// Serves the router until its session ends, for whatever reason.
    pub async fn serve(mut self) {
        let close = self.receive().await;
        self.end(&close).await;
    }

    async fn receive(&mut self) -> Close {
        let interval = self.shared.limits.heartbeat;
        let mut heartbeat = interval_at(tokio::time::Instant::now() + interval, interval);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let slowed = self.slowed;
            let (deadline, late) = self.patience().unzip();
            tokio::select! {
                // What has come is read before the router is found to be late: the
                // delay may have been ours.
                biased;
                () = self.shared.shutdown.cancelled() => return self.stopped(),
                reason = self.output.failed() => return Close::PublishFailed(reason),
                // Who has said nothing yet is no router.
                _ = heartbeat.tick(), if self.session.counters().total() > 0 => {
                    self.session.heartbeat(micros_now(), &mut self.output);
                    self.output.flush();
                    self.follow_keys();
                }
                () = at(slowed.map(|(_, until)| until)), if slowed.is_some() => {
                    self.go_on();
                    if let Some(close) = self.process().await {
                        return close;
                    }
                }
                read = read(&mut self.stream, &mut self.buffer), if slowed.is_none() => {
                    match read {
                        Ok(0) => return Close::Disconnect("the router closed".to_owned()),
                        Ok(_) => {
                            if let Some(close) = self.process().await {
                                return close;
                            }
                        }
                        Err(error) => return Close::Disconnect(error.to_string()),
                    }
                }
                () = at(deadline), if deadline.is_some() => {
                    return late.unwrap_or(Close::Shutdown);
                }
            }
        }
    }

    /// Uses the TCP-AO key that the router changes to.
    fn follow_keys(&self) {
        match self.rollover.as_ref().map(Rollover::follow) {
            Some(Ok(Some(key))) => tracing::info!(key, "the router has changed its TCP-AO key"),
            Some(Err(error)) => {
                tracing::debug!(%error, "the router's TCP-AO key cannot be followed");
            }
            Some(Ok(None)) | None => {}
        }
    }

    /// Until when the router is waited for, and what its session ends of then. While it is
    /// we who do not read, that is without end.
    fn patience(&self) -> Option<(Instant, Close)> {
        if self.slowed.is_some() {
            return None;
        }
        let Limits { first_message, message, idle, .. } = self.shared.limits;
        let first = first_message.filter(|_| self.session.counters().total() == 0);
        let first = first.map(|limit| (self.accepted + limit, Close::FirstMessage(limit)));
        let message = message.zip(self.begun);
        let message = message.map(|(limit, begun)| (begun + limit, Close::SlowMessage(limit)));
        let idle = idle.map(|limit| (self.last_read + limit, Close::Idle(limit)));
        [first, message, idle].into_iter().flatten().min_by_key(|(deadline, _)| *deadline)
    }

    /// Publishes every whole message in the buffer, or as many as the rate allows, and
    /// leaves the rest in it.
    async fn process(&mut self) -> Option<Close> {
        let now = micros_now();
        let mut done = 0;
        let mut is_first = self.session.counters().total() == 0;
        let close = loop {
            let rest = self.buffer.get(done..).unwrap_or_default();
            let Limits { max_message, max_buffer, .. } = self.shared.limits;
            let length = match next_frame(rest, max_message) {
                Ok(Some(length)) => length,
                Ok(None) if rest.len() >= max_buffer => {
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
                self.shared.metrics.raw.inc();
            }
            done += length;
            if mem::take(&mut is_first) {
                self.opened();
            }
            if self.session.terminated() {
                break Some(Close::Termination);
            }
            if !self.output.has_room()
                && let Some(close) = self.wait_for_room().await
            {
                break Some(close);
            }
            if let Some(bucket) = &mut self.bucket {
                let now = Instant::now();
                if let Some(wait) = bucket.take(length, now) {
                    self.slowed = Some((now, now + wait));
                    break None;
                }
            }
        };
        self.buffer.advance(done);
        // After the waits, if there were any: that silence was ours.
        self.last_read = Instant::now();
        if done > 0 || self.begun.is_none() {
            self.begun = (!self.buffer.is_empty()).then_some(self.last_read);
        }
        self.output.flush();
        let state = if self.slowed.is_some() { State::RateLimited } else { State::Reading };
        self.report(state);
        close
    }

    /// The first message is there, and with it what the router calls itself.
    fn opened(&mut self) {
        let sys_name = self.session.sys_name();
        if self.may_tell("session opened") {
            tracing::info!(sys_name, "session opened");
        }
        let Some(sys_name) = sys_name else { return };
        let Shared { names, complaints, identity, .. } = &self.shared;
        let address = self.session.address();
        let (noted, other) = names.note(address, sys_name);
        if let Some(other) = other
            && complaints.may(&address, "two sysNames").is_some()
        {
            if *identity == Identity::Address {
                tracing::warn!(
                    sys_name,
                    other,
                    "two sysNames behind one address are taken for one router, see --router-identity",
                );
            } else {
                tracing::info!(sys_name, other, "two sysNames behind one address");
            }
        }
        self.name = Some(noted);
    }

    /// Whether there is to be a line about the session: there may have been too many.
    fn may_tell(&self, what: &'static str) -> bool {
        let may = self.shared.complaints.may_of_session(&self.session.address(), what);
        if let Some(left_out @ 1..) = may {
            tracing::info!(left_out, what, "lines about this router were left out");
        }
        may.is_some()
    }

    /// The bucket has tokens again.
    fn go_on(&mut self) {
        if let Some((since, _)) = self.slowed.take() {
            let waited = since.elapsed();
            self.session.held_back(waited);
            self.shared.metrics.rate_limited.inc_by(waited.as_secs_f64());
        }
    }

    async fn wait_for_room(&mut self) -> Option<Close> {
        self.report(State::WaitsForKafka);
        let waiting = Instant::now();
        let shutdown = self.shared.shutdown.clone();
        let close = tokio::select! {
            () = self.output.room() => None,
            () = shutdown.cancelled() => Some(self.stopped()),
        };
        let waited = waiting.elapsed();
        self.session.held_back(waited);
        self.shared.metrics.backpressure.inc_by(waited.as_secs_f64());
        close
    }

    /// Why the collector stops.
    fn stopped(&self) -> Close {
        match self.output.fatal_reason() {
            Some(reason) => Close::PublishFailed(reason.to_owned()),
            None => Close::Shutdown,
        }
    }

    fn report(&mut self, state: State) {
        self.listed.update(&self.session, state);
        let metrics = &self.shared.metrics;
        metrics.received(self.session.counters(), &mut self.reported);
        let peers = i64::try_from(self.session.peers_up()).unwrap_or(i64::MAX);
        metrics.peers.add(peers - self.reported_peers);
        self.reported_peers = peers;
    }

    async fn end(&mut self, close: &Close) {
        let detail = close.detail();
        self.session.end(close.reason(), &detail, micros_now(), &mut self.output);
        if timeout(FAREWELL_TIMEOUT, self.output.hand_over()).await.is_err() {
            tracing::warn!(events = self.output.give_up(), "no place for events in kafka's queue");
        }
        self.output.flush();
        self.report(State::Reading);
        let incomplete = self.buffer.len();
        let metrics = &self.shared.metrics;
        metrics.incomplete_octets.inc_by(incomplete as u64);
        let reason = close.label();
        let Counters { octets, .. } = *self.session.counters();
        let messages = self.session.counters().total();
        if messages == 0 {
            metrics.connections.without_message.with_label_values(&[reason]).inc();
            // Who never was a router may come and go as often as it likes.
            let address = self.session.address();
            if let Some(left_out) = self.shared.complaints.may(&address, reason) {
                tracing::info!(reason, detail, incomplete, left_out, "closed without a message");
            }
            return;
        }
        metrics.sessions_closed.with_label_values(&[reason]).inc();
        if !self.may_tell("session closed") {
            return;
        }
        if close.is_usual() {
            tracing::info!(reason, detail, messages, octets, incomplete, "session closed");
        } else {
            tracing::warn!(reason, detail, messages, octets, incomplete, "session closed");
            let what = format!("session closed ({reason}): {detail}");
            self.shared.directory.troubles.note(self.session.router(), what);
        }
    }
}

/// Resolves at the time, where there is one.
pub(crate) async fn at(time: Option<Instant>) {
    if let Some(time) = time {
        sleep_until(time.into()).await;
    }
}

/// Reads into the buffer. While there is nothing to be read, a session with nothing to
/// decode gives its memory back.
async fn read(stream: &mut Stream, buffer: &mut BytesMut) -> io::Result<usize> {
    poll_fn(|context| {
        buffer.reserve(READ_SIZE);
        let polled = pin!(stream.read_buf(buffer)).poll(context);
        if polled.is_pending() && buffer.is_empty() && buffer.capacity() > IDLE_BUFFER {
            *buffer = BytesMut::new();
        }
        polled
    })
    .await
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.metrics.sessions.dec();
        self.shared.metrics.peers.sub(self.reported_peers);
    }
}

/// The wall clock, in microseconds since the epoch.
#[must_use]
pub fn micros_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
