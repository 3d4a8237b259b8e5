//! Settings of who may connect, and of how much a connection may take.

use std::{net::IpAddr, time::Duration};

use clap::Args;
use ipnet::IpNet;
use ribstream_runtime::units::{bytes, duration};

/// Who may connect, and how much of the collector a router may take.
#[derive(Args, Clone, Debug)]
pub struct LimitOptions {
    /// Networks that routers may connect from, such as 192.0.2.0/24 or 2001:db8::1; repeat, or separate by commas [default: all]
    #[arg(
        long,
        env = "RIBSTREAM_ALLOW",
        value_name = "NETWORK",
        value_delimiter = ',',
        value_parser = network
    )]
    pub allow: Vec<IpNet>,
    /// Sessions at a time; a router past them is refused
    #[arg(
        long,
        env = "RIBSTREAM_MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub max_connections: u32,
    /// Sessions at a time from one address; a router has one for each of its BGP instances, and those behind one NAT share them
    #[arg(
        long,
        env = "RIBSTREAM_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub max_connections_per_address: u32,
    /// Longest BMP message; a longer one closes its session
    #[arg(
        long,
        env = "RIBSTREAM_MAX_MESSAGE",
        value_name = "SIZE",
        default_value = "1MB",
        value_parser = bytes
    )]
    pub max_message: usize,
    /// Most bytes a session may hold undecoded; one that needs more is closed
    #[arg(
        long,
        env = "RIBSTREAM_MAX_BUFFER",
        value_name = "SIZE",
        default_value = "10MB",
        value_parser = bytes
    )]
    pub max_buffer: usize,
    /// Close a connection that has not brought a whole BMP message so long after it was accepted; 0 never does
    #[arg(
        long,
        env = "RIBSTREAM_FIRST_MESSAGE_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration
    )]
    pub first_message_timeout: Duration,
    /// Close a session that takes longer than this over one message; 0 never does
    #[arg(
        long,
        env = "RIBSTREAM_MESSAGE_TIMEOUT",
        value_name = "DURATION",
        default_value = "60s",
        value_parser = duration
    )]
    pub message_timeout: Duration,
    /// Close a session that sends nothing for so long; 0 never does
    #[arg(
        long,
        env = "RIBSTREAM_IDLE_TIMEOUT",
        value_name = "DURATION",
        default_value = "0",
        value_parser = duration
    )]
    pub idle_timeout: Duration,
    /// Messages a second that a session is read at, after as many at once [default: as they come]
    #[arg(
        long,
        env = "RIBSTREAM_RATE_MESSAGES",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub rate_messages: Option<u32>,
    /// Bytes a second that a session is read at, after as many at once [default: as they come]
    #[arg(
        long,
        env = "RIBSTREAM_RATE_BYTES",
        value_name = "SIZE",
        value_parser = rate
    )]
    pub rate_bytes: Option<u32>,
}

/// A network, or a single address.
///
/// For clap's `value_parser`, hence the text as error.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    let parsed = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    parsed.map(|network| network.trunc()).map_err(|_| {
        format!("{text:?} is no network; write 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1")
    })
}

fn rate(text: &str) -> Result<u32, String> {
    match u32::try_from(bytes(text)?) {
        Ok(0) => Err("nothing would be read at a rate of 0".to_owned()),
        Ok(rate) => Ok(rate),
        Err(_) => Err(format!("{text:?} is more than 4 GB a second; leave it out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_read_as_written() {
        let of = |text: &str| network(text).map(|network| network.to_string());
        assert_eq!(of("192.0.2.0/24").as_deref(), Ok("192.0.2.0/24"));
        assert_eq!(of("192.0.2.77/24").as_deref(), Ok("192.0.2.0/24"));
        assert_eq!(of("192.0.2.1").as_deref(), Ok("192.0.2.1/32"));
        assert_eq!(of("2001:db8::1").as_deref(), Ok("2001:db8::1/128"));
        for wrong in ["", "192.0.2.0/33", "router", "192.0.2"] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        assert_eq!(rate("64KiB"), Ok(65_536));
        assert!(rate("0").is_err());
        assert!(rate("5GB").is_err());
    }
}
