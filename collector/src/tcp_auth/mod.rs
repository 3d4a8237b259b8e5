//! Authentication of TCP segments, of which many routers can put one or the other on their BMP
//! sessions: MD5 signatures (RFC 2385), and the Authentication Option, TCP-AO (RFC 5925).
//!
//! The kernel signs and checks. From a network that has a key, a segment that is not signed
//! rightly never reaches the collector, which learns nothing of it; Linux counts them, under
//! names that begin with `TcpExtTCPMD5` and `TcpExtTCPAO`.

mod ao;
mod md5;
mod option;
mod rollover;

use std::{fs, io, net::IpAddr, os::fd::AsFd, path::PathBuf, str::FromStr};

use anyhow::Context as _;
use ipnet::IpNet;
use socket2::{Domain, SockRef, Socket, Type};

pub use rollover::{InUse, Rollover, ask_for, in_use};

use crate::config::network;

/// The longest secret that Linux takes, of either kind.
const LONGEST: usize = 80;

/// A network, and where its key is, or its keys are.
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

impl KeyFile {
    /// What the file holds, and how errors call it.
    fn read(&self, what: &str) -> anyhow::Result<(Vec<u8>, String)> {
        let Self { network, path } = self;
        let path = path.display();
        let content = fs::read(&self.path)
            .with_context(|| format!("cannot read the {what} of {network} from {path}"))?;
        Ok((content, format!("the {what} of {network} in {path}")))
    }
}

/// The keys of all networks that have some.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    md5: Vec<md5::Key>,
    ao: Vec<ao::Key>,
}

impl Keys {
    /// Reads the files of `--tcp-md5` and of `--tcp-ao`.
    pub fn read(md5: &[KeyFile], ao: &[KeyFile]) -> anyhow::Result<Self> {
        for (at, file) in ao.iter().enumerate() {
            // Linux takes either from an address, and would refuse the one that is set later; of
            // two files for an address it would take the keys of both.
            let (network, others) = (file.network, ao.iter().take(at));
            if let Some(other) = md5.iter().find(|other| overlap(other.network, network)) {
                anyhow::bail!(
                    "--tcp-md5 has a key for {}, and --tcp-ao for {network}: a router has one or \
                     the other, name networks that share no address",
                    other.network
                );
            }
            for other in others {
                anyhow::ensure!(
                    !overlap(other.network, network),
                    "--tcp-ao has keys for {}, and again for {network}: put them into one file, \
                     or name networks that share no address",
                    other.network
                );
            }
        }
        Ok(Self { md5: md5::read(md5)?, ao: ao::read(ao)? })
    }

    /// Has the kernel take them all, for a socket that is not used: at the start, so that what
    /// it has against them is not only said of each router that is to be connected to.
    pub fn try_out(&self) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None)
            .or_else(|_| Socket::new(Domain::IPV4, Type::STREAM, None))?;
        self.set_on(&socket)
    }

    /// Has a socket, which does not listen yet, sign and check what it exchanges with each
    /// network that has a key. What it accepts does so too.
    pub fn set_on(&self, socket: &impl AsFd) -> io::Result<()> {
        self.set(socket, None)
    }

    /// Has a socket, which does not connect yet, sign and check what it exchanges with a router.
    pub fn set_for(&self, router: IpAddr, socket: &impl AsFd) -> io::Result<()> {
        self.set(socket, Some(router.to_canonical()))
    }

    fn set(&self, socket: &impl AsFd, router: Option<IpAddr>) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let v6 = SockRef::from(socket).domain()? == Domain::IPV6;
        let concerned = |network: IpNet| router.is_none_or(|router| network.contains(&router));
        for key in self.md5.iter().filter(|key| concerned(key.network)) {
            key.set_on(socket, v6)?;
        }
        // A socket that has keys for others than its router alone could not connect. The first
        // key of the router's file is that to begin with.
        let mut preferred = router.is_some();
        for key in self.ao.iter().filter(|key| concerned(key.network)) {
            key.set_on(socket, v6, preferred)?;
            preferred = false;
        }
        Ok(())
    }

    /// Follows the changes of a router's TCP-AO keys in its session, where it has more than one.
    #[must_use]
    pub fn rollover(&self, router: IpAddr, socket: &impl AsFd) -> Option<Rollover> {
        let router = router.to_canonical();
        let keys = self.ao.iter().filter(|key| key.network.contains(&router));
        Rollover::new(keys.map(ao::Key::ids).collect(), socket)
    }

    fn is_empty(&self) -> bool {
        self.md5.is_empty() && self.ao.is_empty()
    }
}

