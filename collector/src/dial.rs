//! Active mode: connects to routers that listen, and does so again when the session ends.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpSocket, TcpStream, lookup_host},
    time::{sleep, timeout},
};

use crate::{reception::Reception, tcp_auth::Keys};

/// How long a router may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// First and last wait before the next attempt.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Keeps a session with the router at `target`, a host and a port, until shutdown.
///
/// A session that lasted longer than the wait before it begins the waits anew, so a router
/// that closes at once is left alone more and more, and one that was restarted is not.
pub async fn keep_session(reception: Arc<Reception>, target: String) {
    let (mut backoff, longest) = BACKOFF;
    let shutdown = reception.shutdown().clone();
    while !shutdown.is_cancelled() {
        let connected = tokio::select! {
            connected = connect(&target, reception.keys()) => connected,
            () = shutdown.cancelled() => return,
        };
        let began = Instant::now();
        match connected {
            Ok(stream) => reception.connected(stream).await,
            Err(error) => reception.cannot_connect(&target, &error),
        }
        if began.elapsed() > backoff {
            backoff = BACKOFF.0;
        }
        tokio::select! {
            () = sleep(jittered(backoff)) => {}
            () = shutdown.cancelled() => return,
        }
        backoff = (backoff * 2).min(longest);
    }
}

async fn connect(target: &str, keys: &Keys) -> io::Result<TcpStream> {
    match timeout(CONNECT_TIMEOUT, connect_to_any(target, keys)).await {
        Ok(connected) => connected,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")),
    }
}

/// Connects to the first of the target's addresses that answers.
async fn connect_to_any(target: &str, keys: &Keys) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host(target).await? {
        match connect_to(address, keys).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn connect_to(address: SocketAddr, keys: &Keys) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    keys.set_for(address.ip(), &socket)?;
    socket.connect(address).await
}

/// Between half of the wait and all of it, so that the routers that went away together are
/// not all asked in the same moment.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_differ_and_stay_within_their_bounds() {
        let waits: Vec<Duration> = (0..100).map(|_| jittered(Duration::from_secs(8))).collect();
        let bounds = Duration::from_secs(4)..=Duration::from_secs(8);
        assert!(waits.iter().all(|wait| bounds.contains(wait)), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
