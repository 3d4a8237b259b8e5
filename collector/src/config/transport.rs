//! Settings of how routers are reached: where they connect, by way of whom, encrypted or not.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use clap::Args;
use ipnet::IpNet;

use super::limits::network;
use crate::tcp_auth::KeyFile;

/// How routers are reached.
#[derive(Args, Clone, Debug)]
pub struct TransportOptions {
    /// Where routers connect, or off
    #[arg(long, env = "RIBSTREAM_LISTEN", value_name = "ADDR", default_value = "[::]:11019")]
    pub listen: Listen,
    /// Where routers connect by TLS [default: nowhere]
    #[arg(long, env = "RIBSTREAM_TLS_LISTEN", value_name = "ADDR")]
    pub tls_listen: Option<SocketAddr>,
    /// The certificate to show, with those that lead to its authority, in PEM; read again when it changes, and on SIGHUP
    #[arg(long, env = "RIBSTREAM_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, env = "RIBSTREAM_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Authorities in PEM, one of which must have signed a router's certificate [default: routers need none]
    #[arg(long, env = "RIBSTREAM_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Names of which a router's certificate must have one, in its alternative names or as its common name; repeat, or separate by commas [default: any]
    #[arg(long, env = "RIBSTREAM_TLS_CLIENT_NAME", value_name = "NAME", value_delimiter = ',')]
    pub tls_client_name: Vec<String>,
    /// Networks of balancers, whose connections must begin with a PROXY header (version 1 or 2) and are taken for the router's that it names; repeat, or separate by commas
    #[arg(
        long,
        env = "RIBSTREAM_PROXY_FROM",
        value_name = "NETWORK",
        value_delimiter = ',',
        value_parser = network
    )]
    pub proxy_from: Vec<IpNet>,
    /// The TCP MD5 key (RFC 2385) of a network's routers, in a file; repeat, or separate by commas
    #[arg(long, env = "RIBSTREAM_TCP_MD5", value_name = "NETWORK=FILE", value_delimiter = ',')]
    pub tcp_md5: Vec<KeyFile>,
    /// The TCP-AO keys (RFC 5925) of a network's routers, in a file that has SEND-ID RECEIVE-ID ALGORITHM SECRET a line; repeat, or separate by commas
    #[arg(long, env = "RIBSTREAM_TCP_AO", value_name = "NETWORK=FILE", value_delimiter = ',')]
    pub tcp_ao: Vec<KeyFile>,
    /// Routers that wait to be connected to, as host:port; repeat, or separate by commas
    #[arg(
        long,
        env = "RIBSTREAM_CONNECT",
        value_name = "ADDR",
        value_delimiter = ',',
        value_parser = target
    )]
    pub connect: Vec<String>,
}

/// An address to listen on, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let wrong = |_| format!("{text:?} is no address; write [::]:11019, 192.0.2.1:11019 or off");
        text.parse().map(Self::At).map_err(wrong)
    }
}

/// A host and a port, which are resolved at each attempt to connect.
fn target(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or_default();
    let bare_v6 = host.contains(':') && !host.starts_with('[');
    if host.is_empty() || bare_v6 || port.parse::<u16>().is_err() {
        return Err(format!("{text:?} is no router; write host:port, such as [2001:db8::1]:5000"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_port_can_be_switched_off() {
        assert_eq!("off".parse(), Ok(Listen::Off));
        assert_eq!("[::]:1".parse(), Ok(Listen::At("[::]:1".parse().unwrap())));
        assert!("".parse::<Listen>().is_err());
    }

    #[test]
    fn a_router_to_connect_to_has_a_port() {
        for good in ["edge1:5000", "192.0.2.1:5000", "[2001:db8::1]:5000"] {
            assert_eq!(target(good).as_deref(), Ok(good));
        }
        for wrong in ["edge1", ":5000", "edge1:", "edge1:70000", "2001:db8::1", ""] {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }
}