/// Whether an address is in both.
fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other) || other.contains(&one)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Files of keys, in a directory of their own.
    pub(super) struct Files(PathBuf);

    impl Files {
        pub(super) fn new(test: &str) -> Self {
            let name = format!("ribstream-{test}-{}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            fs::create_dir_all(&directory).unwrap();
            Self(directory)
        }

        pub(super) fn with(&self, network: &str, name: &str, content: &[u8]) -> KeyFile {
            let path = self.0.join(name);
            fs::write(&path, content).unwrap();
            format!("{network}={}", path.display()).parse().unwrap()
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
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
    fn networks_with_tcp_ao_share_no_address_with_others() {
        let files = Files::new("overlap");
        let md5 = |network: &str| files.with(network, "md5", b"secret");
        let ao = |network: &str| files.with(network, "ao", b"1 2 hmac-sha-1-96 secret");
        let error = |md5: &[KeyFile], ao: &[KeyFile]| Keys::read(md5, ao).unwrap_err().to_string();
        for (one, other) in [("192.0.2.0/24", "192.0.2.7"), ("192.0.2.7", "192.0.2.0/24")] {
            let text = error(&[md5(one)], &[ao(other)]);
            let words = "a router has one or the other, name networks that share no address";
            assert!(text.contains(one) && text.contains(other) && text.contains(words), "{text}");
            let text = error(&[], &[ao(one), ao(other)]);
            let words = "put them into one file, or name networks that share no address";
            assert!(text.contains(one) && text.contains(other) && text.contains(words), "{text}");
        }
        let apart = Keys::read(
            &[md5("192.0.2.0/24"), md5("192.0.2.7"), md5("::/0")],
            &[ao("198.51.100.0/25"), ao("198.51.100.128/25")],
        );
        assert_eq!(apart.unwrap().ao.len(), 2);
    }

    #[test]
    fn a_key_shows_nowhere() {
        let files = Files::new("shown");
        let md5 = files.with("192.0.2.0/24", "md5", b"hush");
        let ao = files.with("2001:db8::/32", "ao", b"1 2 hmac-sha-1-96 hush");
        let keys = Keys::read(&[md5], &[ao]).unwrap();
        assert_eq!(
            format!("{keys:?}"),
            "Keys { md5: [the TCP MD5 key of 192.0.2.0/24], ao: [the TCP-AO key of 2001:db8::/32 \
             with SEND-ID 1 and RECEIVE-ID 2] }"
        );
    }

    #[test]
    fn only_a_router_with_several_keys_can_change_them() {
        let files = Files::new("several");
        let two = b"1 2 hmac-sha-1-96 old\n3 4 hmac-sha-1-96 new";
        let ao = files.with("192.0.2.0/24", "two", two);
        let one = files.with("198.51.100.0/24", "one", b"1 2 hmac-sha-1-96 only");
        let keys = Keys::read(&[], &[ao, one]).unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let has = |router: Ipv4Addr| {
            let mapped = router.to_ipv6_mapped().into();
            let [has, also] =
                [router.into(), mapped].map(|it| keys.rollover(it, &socket).is_some());
            assert_eq!(has, also);
            has
        };
        assert!(has([192, 0, 2, 1].into()));
        assert!(!has([198, 51, 100, 1].into()));
        assert!(!has([203, 0, 113, 1].into()));
    }
}
