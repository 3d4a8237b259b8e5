//! What happens to a connection before it is a session: who it is, whether it may stay.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ipnet::IpNet;
use socket2::{SockRef, TcpKeepalive};
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    admission::{Admission, Refusal, Seat, contain},
    complaints::Complaints,
    config::RunOptions,
    connection::{Connection, Limits, Shared, Stream, at, micros_now},
    directory::Directory,
    metrics::Metrics,
    names::Names,
    output::{Output, Target},
    proxy::{self, Progress, Source},
    raw::Framer,
    session::Origin,
    tcp_auth::{Keys, Rollover},
    tls::Tls,
};

/// A router that went away without a word is noticed after two minutes.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_mins(1))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);
/// What we send, which is little, must be acknowledged within the same time.
const USER_TIMEOUT: Duration = Duration::from_mins(2);

/// How a connection is to be read.
#[derive(Clone)]
pub enum Transport {
    /// As it is.
    Plain,
    /// Decrypted.
    Tls(Arc<Tls>),
}

/// A router that may have a session.
struct Guest {
    router: SocketAddr,
    stream: Stream,
    rollover: Option<Rollover>,
    seat: Seat,
}

/// Receives connections.
pub struct Reception {
    collector: Arc<str>,
    keys: Arc<Keys>,
    target: Target,
    raw: bool,
    admission: Admission,
    proxy_from: Vec<IpNet>,
    last_session: AtomicU64,
    shared: Shared,
}

impl Reception {
    /// One that has received nobody yet.
    #[must_use]
    pub fn new(
        options: &RunOptions,
        keys: Arc<Keys>,
        target: Target,
        metrics: Arc<Metrics>,
        directory: Arc<Directory>,
        shutdown: CancellationToken,
    ) -> Self {
        let complaints = Arc::new(Complaints::new(metrics.connections.log_lines_left_out.clone()));
        Self {
            collector: options.collector_name().into(),
            keys,
            target,
            raw: options.raw,
            admission: Admission::new(&options.limits),
            proxy_from: options.transport.proxy_from.clone(),
            last_session: AtomicU64::new(0),
            shared: Shared {
                limits: Limits::new(options),
                names: Arc::new(Names::new(metrics.connections.shared_addresses.clone())),
                directory,
                identity: options.router_identity,
                metrics,
                complaints,
                shutdown,
            },
        }
    }

