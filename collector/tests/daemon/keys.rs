//! Routers that sign what they send, rightly or not.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use ribstream_collector::tcp_auth::{KeyFile, Keys};
use socket2::{Domain, Socket, Type};

use crate::daemon::{Daemon, INITIATION, wait_for};

/// A file of its own for `--tcp-md5` or `--tcp-ao`.
pub(crate) struct Key {
    path: PathBuf,
    option: &'static str,
}

impl Key {
    pub(crate) fn md5(name: &str, secret: &str) -> Self {
        Self::new("--tcp-md5", name, secret)
    }

    pub(crate) fn ao(name: &str, lines: &str) -> Self {
        Self::new("--tcp-ao", name, lines)
    }

    fn new(option: &'static str, name: &str, content: &str) -> Self {
        let name = format!("ribstream-{}{option}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        Self { path, option }
    }

    /// What the collector is told.
    pub(crate) fn of(&self, network: &str) -> [String; 2] {
        [self.option.to_owned(), format!("{network}={}", self.path.display())]
    }

    pub(crate) fn read(&self, network: &str) -> Keys {
        let [_, file] = self.of(network);
        let file = [file.parse::<KeyFile>().unwrap()];
        match self.option {
            "--tcp-md5" => Keys::read(&file, &[]),
            _ => Keys::read(&[], &file),
        }
        .unwrap()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.path);
    }
}

/// A collector that listens, and where it does, in IPv4 and in IPv6.
pub(crate) fn collector(keys: &[[String; 2]], more: &[&str]) -> (Daemon, SocketAddr, SocketAddr) {
    let keys = keys.iter().flatten().map(String::as_str);
    let arguments: Vec<&str> = ["--listen", "[::]:0"].into_iter().chain(keys).collect();
    let daemon = Daemon::start(&[&arguments[..], more].concat());
    let at = |address| SocketAddr::new(address, daemon.address.port());
    let addresses = (at(Ipv4Addr::LOCALHOST.into()), at(Ipv6Addr::LOCALHOST.into()));
    (daemon, addresses.0, addresses.1)
}

/// A socket of a router at this address, unsigned.
pub(crate) fn router(source: &str) -> Socket {
    let source: IpAddr = source.parse().unwrap();
    let address = SocketAddr::new(source, 0);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

/// One that signs, with a key that is the router's for the collector.
pub(crate) fn signing(source: &str, key: &Key, collector: SocketAddr) -> Socket {
    let socket = router(source);
    let keys = key.read(&collector.ip().to_string());
    keys.set_for(collector.ip(), &socket).unwrap();
    socket
}

/// Whether the collector answers it.
fn connect(socket: Socket, collector: SocketAddr) -> io::Result<TcpStream> {
    // The kernel drops what is not signed rightly without an answer.
    socket.connect_timeout(&collector.into(), Duration::from_secs(3))?;
    Ok(socket.into())
}

pub(crate) fn is_not_answered(socket: Socket, collector: SocketAddr) {
    let source = socket.local_addr().unwrap();
    let error = connect(socket, collector).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{source:?}");
}

pub(crate) fn works(
    socket: Socket,
    collector: SocketAddr,
    daemon: &Daemon,
    router: &str,
) -> TcpStream {
    let sessions = || {
        let events = daemon.events(router);
        events.iter().filter(|event| event.get("router_up").is_some()).count()
    };
    let before = sessions();
    let mut stream = connect(socket, collector).unwrap();
    stream.write_all(INITIATION).unwrap();
    wait_for(router, || (sessions() > before).then_some(()));
    stream
}

/// A collector that has these keys connects to a router that is about to listen.
pub(crate) fn is_connected_to(socket: &Socket, [option, keys]: &[String; 2]) {
    socket.listen(1).unwrap();
    let target = socket.local_addr().unwrap().as_socket().unwrap();
    let arguments = ["--listen", "off", "--connect", &target.to_string(), option, keys];
    let daemon = Daemon::start(&arguments);
    socket.set_nonblocking(true).unwrap();
    let (stream, _) = wait_for("the collector", || socket.accept().ok());
    stream.set_nonblocking(false).unwrap();
    TcpStream::from(stream).write_all(INITIATION).unwrap();
    daemon.event(&target.ip().to_string(), "router_up");
    assert!(daemon.stop().success());
}

/// The daemon says nowhere what is secret.
pub(crate) fn is_kept(secret: &str, daemon: &Daemon) {
    assert!(daemon.log().iter().all(|line| !line.contains(secret)), "{:?}", daemon.log());
}
