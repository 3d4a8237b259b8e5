//! The TCP Authentication Option, TCP-AO (RFC 5925), with the algorithms of RFC 5926.
//!
//! Each line of a file is a key (a master key tuple, RFC 5925, 3.1):
//!
//! ```text
//! # SEND-ID RECEIVE-ID ALGORITHM SECRET
//! 1 1 hmac-sha-1-96 an-old-secret
//! 2 2 aes-128-cmac-96 a-new-secret
//! ```

use std::{fmt, io, os::fd::AsFd};

use anyhow::Context as _;
use ipnet::IpNet;

use super::{
    KeyFile, LONGEST,
    option::{self, ADDRESS},
    rollover::Ids,
};

/// `TCP_AO_ADD_KEY` of `linux/tcp.h`.
const OPTION: libc::c_int = 38;
/// Size of a `struct tcp_ao_add`.
const SIZE: usize = 288;
/// Its `set_current`, the first bit of a word, and its `set_rnext`, the second.
pub(super) const SET_CURRENT: u8 = if cfg!(target_endian = "big") { 0b1000_0000 } else { 0b01 };
pub(super) const SET_RNEXT: u8 = if cfg!(target_endian = "big") { 0b0100_0000 } else { 0b10 };

/// How a line is written.
const FORM: &str = "SEND-ID RECEIVE-ID ALGORITHM SECRET";

/// Makes the keys of a connection of a secret, and the codes of its segments of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Algorithm {
    /// As the standards call it, in small letters.
    name: &'static str,
    /// As Linux calls it.
    linux: &'static str,
    /// Octets of a segment's code.
    code: u8,
}

const ALGORITHMS: [Algorithm; 3] = [
    // RFC 5926, 3.1.1.1 and 3.2.1.
    Algorithm { name: "hmac-sha-1-96", linux: "hmac(sha1)", code: 12 },
    // RFC 5926, 3.1.1.2 and 3.2.2. With this name Linux takes secrets of any length.
    Algorithm { name: "aes-128-cmac-96", linux: "cmac(aes128)", code: 12 },
    // draft-ietf-tcpm-tcp-ao-algs.
    Algorithm { name: "hmac-sha256-128", linux: "hmac(sha256)", code: 16 },
];

/// A key of a network.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) network: IpNet,
    /// Names the key in the segments that are sent.
    send_id: u8,
    /// Names the key in the segments that are received: the router's SendID.
    receive_id: u8,
    algorithm: Algorithm,
    secret: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, send_id, receive_id, .. } = self;
        write!(f, "the TCP-AO key of {network} with SEND-ID {send_id} and RECEIVE-ID {receive_id}")
    }
}

/// Reads the files. Each has a key a line, or more.
pub(super) fn read(files: &[KeyFile]) -> anyhow::Result<Vec<Key>> {
    let mut keys = Vec::with_capacity(files.len());
    for file in files {
        let network = file.network;
        // Of the networks that begin with zeros, Linux takes ::/0 alone on a socket of both kinds.
        anyhow::ensure!(
            !network.addr().is_unspecified() || network == IpNet::V6("::/0".parse()?),
            "--tcp-ao cannot be for {network}, for which Linux takes no key: name the routers' \
             own networks"
        );
        let (text, what) = file.read("TCP-AO keys")?;
        keys.extend(parse(network, &text).context(what)?);
    }
    Ok(keys)
}

/// The keys of a file, which are told from each other by both of their IDs (RFC 5925, 3.1). What
/// is wrong is not shown: a word in another's place may be the secret.
fn parse(network: IpNet, text: &[u8]) -> anyhow::Result<Vec<Key>> {
    let text = str::from_utf8(text).context("it must be text, in UTF-8")?;
    let mut keys: Vec<(usize, Key)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let key = Key::parse(network, line).with_context(|| format!("line {number}"))?;
        for (other, before) in &keys {
            let own = "each key has its own (RFC 5925, 3.1)";
            let Key { send_id, receive_id, .. } = key;
            anyhow::ensure!(
                send_id != before.send_id,
                "line {number}: SEND-ID {send_id} is that of line {other} too, {own}"
            );
            anyhow::ensure!(
                receive_id != before.receive_id,
                "line {number}: RECEIVE-ID {receive_id} is that of line {other} too, {own}"
            );
        }
        keys.push((number, key));
    }
    anyhow::ensure!(!keys.is_empty(), "there is none: write {FORM}, a line for each");
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

