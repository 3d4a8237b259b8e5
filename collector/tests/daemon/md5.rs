//! TCP MD5 signatures: who has the key, who has another, and who has none.

use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use ribstream_collector::tcp_md5::{KeyFile, Keys};
use socket2::{Domain, Socket, Type};

use crate::daemon::{Daemon, INITIATION, wait_for};

/// A key in a file of its own, for `--tcp-md5`.
struct Key {
    path: PathBuf,
}

impl Key {
    fn new(name: &str, secret: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ribstream-{}-{name}", std::process::id()));
        std::fs::write(&path, secret).unwrap();
        Self { path }
    }

    fn of(&self, network: &str) -> String {
        format!("{network}={}", self.path.display())
    }

    fn set_on(&self, socket: &Socket, network: &str) {
        let file: KeyFile = self.of(network).parse().unwrap();
        Keys::read(&[file]).unwrap().set_on(socket).unwrap();
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.path);
    }
}

/// A socket of a router at this address.
fn router(source: &str) -> Socket {
    let source: IpAddr = source.parse().unwrap();
    let address = SocketAddr::new(source, 0);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

/// Whether this kernel has TCP MD5 at all.
fn is_there(key: &Key) -> bool {
    let keys = Keys::read(&[key.of("127.0.0.1").parse().unwrap()]).unwrap();
    let set = keys.set_on(&router("127.0.0.1"));
    if let Err(error) = &set {
        eprintln!("not tested: {error}");
    }
    set.is_ok()
}

/// Whether the collector answers it.
fn connect(socket: Socket, collector: SocketAddr) -> io::Result<TcpStream> {
    // The kernel drops what has no right signature without an answer.
    socket.connect_timeout(&collector.into(), Duration::from_secs(3))?;
    Ok(socket.into())
}

fn works(socket: Socket, collector: SocketAddr, daemon: &Daemon, router: &str) {
    let mut stream = connect(socket, collector).unwrap();
    stream.write_all(INITIATION).unwrap();
    daemon.event(router, "router_up");
}

#[test]
fn who_has_not_the_key_of_his_network_does_not_reach_the_port() {
    let (key, other) = (Key::new("right", "a secret\n"), Key::new("wrong", "another"));
    if !is_there(&key) {
        return;
    }
    let daemon = Daemon::start(&[
        "--listen",
        "[::]:0",
        "--tcp-md5",
        &key.of("127.0.1.0/24"),
        "--tcp-md5",
        &other.of("127.0.1.9"),
        "--tcp-md5",
        &key.of("::1"),
    ]);
    let v4 = SocketAddr::new([127, 0, 0, 1].into(), daemon.address.port());
    let v6 = SocketAddr::new("::1".parse().unwrap(), daemon.address.port());

    for (source, collector) in [("127.0.1.2", v4), ("::1", v6)] {
        let wrong = router(source);
        other.set_on(&wrong, &collector.ip().to_string());
        for socket in [router(source), wrong] {
            let error = connect(socket, collector).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{source}");
        }
        let right = router(source);
        key.set_on(&right, &collector.ip().to_string());
        works(right, collector, &daemon, source);
    }
    // The narrower network's key counts, and who has none needs none.
    let narrower = router("127.0.1.9");
    other.set_on(&narrower, "127.0.0.1");
    works(narrower, v4, &daemon, "127.0.1.9");
    works(router("127.0.2.1"), v4, &daemon, "127.0.2.1");
    assert!(daemon.log().iter().all(|line| !line.contains("secret")), "{:?}", daemon.log());
    assert!(daemon.stop().success());
}

#[test]
fn a_router_that_listens_is_connected_to_with_its_key() {
    let key = Key::new("active", "a secret");
    if !is_there(&key) {
        return;
    }
    let socket = router("127.0.0.2");
    key.set_on(&socket, "127.0.0.0/8");
    socket.listen(1).unwrap();
    let target = socket.local_addr().unwrap().as_socket().unwrap().to_string();
    let arguments = ["--listen", "off", "--connect", &target];
    let daemon = Daemon::start(&[&arguments[..], &["--tcp-md5", &key.of("127.0.0.2")]].concat());
    socket.set_nonblocking(true).unwrap();
    let (stream, _) = wait_for("the collector", || socket.accept().ok());
    stream.set_nonblocking(false).unwrap();
    TcpStream::from(stream).write_all(INITIATION).unwrap();
    daemon.event("127.0.0.2", "router_up");
    assert!(daemon.stop().success());
}
