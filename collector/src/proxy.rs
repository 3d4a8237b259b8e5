//! The PROXY protocol, versions 1 and 2: what a balancer puts before a router's
//! first byte, so that the router is known by its own address.
//!
//! ```text
//! version 1: PROXY TCP4 192.0.2.1 198.51.100.1 40000 11019\r\n
//! version 2:
//! +-------------------+---------+---------+---------+-----------+-------+
//! | Signature         | Version | Family  | Length  | Addresses | TLVs  |
//! |  12               | Command | Transp. |  2      |  12 or 36 |       |
//! |                   |  1      |  1      |         |           |       |
//! +-------------------+---------+---------+---------+-----------+-------+
//! ```
//!
//! A header is taken from the stream byte by byte where it must be, so that
//! nothing of what follows it is taken with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Both versions have at least so many bytes.
const FIRST: usize = 12;
/// What version 2 begins with.
const SIGNATURE: &[u8; FIRST] = b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";
/// The longest line of version 1, as its specification counts it.
const LONGEST_LINE: usize = 107;
/// Bytes of version 2 before the addresses.
const FIXED: usize = 16;
/// Addresses and TLVs of version 2 that are taken. Balancers send some hundred bytes,
/// one that passes on a client's certificate some thousand.
const LONGEST_REST: usize = 8192;

/// Whom a header speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A client that the balancer passes on.
    Client(SocketAddr),
    /// The balancer itself, which looks whether we are there.
    Balancer,
}

/// How far a header has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on for so many bytes at least.
    More(usize),
    /// It is whole.
    Whole(Source),
}

/// Why a header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The connection began otherwise.
    #[error("the connection does not begin with a PROXY header")]
    Missing,
    /// A line of version 1 that is not as it should be.
    #[error("the PROXY line is malformed")]
    Line,
    /// No version or command that there is.
    #[error("the PROXY header has version and command {0:#04x}")]
    Command(u8),
    /// No TCP connection over IPv4 or IPv6.
    #[error("the PROXY header has family and transport {0:#04x}, not TCP over IPv4 or IPv6")]
    Family(u8),
    /// Less than the addresses need, or more than anybody sends.
    #[error("the PROXY header has an impossible length of {0} bytes")]
    Length(usize),
}

/// Reads the beginning of a header. Where it says that there is more, so many bytes are to
/// be added to it.
pub fn read(bytes: &[u8]) -> Result<Progress, ProxyError> {
    let Some((first, rest)) = bytes.split_first_chunk::<FIRST>() else {
        // Who is no balancer is found out by his first bytes.
        let begins =
            SIGNATURE.starts_with(bytes) || WORD.starts_with(bytes) || bytes.starts_with(WORD);
        return if begins {
            Ok(Progress::More(FIRST - bytes.len()))
        } else {
            Err(ProxyError::Missing)
        };
    };
    if first == SIGNATURE {
        version_2(rest)
    } else if first.starts_with(WORD) {
        version_1(bytes)
    } else {
        Err(ProxyError::Missing)
    }
}

fn version_1(bytes: &[u8]) -> Result<Progress, ProxyError> {
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        return if bytes.len() < LONGEST_LINE {
            Ok(Progress::More(1))
        } else {
            Err(ProxyError::Line)
        };
    };
    let line = std::str::from_utf8(line).map_err(|_| ProxyError::Line)?;
    let mut words = line.split(' ').skip(1);
    let mut word = || words.next().ok_or(ProxyError::Line);
    let family = word()?;
    if family == "UNKNOWN" {
        // Whatever follows is to be ignored. Balancers send it with their health checks.
        return Ok(Progress::Whole(Source::Balancer));
    }
    let (source, destination) = (word()?, word()?);
    let (port, destination_port) = (port(word()?)?, word()?);
    self::port(destination_port)?;
    let address = match family {
        "TCP4" => {
            source.parse().map(IpAddr::V4).ok().filter(|_| destination.parse::<Ipv4Addr>().is_ok())
        }
        "TCP6" => {
            source.parse().map(IpAddr::V6).ok().filter(|_| destination.parse::<Ipv6Addr>().is_ok())
        }
        _ => None,
    };
    match (address, words.next()) {
        (Some(address), None) => {
            Ok(Progress::Whole(Source::Client(SocketAddr::new(address.to_canonical(), port))))
        }
        _ => Err(ProxyError::Line),
    }
}

fn port(text: &str) -> Result<u16, ProxyError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(ProxyError::Line)
}

