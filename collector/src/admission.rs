//! Who may have a connection: how many at a time, in all and from one address, and
//! from which networks.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{config::LimitOptions, proxy::ProxyError};

/// Why a connection is closed before it is a session.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The collector has as many connections as it may.
    #[error("--max-connections is reached")]
    MaxConnections,
    /// The router's address has as many connections as it may.
    #[error("--max-connections-per-address is reached")]
    MaxConnectionsPerAddress,
    /// The router's address is in none of the networks of `--allow`.
    #[error("the address is in no network of --allow")]
    NotAllowed,
    /// A balancer has not said for whom it speaks.
    #[error("{0}; everybody in --proxy-from must send one")]
    Proxy(ProxyError),
    /// The TLS handshake has failed.
    #[error("the TLS handshake failed: {0}")]
    Tls(io::Error),
    /// The certificate is good, and its holder is not expected.
    #[error("the certificate has no name of --tls-client-name")]
    ClientName,
    /// The connection broke off before it was a session.
    #[error("the connection broke off: {0}")]
    Broken(io::Error),
    /// It took too long before it was a session.
    #[error("no PROXY header or no TLS handshake within {0:?}")]
    Late(Duration),
}

impl Refusal {
    /// The word to count it by.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::MaxConnections => "max-connections",
            Self::MaxConnectionsPerAddress => "max-connections-per-address",
            Self::NotAllowed => "not-allowed",
            Self::Proxy(_) => "proxy-header",
            Self::Tls(_) => "tls-handshake",
            Self::ClientName => "tls-client-name",
            Self::Broken(_) => "disconnect",
            Self::Late(_) => "first-message-timeout",
        }
    }
}

/// Keeps count of the connections.
#[derive(Debug)]
pub struct Admission {
    allow: Vec<IpNet>,
    per_address: u32,
    places: Arc<Semaphore>,
    /// An IPv6 address counts by itself, not with its /64: loopbacks of a whole network
    /// are often numbered from one.
    seats: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Admission {
    /// Nobody is there yet.
    #[must_use]
    pub fn new(options: &LimitOptions) -> Self {
        let places = usize::try_from(options.max_connections).unwrap_or(usize::MAX);
        Self {
            allow: options.allow.clone(),
            per_address: options.max_connections_per_address,
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            seats: Arc::default(),
        }
    }

    /// A place for one more connection, whoever's.
    pub fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::MaxConnections)
    }

    /// A seat for a router that has come to us.
    pub fn guest(&self, router: IpAddr) -> Result<Seat, Refusal> {
        if !self.allow.is_empty() && !contain(&self.allow, router) {
            return Err(Refusal::NotAllowed);
        }
        self.seat(router)
    }

    /// A seat for a router, whoever has come to whom.
    pub fn seat(&self, router: IpAddr) -> Result<Seat, Refusal> {
        let mut seats = lock(&self.seats);
        let held = seats.get(&router).copied().unwrap_or_default();
        if held >= self.per_address {
            return Err(Refusal::MaxConnectionsPerAddress);
        }
        seats.insert(router, held + 1);
        Ok(Seat { router, seats: Arc::clone(&self.seats) })
    }
}

/// Whether one of the networks has the address.
#[must_use]
pub fn contain(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// One of the connections that an address may have, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    router: IpAddr,
    seats: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = lock(&self.seats);
        if let Some(held) = seats.get_mut(&self.router) {
            *held -= 1;
            if *held == 0 {
                seats.remove(&self.router);
            }
        }
    }
}

fn lock(seats: &Mutex<HashMap<IpAddr, u32>>) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
    seats.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::config::{Cli, Command};

    fn admission(args: &[&str]) -> Admission {
        let cli = Cli::parse_from(["x", "run"].iter().chain(args));
        match cli.command {
            Command::Run(options) => Admission::new(&options.limits),
            _ => unreachable!("the arguments say run"),
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_may_have_so_many_and_a_seat_that_is_left_is_free() {
        let admission = admission(&["--max-connections-per-address", "2"]);
        let first = admission.seat(ip("192.0.2.1")).unwrap();
        let _second = admission.seat(ip("192.0.2.1")).unwrap();
        let refusal = admission.seat(ip("192.0.2.1")).unwrap_err();
        assert_eq!(refusal.label(), "max-connections-per-address");
        admission.seat(ip("192.0.2.2")).unwrap();
        drop(first);
        admission.seat(ip("192.0.2.1")).unwrap();
        // Nothing is kept of those who have gone.
        assert_eq!(lock(&admission.seats).len(), 1);
    }

    #[test]
    fn routers_numbered_from_one_64_do_not_share_their_seats() {
        let admission = admission(&["--max-connections-per-address", "1"]);
        let seats: Result<Vec<_>, _> =
            (1..200).map(|n| admission.seat(ip(&format!("2001:db8::{n}")))).collect();
        assert_eq!(seats.unwrap().len(), 199);
    }

    #[test]
    fn the_allow_list_lets_in_whom_it_names() {
        let admission = admission(&["--allow", "192.0.2.0/24,2001:db8::7"]);
        for allowed in ["192.0.2.0", "192.0.2.255", "2001:db8::7"] {
            admission.guest(ip(allowed)).unwrap();
        }
        for refused in ["192.0.3.0", "2001:db8::8", "::"] {
            assert_eq!(admission.guest(ip(refused)).unwrap_err().label(), "not-allowed");
        }
    }
}
