//! TCP MD5 signatures (RFC 2385), which many routers can put on their BMP sessions.
//!
//! The kernel signs and checks. From a network that has a key, a segment without the
//! right signature never reaches the collector, which learns nothing of it; Linux counts
//! them as `TcpExtTCPMD5NotFound` and `TcpExtTCPMD5Failure`.

use std::{
    fmt, fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsFd, AsRawFd as _},
    path::PathBuf,
    str::FromStr,
};

use anyhow::Context as _;
use ipnet::IpNet;
use socket2::{Domain, SockRef};

use crate::config::network;

/// The longest key that Linux takes.
const LONGEST: usize = 80;
/// `TCP_MD5SIG_EXT` of `linux/tcp.h`: a key for a whole network.
const OPTION: libc::c_int = 32;
/// Size of a `struct tcp_md5sig`.
const SIZE: usize = 216;

/// A network, and where its key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    network: IpNet,
    path: PathBuf,
}

impl FromStr for KeyFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no key; write NETWORK=FILE, such as 192.0.2.0/24=/etc/bmp.key");
        let (hosts, path) = text.split_once('=').ok_or_else(wrong)?;
        if path.is_empty() {
            return Err(wrong());
        }
        Ok(Self { network: network(hosts)?, path: path.into() })
    }
}

/// The keys of all networks that have one.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<Key>);

#[derive(Clone)]
struct Key {
    network: IpNet,
    secret: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key of {}", self.network)
    }
}

impl Keys {
    /// Reads the files. Each is the key, with at most one end of line behind it.
    pub fn read(files: &[KeyFile]) -> anyhow::Result<Self> {
        let mut keys: Vec<Key> = Vec::with_capacity(files.len());
        for KeyFile { network, path } in files {
            anyhow::ensure!(
                keys.iter().all(|key| key.network != *network),
                "--tcp-md5 has two keys for {network}: leave one out"
            );
            let secret = fs::read(path);
            let path = path.display();
            let secret = secret
                .with_context(|| format!("cannot read the TCP MD5 key of {network} from {path}"))?;
            let secret = secret.strip_suffix(b"\n").unwrap_or(&secret);
            let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
            anyhow::ensure!(
                (1..=LONGEST).contains(&secret.len()),
                "the TCP MD5 key of {network} in {path} has {} octets: it must have 1 to {LONGEST}",
                secret.len()
            );
            keys.push(Key { network: *network, secret: secret.to_vec() });
        }
        Ok(Self(keys))
    }

    /// Has a socket, which does not listen or connect yet, sign and check what it exchanges
    /// with each network that has a key. What it accepts does so too.
    pub fn set_on(&self, socket: &impl AsFd) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let v6 = SockRef::from(socket).domain()? == Domain::IPV6;
        for key in &self.0 {
            let Some(value) = key.option(v6) else { continue };
            set(socket, &value).map_err(|error| {
                let network = key.network;
                let text = format!(
                    "cannot set the TCP MD5 key of {network}: {error}; it takes Linux with \
                     CONFIG_TCP_MD5SIG, and for many keys a larger net.core.optmem_max"
                );
                io::Error::new(error.kind(), text)
            })?;
        }
        Ok(())
    }
}

impl Key {
    /// The `struct tcp_md5sig` for a socket of IPv4, or of both. None, where the network's
    /// hosts cannot be reached by such a socket.
    fn option(&self, v6: bool) -> Option<[u8; SIZE]> {
        let mut option = [0; SIZE];
        // The address, as a sockaddr_in or a sockaddr_in6.
        match (self.network.network(), v6) {
            (IpAddr::V4(address), false) => {
                option[..2].copy_from_slice(&family(libc::AF_INET));
                option[4..8].copy_from_slice(&Ipv4Addr::octets(&address));
            }
            (IpAddr::V4(address), true) => {
                option[..2].copy_from_slice(&family(libc::AF_INET6));
                option[8..24].copy_from_slice(&address.to_ipv6_mapped().octets());
            }
            (IpAddr::V6(address), true) => {
                option[..2].copy_from_slice(&family(libc::AF_INET6));
                option[8..24].copy_from_slice(&Ipv6Addr::octets(&address));
            }
            (IpAddr::V6(_), false) => return None,
        }
        // It is for a whole network; the length is that of IPv4 where the address is mapped.
        option[128] = 1;
        option[129] = self.network.prefix_len();
        let length = u16::try_from(self.secret.len()).unwrap_or(u16::MAX);
        option[130..132].copy_from_slice(&length.to_ne_bytes());
        option[136..136 + self.secret.len()].copy_from_slice(&self.secret);
        Some(option)
    }
}

fn family(number: libc::c_int) -> [u8; 2] {
    u16::try_from(number).unwrap_or_default().to_ne_bytes()
}

#[cfg(target_os = "linux")]
fn set(socket: &impl AsFd, value: &[u8; SIZE]) -> io::Result<()> {
    let socket = socket.as_fd();
    let length = libc::socklen_t::try_from(SIZE).unwrap_or_default();
    #[expect(unsafe_code, reason = "no library sets this option")]
    // SAFETY: the descriptor is borrowed, and so open; the kernel reads as many octets from the
    // value as it is said to have, keeps a copy, and writes none.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            OPTION,
            value.as_ptr().cast(),
            length,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
fn set(_: &impl AsFd, _: &[u8; SIZE]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(network: &str, secret: &[u8]) -> Key {
        Key { network: network.parse().unwrap(), secret: secret.to_vec() }
    }

    #[test]
    fn a_key_file_has_a_network() {
        let good = KeyFile { network: "192.0.2.1/32".parse().unwrap(), path: "a=b".into() };
        assert_eq!("192.0.2.1=a=b".parse(), Ok(good));
        for wrong in ["", "192.0.2.1", "192.0.2.1=", "=key", "192.0.2.1/33=key", "host=key"] {
            assert!(wrong.parse::<KeyFile>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_key_is_named_with_what_to_do() {
        let directory = std::env::temp_dir().join(format!("ribstream-md5-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = directory.join(name);
            fs::write(&path, content).unwrap();
            format!("192.0.2.0/24={}", path.display()).parse::<KeyFile>().unwrap()
        };
        let good = file("good", b"secret \r\n");
        assert_eq!(Keys::read(std::slice::from_ref(&good)).unwrap().0[0].secret, b"secret ");
        let error = |files: &[KeyFile]| format!("{:#}", Keys::read(files).unwrap_err());
        for (files, words) in [
            (vec![file("empty", b"\n")], "has 0 octets: it must have 1 to 80"),
            (vec![file("long", &[b'x'; 81])], "has 81 octets"),
            (vec![good.clone(), good], "two keys for 192.0.2.0/24"),
            (vec!["::/0=/nowhere/key".parse().unwrap()], "of ::/0 from /nowhere/key"),
        ] {
            assert!(error(&files).contains(words), "{}", error(&files));
        }
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_key_shows_nowhere() {
        let keys = Keys(vec![key("192.0.2.0/24", b"secret")]);
        assert_eq!(format!("{keys:?}"), "Keys([the key of 192.0.2.0/24])");
    }

    #[test]
    fn a_socket_of_ipv4_alone_takes_no_key_of_ipv6() {
        assert!(key("2001:db8::/32", b"secret").option(false).is_none());
        let mapped = key("192.0.2.0/24", b"secret").option(true).unwrap();
        assert_eq!(&mapped[18..24], &[0xff, 0xff, 192, 0, 2, 0]);
        assert_eq!(&mapped[128..132], [&[1, 24][..], &6_u16.to_ne_bytes()].concat());
    }
}