/// `rest` is what follows the signature.
fn version_2(rest: &[u8]) -> Result<Progress, ProxyError> {
    let Some((&[command, family, high, low], rest)) = rest.split_first_chunk::<4>() else {
        return Ok(Progress::More(FIXED - FIRST - rest.len()));
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_REST {
        return Err(ProxyError::Length(length));
    }
    let addresses = match (command, family) {
        (0x20, _) => 0,
        (0x21, 0x11) => 12,
        (0x21, 0x21) => 36,
        (0x21, _) => return Err(ProxyError::Family(family)),
        _ => return Err(ProxyError::Command(command)),
    };
    if length < addresses {
        return Err(ProxyError::Length(length));
    }
    if rest.len() < length {
        return Ok(Progress::More(length - rest.len()));
    }
    // The source's address, the destination's, the source's port, the destination's.
    let source = match addresses {
        12 => rest.first_chunk().map(|address| IpAddr::V4(Ipv4Addr::from_octets(*address))),
        36 => rest.first_chunk().map(|address| IpAddr::V6(Ipv6Addr::from_octets(*address))),
        _ => None,
    };
    let port = addresses.checked_sub(4).and_then(|at| rest.get(at..)?.first_chunk::<2>());
    Ok(Progress::Whole(match (source, port) {
        (Some(source), Some(port)) => {
            let port = u16::from_be_bytes(*port);
            Source::Client(SocketAddr::new(source.to_canonical(), port))
        }
        _ => Source::Balancer,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the header at the beginning of `bytes` as a connection is read. Says how
    /// many of them it took.
    fn header(bytes: &[u8]) -> (Result<Option<Source>, ProxyError>, usize) {
        let mut taken = 0;
        loop {
            match read(&bytes[..taken]) {
                Ok(Progress::More(more)) if taken + more <= bytes.len() => taken += more,
                Ok(Progress::More(_)) => return (Ok(None), taken),
                Ok(Progress::Whole(source)) => return (Ok(Some(source)), taken),
                Err(error) => return (Err(error), taken),
            }
        }
    }

    #[allow(clippy::unnecessary_wraps, reason = "as `header` gives it")]
    fn client(text: &str) -> Result<Option<Source>, ProxyError> {
        Ok(Some(Source::Client(text.parse().unwrap())))
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    #[test]
    fn a_line_gives_the_routers_address_and_takes_nothing_of_what_follows() {
        for (line, expected) in [
            ("PROXY TCP4 192.0.2.1 198.51.100.1 40000 11019\r\n", "192.0.2.1:40000"),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", "[2001:db8::1]:1"),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1:1"),
        ] {
            let stream = [line.as_bytes(), &[3, 0, 0, 0, 6, 4]].concat();
            assert_eq!(header(&stream), (client(expected), line.len()), "{line}");
        }
    }

    #[test]
    fn version_2_gives_the_routers_address_and_skips_what_else_is_said() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0x9c, 0x40, 0x2b, 0x0b];
        let tlvs = [0x03, 0, 4, 1, 2, 3, 4];
        let stream = v2(0x21, 0x11, &[&v4[..], &tlvs].concat());
        let length = stream.len();
        let stream = [&stream[..], &[3, 0, 0, 0, 6, 4]].concat();
        assert_eq!(header(&stream), (client("192.0.2.1:40000"), length));

        let address: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let v6 = [&address.octets()[..], &[0; 16], &[0, 80, 0, 1]].concat();
        assert_eq!(header(&v2(0x21, 0x21, &v6)).0, client("[2001:db8::1]:80"));
    }

    #[test]
    fn a_balancer_that_speaks_of_itself_is_no_router() {
        for stream in [
            b"PROXY UNKNOWN\r\n".to_vec(),
            b"PROXY UNKNOWN ffff::1 ::2 1 2\r\n".to_vec(),
            v2(0x20, 0, &[]),
            v2(0x20, 0x11, &[1; 20]),
        ] {
            assert_eq!(header(&stream), (Ok(Some(Source::Balancer)), stream.len()));
        }
    }

    #[test]
    fn what_is_no_header_is_refused_with_its_reason() {
        for (stream, reason) in [
            (&[3, 0, 0, 0, 6, 4, 3, 0, 0, 0, 6, 4][..], ProxyError::Missing),
            (b"PROXZ TCP4 1 2 3 4\r\n", ProxyError::Missing),
            (b"PROXY TCP4 2001:db8::1 192.0.2.1 1 2\r\n", ProxyError::Line),
            (b"PROXY TCP4 192.0.2.1 2001:db8::1 1 2\r\n", ProxyError::Line),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", ProxyError::Line),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", ProxyError::Line),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", ProxyError::Line),
            (b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", ProxyError::Line),
            (b"PROXY TCP4 192.0.2.1\r\n", ProxyError::Line),
            (&[b"PROXY TCP4 ", &[b'1'; 200][..]].concat(), ProxyError::Line),
            (&v2(0x11, 0x11, &[0; 12]), ProxyError::Command(0x11)),
            (&v2(0x22, 0x11, &[0; 12]), ProxyError::Command(0x22)),
            (&v2(0x21, 0x00, &[]), ProxyError::Family(0x00)),
            (&v2(0x21, 0x12, &[0; 12]), ProxyError::Family(0x12)),
            (&v2(0x21, 0x31, &[0; 216]), ProxyError::Family(0x31)),
            (&v2(0x21, 0x11, &[0; 11]), ProxyError::Length(11)),
            (&v2(0x21, 0x11, &[0; 9000]), ProxyError::Length(9000)),
        ] {
            assert_eq!(header(stream).0, Err(reason), "{:?}", String::from_utf8_lossy(stream));
        }
    }

    #[test]
    fn a_router_that_sends_no_header_is_found_out_by_its_first_byte() {
        assert_eq!(read(&[]), Ok(Progress::More(12)));
        assert_eq!(read(&[3]), Err(ProxyError::Missing));
    }
}
