//! Accepts routers' connections, each into a task of its own.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    config::RunOptions,
    connection::{Connection, Limits, micros_now},
    metrics::Metrics,
    output::{Output, Target},
    raw::Framer,
    session::Origin,
};

/// Routers that connect in the same moment, as all do when a collector comes back.
const BACKLOG: i32 = 1024;
/// First and last wait after an accept that failed, for example for want of files.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(64));
/// A router that went away without a word is noticed after two minutes.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_mins(1))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// Listens on `address`; on `[::]` for IPv4 too, and where the host has no IPv6,
/// for IPv4 alone.
pub fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let unspecified_v6 = address.is_ipv6() && address.ip().is_unspecified();
    let bound = match try_bind(address) {
        Err(error) if unspecified_v6 && error.kind() != io::ErrorKind::AddrInUse => {
            try_bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port())).or(Err(error))
        }
        bound => bound,
    };
    bound.with_context(|| format!("cannot listen on {address}: choose another address, or free it"))
}

fn try_bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts until shutdown, then waits for the sessions to end.
pub struct Listener {
    socket: TcpListener,
    collector: Arc<str>,
    target: Target,
    raw: bool,
    limits: Limits,
    permits: Arc<Semaphore>,
    last_session: AtomicU64,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
}

impl Listener {
    /// A listener that has not accepted yet.
    #[must_use]
    pub fn new(
        socket: TcpListener,
        options: &RunOptions,
        target: Target,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> Self {
        let connections = usize::try_from(options.max_connections).unwrap_or(usize::MAX);
        Self {
            socket,
            collector: options.collector_name().into(),
            target,
            raw: options.raw,
            limits: Limits::new(options),
            permits: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            last_session: AtomicU64::new(0),
            metrics,
            shutdown,
        }
    }

    /// Accepts until shutdown; then gives the sessions `drain` to end.
    pub async fn serve(self, drain: Duration) {
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.accept() => {
                    if let Some((stream, peer)) = accepted {
                        self.admit(stream, peer, &mut sessions);
                    }
                }
                Some(ended) = sessions.join_next() => reap(ended),
                () = self.shutdown.cancelled() => break,
            }
        }
        drop(self.socket);
        let deadline = Instant::now() + drain;
        let all = async {
            while let Some(ended) = sessions.join_next().await {
                reap(ended);
            }
        };
        if timeout_at(deadline.into(), all).await.is_err() {
            tracing::warn!(sessions = sessions.len(), "sessions did not end in time");
        }
    }

    /// The next connection. After an error it waits, longer each time: one such
    /// as too many open files would otherwise come at once again.
    async fn accept(&self) -> Option<(TcpStream, SocketAddr)> {
        let (mut backoff, longest) = BACKOFF;
        loop {
            match self.socket.accept().await {
                Ok(accepted) => return Some(accepted),
                // The router gave up before its turn: nothing is wrong here.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => return None,
                Err(error) => {
                    self.metrics.accept_errors.inc();
                    tracing::error!(%error, retry_after = ?backoff, "cannot accept a connection");
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(longest);
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr, sessions: &mut JoinSet<()>) {
        let router = normalised(peer.ip());
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            self.metrics.connections_refused.with_label_values(&["max-connections"]).inc();
            tracing::warn!(%router, port = peer.port(), "refused: --max-connections is reached");
            return;
        };
        if let Err(error) = SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE) {
            tracing::debug!(%router, %error, "no keepalive");
        }
        let session = self.next_session();
        let connection = Connection::new(
            stream,
            Origin {
                collector: Arc::clone(&self.collector),
                router_address: router,
                remote_port: peer.port(),
                session,
            },
            Output::new(&self.target),
            self.raw.then(|| Framer::new(&self.collector, router)),
            self.limits,
            self.shutdown.clone(),
            Arc::clone(&self.metrics),
        );
        let span = tracing::info_span!("session", %router, port = peer.port(), session);
        let served = async move {
            connection.serve().await;
            drop(permit);
        };
        sessions.spawn(served.instrument(span));
    }

    /// The accept time, moved on where two routers come in the same microsecond
    /// or the clock goes back.
    fn next_session(&self) -> u64 {
        let now = micros_now();
        let last = self
            .last_session
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
        now.max(last.unwrap_or_default() + 1)
    }
}

fn reap(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a session's task failed, its router will come again");
    }
}

/// IPv4 as IPv4, also where the socket says `::ffff:192.0.2.1`.
fn normalised(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_router_is_the_same_on_a_dual_stack_socket() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(normalised(mapped), "192.0.2.1".parse::<IpAddr>().unwrap());
    }

    #[tokio::test]
    async fn one_listener_takes_ipv4_and_ipv6() {
        let listener = bind("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        TcpStream::connect(("::1", port)).await.unwrap();
    }

    #[tokio::test]
    async fn a_taken_address_is_named_with_what_to_do() {
        let taken = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = taken.local_addr().unwrap();
        let error = format!("{:#}", bind(address).unwrap_err());
        assert!(error.starts_with(&format!("cannot listen on {address}: ")), "{error}");
    }
}
