//! Accepts routers' connections, and opens those to routers that listen, each into a task
//! of its own.

use std::{
    future, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout_at},
};

use crate::{
    config::{Listen, TransportOptions},
    dial,
    reception::{Reception, Transport},
    tcp_auth::Keys,
    tls::Tls,
};

/// Routers that connect in the same moment, as all do when a collector comes back.
const BACKLOG: i32 = 1024;
/// First and last wait after an accept that failed, for example for want of files. The
/// last is short enough for the routers to be back soon after the cause has gone.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Listens on `address`; on `[::]` for IPv4 too, and where the host has no IPv6,
/// for IPv4 alone.
pub fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    bind_with(address, &Keys::default())
}

fn bind_with(address: SocketAddr, keys: &Keys) -> anyhow::Result<TcpListener> {
    let unspecified_v6 = address.is_ipv6() && address.ip().is_unspecified();
    let bound = match try_bind(address, keys) {
        Err(error) if unspecified_v6 && error.kind() != io::ErrorKind::AddrInUse => {
            let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
            try_bind(v4, keys).or(Err(error))
        }
        bound => bound,
    };
    bound.with_context(|| format!("cannot listen on {address}: choose another address, or free it"))
}

fn try_bind(address: SocketAddr, keys: &Keys) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    keys.set_on(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Where routers connect, and what is exchanged with them beneath.
pub struct Sockets {
    /// In the clear.
    pub plain: Option<TcpListener>,
    /// By TLS.
    pub tls: Option<TcpListener>,
    /// With what they sign and check; for what is connected to as well.
    pub keys: Arc<Keys>,
}

impl Sockets {
    /// Those that are configured.
    pub fn bind(options: &TransportOptions) -> anyhow::Result<Self> {
        let keys = Arc::new(Keys::read(&options.tcp_md5, &options.tcp_ao)?);
        keys.try_out()?;
        let plain = match options.listen {
            Listen::Off => None,
            Listen::At(address) => Some(bind_with(address, &keys)?),
        };
        let tls = options.tls_listen.map(|address| bind_with(address, &keys)).transpose()?;
        Ok(Self { plain, tls, keys })
    }

    /// Says which there are.
    pub fn announce(&self, collector: &str, target: &str) {
        let sockets = [("plain", &self.plain), ("tls", &self.tls)];
        for (transport, socket) in sockets {
            let Some(socket) = socket else { continue };
            match socket.local_addr() {
                Ok(address) => {
                    tracing::info!(%address, transport, collector, target, "listening for routers");
                }
                Err(error) => {
                    tracing::warn!(%error, "listening on an address that cannot be told");
                }
            }
        }
    }
}

impl From<TcpListener> for Sockets {
    fn from(plain: TcpListener) -> Self {
        Self { plain: Some(plain), tls: None, keys: Arc::default() }
    }
}

/// Accepts and connects until shutdown, then waits for the sessions to end.
pub struct Listener {
    sockets: Sockets,
    tls: Option<Arc<Tls>>,
    connect: Vec<String>,
    reception: Arc<Reception>,
}

impl Listener {
    /// A listener that has not accepted yet. `tls` belongs to the socket for it.
    #[must_use]
    pub fn new(
        sockets: Sockets,
        tls: Option<Arc<Tls>>,
        connect: Vec<String>,
        reception: Reception,
    ) -> Self {
        Self { sockets, tls, connect, reception: Arc::new(reception) }
    }

    /// Accepts until shutdown; then gives the sessions `drain` to end.
    pub async fn serve(self, drain: Duration) {
        let Self { sockets, tls, connect, reception } = self;
        let mut sessions = JoinSet::new();
        for target in connect {
            sessions.spawn(dial::keep_session(Arc::clone(&reception), target));
        }
        let by_tls = tls.map_or(Transport::Plain, Transport::Tls);
        loop {
            let ((stream, peer), transport) = tokio::select! {
                accepted = accept(sockets.plain.as_ref(), &reception) => {
                    (accepted, Transport::Plain)
                }
                accepted = accept(sockets.tls.as_ref(), &reception) => (accepted, by_tls.clone()),
                Some(ended) = sessions.join_next() => {
                    reap(ended);
                    continue;
                }
                () = reception.shutdown().cancelled() => break,
            };
            if let Some(session) = reception.admit(stream, peer, transport) {
                sessions.spawn(session);
            }
        }
        drop(sockets);
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
}

/// The next connection. After an error it waits, longer each time: one such as too many
/// open files would otherwise come at once again. Without a socket there is never one.
async fn accept(socket: Option<&TcpListener>, reception: &Reception) -> (TcpStream, SocketAddr) {
    let Some(socket) = socket else { return future::pending().await };
    let (mut backoff, longest) = BACKOFF;
    loop {
        match socket.accept().await {
            Ok(accepted) => return accepted,
            // The router gave up before its turn: nothing is wrong here.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                reception.cannot_accept(&error);
                sleep(backoff).await;
                backoff = (backoff * 2).min(longest);
            }
        }
    }
}

fn reap(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a session's task failed, its router will come again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