impl Key {
    fn parse(network: IpNet, line: &str) -> anyhow::Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[send_id, receive_id, algorithm, secret] = words.as_slice() else {
            let has = words.len();
            anyhow::bail!("it must have four words, {FORM} (without blanks), and has {has}");
        };
        let id = |name: &str, word: &str| {
            word.parse().ok().with_context(|| format!("its {name} must be a number from 0 to 255"))
        };
        let meant = |known: &&Algorithm| known.name.eq_ignore_ascii_case(algorithm);
        let algorithm = ALGORITHMS.iter().find(meant).copied().with_context(|| {
            let all = ALGORITHMS.map(|known| known.name).join(", ");
            format!("its ALGORITHM must be one of {all}")
        })?;
        anyhow::ensure!(
            secret.len() <= LONGEST,
            "its SECRET has {} octets: it must have 1 to {LONGEST}",
            secret.len()
        );
        Ok(Self {
            network,
            send_id: id("SEND-ID", send_id)?,
            receive_id: id("RECEIVE-ID", receive_id)?,
            algorithm,
            secret: secret.as_bytes().to_vec(),
        })
    }

    /// What it is called in segments: by us, and by the router.
    pub(super) fn ids(&self) -> Ids {
        Ids { send: self.send_id, receive: self.receive_id }
    }

    /// Sets it on a socket of IPv4, or of both; where it is preferred, as the key to begin with.
    pub(super) fn set_on(&self, socket: &impl AsFd, v6: bool, preferred: bool) -> io::Result<()> {
        let Some(value) = self.option(v6, preferred) else { return Ok(()) };
        option::set(socket, OPTION, &value).map_err(|error| {
            let remedy = self.remedy(&error);
            io::Error::new(error.kind(), format!("cannot set {self:?}: {error}; {remedy}"))
        })
    }

    /// What is to be done where it cannot be set.
    fn remedy(&self, error: &io::Error) -> String {
        match error.raw_os_error() {
            Some(libc::ENOENT) => {
                let Algorithm { name, linux, .. } = self.algorithm;
                format!("this kernel has no {linux}, which {name} takes: choose another algorithm")
            }
            Some(libc::ENOMEM) => "many keys take a larger net.core.optmem_max".to_owned(),
            Some(libc::ENOPROTOOPT) => "this kernel has no TCP-AO, which takes Linux 6.7 built \
                                        with CONFIG_TCP_AO: choose one that has, --tcp-md5, or TLS"
                .to_owned(),
            _ => "it takes Linux 6.7 built with CONFIG_TCP_AO".to_owned(),
        }
    }

    /// The `struct tcp_ao_add`. None, where the network's hosts cannot be reached by such a socket.
    ///
    /// ```text
    ///   0  address, as a sockaddr_storage       203  SendID
    /// 128  name of the algorithm, to a zero     204  RecvID
    /// 192  interface                            205  length of a code
    /// 196  set_current, set_rnext               206  flags: of all TCP options
    /// 200  reserved                             207  length of the secret
    /// 202  length of the prefix                 208  secret
    /// ```
    fn option(&self, v6: bool, preferred: bool) -> Option<[u8; SIZE]> {
        let Algorithm { linux, code, .. } = self.algorithm;
        let mut option = [0; SIZE];
        option[..ADDRESS].copy_from_slice(&option::address(self.network.network(), v6)?);
        option[128..128 + linux.len()].copy_from_slice(linux.as_bytes());
        option[196] = if preferred { SET_CURRENT | SET_RNEXT } else { 0 };
        // The length is that of IPv4 where the address is mapped.
        option[202] = self.network.prefix_len();
        option[203] = self.send_id;
        option[204] = self.receive_id;
        option[205] = code;
        option[207] = u8::try_from(self.secret.len()).unwrap_or(u8::MAX);
        option[208..208 + self.secret.len()].copy_from_slice(&self.secret);
        Some(option)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::Files, *};

    fn keys(text: &str) -> anyhow::Result<Vec<Key>> {
        parse("192.0.2.0/24".parse().unwrap(), text.as_bytes())
    }

    #[test]
    fn a_file_has_a_key_a_line() {
        let text = "# since May\r\n1 2 HMAC-SHA-1-96 s#cret\r\n\n\t255  0\taes-128-cmac-96 ü \n";
        let [old, new] = keys(text).unwrap().try_into().unwrap();
        assert_eq!((old.send_id, old.receive_id, old.algorithm.linux), (1, 2, "hmac(sha1)"));
        assert_eq!(old.secret, b"s#cret");
        assert_eq!((new.send_id, new.receive_id, new.algorithm.linux), (255, 0, "cmac(aes128)"));
        assert_eq!(new.secret, "ü".as_bytes());
    }

    #[test]
    fn what_is_no_key_is_named_with_what_to_do_and_without_the_secret() {
        let long = format!("1 2 hmac-sha-1-96 {}", "hush".repeat(21));
        for (text, words) in [
            ("", "there is none: write SEND-ID RECEIVE-ID ALGORITHM SECRET"),
            ("# hush", "there is none"),
            ("\n1 hmac-sha-1-96 hush", "line 2: it must have four words, SEND-ID"),
            ("1 2 hmac-sha-1-96 hush hush", "SECRET (without blanks), and has 5"),
            ("hush 2 hmac-sha-1-96 x", "line 1: its SEND-ID must be a number from 0 to 255"),
            ("1 256 hmac-sha-1-96 hush", "line 1: its RECEIVE-ID must be a number"),
            ("1 2 hush hmac-sha-1-96", "its ALGORITHM must be one of hmac-sha-1-96, aes-128-cmac"),
            (&long, "line 1: its SECRET has 84 octets: it must have 1 to 80"),
            (
                "1 2 hmac-sha-1-96 hush\n1 3 hmac-sha-1-96 hush",
                "line 2: SEND-ID 1 is that of line 1 too, each key has its own",
            ),
            (
                "1 2 hmac-sha-1-96 hush\n\n2 2 hmac-sha-1-96 hush",
                "line 3: RECEIVE-ID 2 is that of line 1 too",
            ),
        ] {
            let error = format!("{:#}", keys(text).unwrap_err());
            assert!(error.contains(words) && !error.contains("hush"), "{error}");
        }
        assert!(parse("::/0".parse().unwrap(), b"\xff").is_err());
    }

    #[test]
    fn a_file_is_named_with_its_network() {
        let files = Files::new("ao");
        let good = b"1 2 hmac-sha-1-96 hush";
        let error = |file: KeyFile| format!("{:#}", read(&[file]).unwrap_err());
        let text = error("192.0.2.0/24=/nowhere/keys".parse().unwrap());
        assert!(text.contains("the TCP-AO keys of 192.0.2.0/24 from /nowhere/keys"), "{text}");
        let file = files.with("192.0.2.0/24", "bad", b"1");
        let path = file.path.display().to_string();
        let text = error(file);
        assert!(text.starts_with(&format!("the TCP-AO keys of 192.0.2.0/24 in {path}: line 1: ")));
        for network in ["0.0.0.0/0", "0.0.0.0/8", "::/1"] {
            let text = error(files.with(network, "good", good));
            assert!(text.contains(&format!("--tcp-ao cannot be for {network}")), "{text}");
        }
        assert_eq!(read(&[files.with("::/0", "good", good)]).unwrap().len(), 1);
    }

    #[test]
    fn the_kernel_finds_each_part_in_its_place() {
        let text = "7 8 hmac-sha256-128 secret";
        let of =
            |network: &str| parse(network.parse().unwrap(), text.as_bytes()).unwrap().remove(0);
        assert!(of("2001:db8::/32").option(false, false).is_none());
        let mapped = of("192.0.2.0/24").option(true, false).unwrap();
        assert_eq!(&mapped[18..24], &[0xff, 0xff, 192, 0, 2, 0]);
        assert_eq!(&mapped[128..141], b"hmac(sha256)\0");
        // No interface, no flags, the prefix, both IDs, the code's length, and the secret's.
        assert_eq!(&mapped[192..208], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24, 7, 8, 16, 0, 6]);
        assert_eq!(&mapped[208..215], b"secret\0");
        let preferred = of("192.0.2.7/32").option(false, true).unwrap();
        assert_eq!(preferred[196], SET_CURRENT | SET_RNEXT);
        assert_eq!((&preferred[4..8], preferred[202]), (&[192, 0, 2, 7][..], 32));
    }

    #[test]
    fn a_kernel_without_is_told_from_one_that_wants_something_else() {
        let key = &keys("1 2 aes-128-cmac-96 hush").unwrap()[0];
        let remedy = |number| key.remedy(&io::Error::from_raw_os_error(number));
        assert!(remedy(libc::ENOPROTOOPT).contains("this kernel has no TCP-AO"));
        assert!(!remedy(libc::EINVAL).contains("no TCP-AO"));
        assert!(remedy(libc::ENOENT).contains("no cmac(aes128), which aes-128-cmac-96 takes"));
        assert!(remedy(libc::ENOMEM).contains("net.core.optmem_max"));
    }
}
