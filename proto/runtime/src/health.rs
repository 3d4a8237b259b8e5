//! The other side of `/readyz`: a daemon's own binary asks it, so that a
//! container image needs no other program for its health check.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Far longer than an answer out of memory takes, shorter than an orchestrator waits.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A line for each check is far less; whatever else listens there may say more.
const LONGEST_ANSWER: u64 = 64 << 10;

/// Why a daemon does not count as well; each reads as one line.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Nobody listens there.
    #[error(
        "nobody answers at {address} ({reason}); --http (RIBSTREAM_HTTP) is to be that of the \
         running daemon"
    )]
    Unreachable {
        /// Where it was asked.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
    },
    /// It accepts and says nothing.
    #[error("no answer from {address} in {after:?}")]
    Silent {
        /// Where it was asked.
        address: SocketAddr,
        /// How long it was waited for.
        after: Duration,
    },
    /// It waits for something.
    #[error("not ready: {0}")]
    NotReady(String),
    /// Another program has the port.
    #[error("what listens at {address} is no Ribstream daemon: it answers {answer:?} to /readyz")]
    Stranger {
        /// Where it was asked.
        address: SocketAddr,
        /// The first line of what it said.
        answer: String,
    },
}

/// Asks `/readyz` of the daemon that serves at `address`: its checks, where all
/// are well. A wildcard address is taken for this host.
pub async fn ask(address: SocketAddr) -> Result<String, HealthError> {
    ask_within(address, TIMEOUT).await
}

async fn ask_within(address: SocketAddr, limit: Duration) -> Result<String, HealthError> {
    let address = here(address).await;
    match timeout(limit, get_ready(address)).await {
        Err(_) => Err(HealthError::Silent { address, after: limit }),
        Ok(Err(reason)) => Err(HealthError::Unreachable { address, reason }),
        Ok(Ok(answer)) => judge(address, &answer),
    }
}

/// Where a daemon that listens at `address` is reached from its own host.
async fn here(address: SocketAddr) -> SocketAddr {
    let at = |ip| SocketAddr::new(ip, address.port());
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => at(Ipv4Addr::LOCALHOST.into()),
        // On a host without IPv6 a daemon told to listen on [::] has 0.0.0.0.
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            let loopback = at(Ipv6Addr::LOCALHOST.into());
            if TcpStream::connect(loopback).await.is_ok() {
                loopback
            } else {
                at(Ipv4Addr::LOCALHOST.into())
            }
        }
        _ => address,
    }
}

async fn get_ready(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn judge(address: SocketAddr, answer: &str) -> Result<String, HealthError> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let checks = || body.lines().collect::<Vec<_>>().join(", ");
    match head.split_whitespace().nth(1) {
        Some("200") => Ok(checks()),
        Some("503") => Err(HealthError::NotReady(checks())),
        _ => {
            let answer = head.lines().next().unwrap_or_default().chars().take(80).collect();
            Err(HealthError::Stranger { address, answer })
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::http::{self, Health};

    /// A server at `bind`, by the address that it has.
    async fn daemon(bind: &str) -> (SocketAddr, Health) {
        let listener = TcpListener::bind(bind).await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Health::default();
        let never = CancellationToken::new();
        let teller: http::Teller = std::sync::Arc::new(crate::status::Status::default);
        tokio::spawn(http::serve("x", listener, Registry::new(), health.clone(), teller, never));
        (address, health)
    }

    /// Something that answers every connection with `answer`.
    async fn stranger(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn a_daemon_is_well_when_all_its_checks_are() {
        let (address, health) = daemon("127.0.0.1:0").await;
        health.set("kafka", Ok(()));
        health.set("database", Err("refused".to_owned()));
        let error = ask(address).await.unwrap_err().to_string();
        assert_eq!(error, "not ready: database: refused, kafka: ok");

        health.set("database", Ok(()));
        assert_eq!(ask(address).await.unwrap(), "database: ok, kafka: ok");
    }

    #[tokio::test]
    async fn a_wildcard_address_is_asked_on_this_host() {
        let (address, _) = daemon("0.0.0.0:0").await;
        assert!(address.ip().is_unspecified());
        ask(address).await.unwrap();
        // What [::] became on a host without IPv6.
        ask(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), address.port())).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_there_is_told_with_the_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = ask(address).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("nobody answers at {address} (")), "{error}");
    }

    #[tokio::test]
    async fn a_daemon_that_hangs_is_not_waited_for_for_long() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let error = ask_within(address, Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(error, HealthError::Silent { .. }), "{error}");
    }

    #[tokio::test]
    async fn another_program_on_the_port_is_not_taken_for_a_daemon() {
        for (answer, shown) in [
            ("HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 404 Not Found"),
            ("SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2"),
            ("", ""),
        ] {
            let error = ask(stranger(answer).await).await.unwrap_err();
            match error {
                HealthError::Stranger { answer, .. } => assert_eq!(answer, shown),
                error => panic!("{answer:?}: {error}"),
            }
        }
    }
}
