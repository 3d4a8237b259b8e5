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

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    admission::{Admission, Refusal},
    complaints::Complaints,
    config::RunOptions,
    connection::{Connection, Limits, Shared, Stream, micros_now},
    metrics::Metrics,
    output::{Output, Target},
    raw::Framer,
    session::Origin,
};

/// A router that went away without a word is noticed after two minutes.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_mins(1))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);
/// What we send, which is little, must be acknowledged within the same time.
const USER_TIMEOUT: Duration = Duration::from_mins(2);

/// Receives connections.
pub struct Reception {
    collector: Arc<str>,
    target: Target,
    raw: bool,
    admission: Admission,
    last_session: AtomicU64,
    shared: Shared,
}

impl Reception {
    /// One that has received nobody yet.
    #[must_use]
    pub fn new(
        options: &RunOptions,
        target: Target,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> Self {
        let complaints = Arc::new(Complaints::new(metrics.log_lines_left_out.clone()));
        Self {
            collector: options.collector_name().into(),
            target,
            raw: options.raw,
            admission: Admission::new(&options.limits),
            last_session: AtomicU64::new(0),
            shared: Shared { limits: Limits::new(options), metrics, complaints, shutdown },
        }
    }

    /// When no more are to be received.
    #[must_use]
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shared.shutdown
    }

    /// The session of a connection that was just accepted, unless it is refused.
    pub fn admit(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let accepted = Instant::now();
        let router = canonical(peer);
        let admitted =
            self.admission.place().and_then(|place| Ok((place, self.admission.seat(router.ip())?)));
        let (place, seat) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                self.refuse(router, &refusal);
                return None;
            }
        };
        watch_over(&stream);
        let reception = Arc::clone(self);
        Some(async move {
            reception.converse(Box::new(stream), router, accepted).await;
            drop((place, seat));
        })
    }

    /// The session of `router`, to its end.
    async fn converse(&self, stream: Stream, router: SocketAddr, accepted: Instant) {
        let session = self.next_session();
        let connection = Connection::new(
            stream,
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
        let Shared { metrics, complaints, .. } = &self.shared;
        let reason = refusal.label();
        metrics.connections_refused.with_label_values(&[reason]).inc();
        let (address, port) = (router.ip(), router.port());
        if let Some(left_out) = complaints.may(address, reason) {
            tracing::warn!(router = %address, port, reason, left_out, "refused: {refusal}");
        }
    }

    /// Counts an accept that failed, and says so, if that was not said a moment ago.
    pub fn cannot_accept(&self, error: &io::Error) {
        self.shared.metrics.accept_errors.inc();
        if let Some(left_out) = self.shared.complaints.may(error, "accept") {
            tracing::error!(%error, left_out, "cannot accept a connection, trying again");
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
