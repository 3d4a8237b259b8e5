//! TCP MD5 signatures (RFC 2385).

use std::{fmt, io, os::fd::AsFd};

use ipnet::IpNet;

use super::{
    KeyFile, LONGEST,
    option::{self, ADDRESS},
};

/// `TCP_MD5SIG_EXT` of `linux/tcp.h`: a key for a whole network.
const OPTION: libc::c_int = 32;
/// Size of a `struct tcp_md5sig`.
const SIZE: usize = 216;

/// The key of a network.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) network: IpNet,
    secret: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the TCP MD5 key of {}", self.network)
    }
}

/// Reads the files. Each is the key, with at most one end of line behind it.
pub(super) fn read(files: &[KeyFile]) -> anyhow::Result<Vec<Key>> {
    let mut keys: Vec<Key> = Vec::with_capacity(files.len());
    for file in files {
        let network = file.network;
        anyhow::ensure!(
            keys.iter().all(|key| key.network != network),
            "--tcp-md5 has two keys for {network}: leave one out"
        );
        let (secret, what) = file.read("TCP MD5 key")?;
        let secret = secret.strip_suffix(b"\n").unwrap_or(&secret);
        let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
        anyhow::ensure!(
            (1..=LONGEST).contains(&secret.len()),
            "{what} has {} octets: it must have 1 to {LONGEST}",
            secret.len()
        );
        keys.push(Key { network, secret: secret.to_vec() });
    }
    Ok(keys)
}

impl Key {
    /// Sets it on a socket of IPv4, or of both.
    pub(super) fn set_on(&self, socket: &impl AsFd, v6: bool) -> io::Result<()> {
        let Some(value) = self.option(v6) else { return Ok(()) };
        option::set(socket, OPTION, &value).map_err(|error| {
            let text = format!(
                "cannot set {self:?}: {error}; it takes Linux with CONFIG_TCP_MD5SIG, and for \
                 many keys a larger net.core.optmem_max"
            );
            io::Error::new(error.kind(), text)
        })
    }

    /// The `struct tcp_md5sig`. None, where the network's hosts cannot be reached by such a
    /// socket.
    fn option(&self, v6: bool) -> Option<[u8; SIZE]> {
        let mut option = [0; SIZE];
        option[..ADDRESS].copy_from_slice(&option::address(self.network.network(), v6)?);
        // It is for a whole network; the length is that of IPv4 where the address is mapped.
        option[128] = 1;
        option[129] = self.network.prefix_len();
        let length = u16::try_from(self.secret.len()).unwrap_or(u16::MAX);
        option[130..132].copy_from_slice(&length.to_ne_bytes());
        option[136..136 + self.secret.len()].copy_from_slice(&self.secret);
        Some(option)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::Files, *};

    #[test]
    fn what_is_no_key_is_named_with_what_to_do() {
        let files = Files::new("md5");
        let good = files.with("192.0.2.0/24", "good", b"secret \r\n");
        assert_eq!(read(std::slice::from_ref(&good)).unwrap()[0].secret, b"secret ");
        let error = |files: &[KeyFile]| format!("{:#}", read(files).unwrap_err());
        for (files, words) in [
            (
                vec![files.with("192.0.2.0/24", "empty", b"\n")],
                "has 0 octets: it must have 1 to 80",
            ),
            (vec![files.with("192.0.2.0/24", "long", &[b'x'; 81])], "has 81 octets"),
            (vec![good.clone(), good], "two keys for 192.0.2.0/24"),
            (vec!["::/0=/nowhere/key".parse().unwrap()], "of ::/0 from /nowhere/key"),
        ] {
            assert!(error(&files).contains(words), "{}", error(&files));
        }
    }

    #[test]
    fn a_socket_of_ipv4_alone_takes_no_key_of_ipv6() {
        let key =
            |network: &str| Key { network: network.parse().unwrap(), secret: b"secret".to_vec() };
        assert!(key("2001:db8::/32").option(false).is_none());
        let mapped = key("192.0.2.0/24").option(true).unwrap();
        assert_eq!(&mapped[18..24], &[0xff, 0xff, 192, 0, 2, 0]);
        assert_eq!(&mapped[128..132], [&[1, 24][..], &6_u16.to_ne_bytes()].concat());
    }
}