    /// When no more are to be received.
    #[must_use]
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shared.shutdown
    }

    /// With what is signed and checked that goes to routers and comes from them.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The session of a connection that was just accepted, unless it is refused at once.
    #[must_use]
    pub fn admit(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        transport: Transport,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let accepted = Instant::now();
        let peer = canonical(peer);
        let admitted = self.admission.place().and_then(|place| {
            // Of a balancer it is not known yet for whom it speaks.
            let by_balancer = contain(&self.proxy_from, peer.ip());
            let seat = if by_balancer { None } else { Some(self.admission.guest(peer.ip())?) };
            Ok((place, seat))
        });
        let (place, seat) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                self.refuse(peer, &refusal);
                return None;
            }
        };
        watch_over(&stream);
        let reception = Arc::clone(self);
        Some(async move {
            reception.receive(stream, peer, seat, transport, accepted).await;
            drop(place);
        })
    }

    /// The session of a connection that we have opened.
    pub async fn connected(&self, stream: TcpStream) {
        let accepted = Instant::now();
        // One that is closed already has no other end any more.
        let Ok(peer) = stream.peer_addr() else { return };
        let router = canonical(peer);
        let admitted =
            self.admission.place().and_then(|place| Ok((place, self.admission.seat(router.ip())?)));
        match admitted {
            Ok(admitted) => {
                watch_over(&stream);
                let rollover = self.keys.rollover(router.ip(), &stream);
                self.converse(Box::new(stream), rollover, router, accepted).await;
                drop(admitted);
            }
            Err(refusal) => self.refuse(router, &refusal),
        }
    }

    async fn receive(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        seat: Option<Seat>,
        transport: Transport,
        accepted: Instant,
    ) {
        let limit = self.shared.limits.first_message;
        let greeting = self.greet(stream, peer, seat, transport);
        let greeted = tokio::select! {
            greeted = greeting => greeted,
            () = at(limit.map(|limit| accepted + limit)), if limit.is_some() => {
                Err((peer, Refusal::Late(limit.unwrap_or_default())))
            }
            () = self.shared.shutdown.cancelled() => return,
        };
        match greeted {
            Ok(Some(Guest { router, stream, rollover, seat })) => {
                self.converse(stream, rollover, router, accepted).await;
                drop(seat);
            }
            Ok(None) => self.shared.metrics.connections.health_checks.inc(),
            Err((who, refusal)) => self.refuse(who, &refusal),
        }
    }

    /// Who has come, which of a balancer's connection it must say itself, and what he sends,
    /// decrypted. Nobody where the balancer only looks whether we are there.
    async fn greet(
        &self,
        mut stream: TcpStream,
        peer: SocketAddr,
        seat: Option<Seat>,
        transport: Transport,
    ) -> Result<Option<Guest>, (SocketAddr, Refusal)> {
        let (router, seat) = if let Some(seat) = seat {
            (peer, seat)
        } else {
            let source = proxy_header(&mut stream).await.map_err(|refusal| (peer, refusal))?;
            match source {
                Source::Client(router) if router.ip() != peer.ip() => {
                    let seat = self.admission.guest(router.ip());
                    (router, seat.map_err(|refusal| (router, refusal))?)
                }
                // A balancer whose check uses version 1 gives itself for the client.
                Source::Client(_) | Source::Balancer => {
                    if let Transport::Tls(tls) = transport {
                        // It may look whether there is TLS, too.
                        let _ = tls.accept(stream).await;
                    }
                    return Ok(None);
                }
            }
        };
        // Of the connection as it is, which may be a balancer's.
        let rollover = self.keys.rollover(peer.ip(), &stream);
        let stream: Stream = match transport {
            Transport::Plain => Box::new(stream),
            Transport::Tls(tls) => {
                Box::new(tls.accept(stream).await.map_err(|refusal| (router, refusal))?)
            }
        };
        Ok(Some(Guest { router, stream, rollover, seat }))
    }

    /// The session of `router`, to its end.
    async fn converse(
        &self,
        stream: Stream,
        rollover: Option<Rollover>,
        router: SocketAddr,
        accepted: Instant,
    ) {
        let session = self.next_session();
        let connection = Connection::new(
            stream,
            rollover,
            accepted,
            Origin {
                collector: Arc::clone(&self.collector),
                router_address: router.ip(),
                remote_port: router.port(),
                session,
            },
            Output::new(&self.target),
            self.raw.then(|| Framer::new(&self.collector, router.ip())),
            self.shared.clone(),
        );
        let (address, port) = (router.ip(), router.port());
        let span = tracing::info_span!("session", router = %address, port, session);
        connection.serve().instrument(span).await;
    }

    /// Counts a connection that is refused, and says so, if that was not said a moment ago.
    fn refuse(&self, router: SocketAddr, refusal: &Refusal) {
        let Shared { metrics, complaints, directory, .. } = &self.shared;
        directory.troubles.note(router.ip().to_string(), format!("refused: {refusal}"));
        let reason = refusal.label();
        metrics.connections.refused.with_label_values(&[reason]).inc();
        let (address, port) = (router.ip(), router.port());
        if let Some(left_out) = complaints.may(&address, reason) {
            tracing::warn!(router = %address, port, reason, left_out, "refused: {refusal}");
        }
    }

    /// Counts an accept that failed, and says so, if that was not said a moment ago.
    pub fn cannot_accept(&self, error: &io::Error) {
        self.shared.metrics.connections.accept_errors.inc();
        self.shared.directory.troubles.note("accept", error.to_string());
        if let Some(left_out) = self.shared.complaints.may(error, "accept") {
            tracing::error!(%error, left_out, "cannot accept a connection, trying again");
        }
    }

    /// Counts a router that does not answer, and says so, if that was not said a moment ago.
    pub fn cannot_connect(&self, target: &str, error: &io::Error) {
        self.shared.metrics.connections.connect_errors.inc();
        self.shared.directory.troubles.note(target, format!("cannot connect: {error}"));
        if let Some(left_out) = self.shared.complaints.may(&target, "connect") {
            tracing::warn!(router = target, %error, left_out, "cannot connect, trying again");
        }
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

/// Whom the header speaks of with which a balancer's connection begins.
async fn proxy_header(stream: &mut TcpStream) -> Result<Source, Refusal> {
    let mut header = Vec::new();
    loop {
        let more = match proxy::read(&header).map_err(Refusal::Proxy)? {
            Progress::Whole(source) => return Ok(source),
            Progress::More(more) => more as u64,
        };
        match stream.take(more).read_buf(&mut header).await {
            Ok(1..) => {}
            // Many balancers just connect to see whether the port is open.
            Ok(0) | Err(_) if header.is_empty() => return Ok(Source::Balancer),
            Ok(0) => return Err(Refusal::Broken(io::ErrorKind::UnexpectedEof.into())),
            Err(error) => return Err(Refusal::Broken(error)),
        }
    }
}

/// Has the kernel notice a router that went away without a word.
fn watch_over(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let watched = socket
        .set_tcp_keepalive(&KEEPALIVE)
        .and_then(|()| socket.set_tcp_user_timeout(Some(USER_TIMEOUT)));
    if let Err(error) = watched {
        tracing::debug!(%error, "a router that goes away without a word will not be noticed");
    }
}

/// IPv4 as IPv4, also where the socket says `::ffff:192.0.2.1`.
fn canonical(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = address.ip().to_canonical();
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_router_is_the_same_on_a_dual_stack_socket() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:11019".parse().unwrap();
        assert_eq!(canonical(mapped), "192.0.2.1:11019".parse().unwrap());
    }
}
