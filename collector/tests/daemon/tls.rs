//! TLS on the BMP port: who is let in, and certificates that change.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use crate::daemon::{Daemon, INITIATION, connect_from, is_closed, wait_for};

const SERVER: &str = "collector.example.net";

/// An authority, as certificates are signed by.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn signs(&self, common_name: &str, alternative: &[&str]) -> Identity {
        self.signs_until(2031, common_name, alternative)
    }

    fn signs_until(&self, year: i32, common_name: &str, alternative: &[&str]) -> Identity {
        let names: Vec<String> = alternative.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

/// The files of a collector.
struct Files(tempfile::TempDir);

impl Files {
    fn new(identity: &Identity, client_ca: &Authority) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.put(identity);
        fs::write(files.path("ca.pem"), client_ca.pem()).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, identity: &Identity) {
        fs::write(self.path("tls.key"), &identity.key).unwrap();
        fs::write(self.path("tls.crt"), &identity.certificate).unwrap();
    }

    /// A collector with these, and nothing but TLS.
    fn start(&self, more: &[&str]) -> Daemon {
        start(&self.path("tls.crt"), &self.path("tls.key"), more)
    }

    /// One that asks routers for certificates.
    fn start_mutual(&self, more: &[&str]) -> Daemon {
        let ca = self.path("ca.pem");
        self.start(&[&["--tls-client-ca", ca.to_str().unwrap()], more].concat())
    }
}

fn start(certificate: &Path, key: &Path, more: &[&str]) -> Daemon {
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let tls = ["--listen", "off", "--tls-listen", "127.0.0.1:0"];
    let files = ["--tls-certificate", certificate, "--tls-key", key];
    Daemon::start(&[&tls[..], &files, more].concat())
}

type Router = StreamOwned<ClientConnection, TcpStream>;

/// A router that believes `authority`, shows `identity`, and sends its Initiation.
fn router(
    stream: TcpStream,
    authority: &Authority,
    identity: Option<&Identity>,
) -> io::Result<Router> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        Some(Identity { certificate, key }) => builder.with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        ),
        None => Ok(builder.with_no_client_auth()),
    };
    let name = ServerName::try_from(SERVER).unwrap();
    let session = ClientConnection::new(Arc::new(config.unwrap()), name).unwrap();
    let mut router = StreamOwned::new(session, stream);
    router.write_all(INITIATION)?;
    router.flush()?;
    Ok(router)
}

/// Whether the collector ends the router's connection.
fn is_ended(router: io::Result<Router>) {
    // A client learns of a refusal when it reads, or before.
    if let Ok(mut router) = router {
        assert!(!matches!(router.read(&mut [0; 1]), Ok(1..)));
    }
}

fn from(source: &str, daemon: &Daemon) -> TcpStream {
    connect_from(source, daemon.listens("tls"))
}

#[test]
fn a_router_is_heard_by_tls_and_who_speaks_in_the_clear_is_not() {
    let ca = Authority::new("ca");
    let files = Files::new(&ca.signs("collector", &[SERVER]), &ca);
    let daemon = files.start(&["--first-message-timeout", "2s"]);
    let router = router(from("127.0.0.2", &daemon), &ca, None).unwrap();
    daemon.event("127.0.0.2", "router_up");
    let mut plain = from("127.0.0.3", &daemon);
    plain.write_all(&INITIATION.repeat(10)).unwrap();
    // An alert, then the end.
    let _ = plain.read_to_end(&mut Vec::new());
    daemon.refuses("tls-handshake", 1.0);
    let line = daemon.line("reason=\"tls-handshake\"");
    assert!(line.contains("router=127.0.0.3"), "{line}");
    // A handshake is a part of the first message's time.
    is_closed(&mut from("127.0.0.4", &daemon));
    daemon.refuses("first-message-timeout", 1.0);
    assert!(daemon.events("127.0.0.3").is_empty());
    drop(router);
    assert!(daemon.stop().success());
}

#[test]
fn a_large_stream_comes_whole_by_tls() {
    let ca = Authority::new("ca");
    let files = Files::new(&ca.signs("collector", &[SERVER]), &ca);
    let daemon = files.start(&[]);
    let mut router = router(from("127.0.0.2", &daemon), &ca, None).unwrap();
    // More than the socket's buffers hold, in messages of all sizes.
    let mut bytes = 0;
    for n in 0..2000_usize {
        let body = vec![0; n * 7 % 9000];
        let length = u32::try_from(6 + body.len()).unwrap().to_be_bytes();
        router.write_all(&[&[3], &length[..], &[200], &body].concat()).unwrap();
        bytes += 6 + body.len();
    }
    router.conn.send_close_notify();
    router.flush().unwrap();
    daemon.receives(bytes + INITIATION.len());
    daemon.metric_reaches("sessions_closed_total{reason=\"disconnect\"}", 1.0);
    let down = daemon.event("127.0.0.2", "router_down");
    assert_eq!(down["router_down"]["detail"], "the router closed", "{down}");
}

#[test]
fn a_stream_that_is_cut_is_not_taken_for_one_that_was_closed() {
    let ca = Authority::new("ca");
    let files = Files::new(&ca.signs("collector", &[SERVER]), &ca);
    let daemon = files.start(&[]);
    let router = router(from("127.0.0.2", &daemon), &ca, None).unwrap();
    // No close of TLS's own before TCP's.
    router.sock.shutdown(Shutdown::Write).unwrap();
    let down = daemon.event("127.0.0.2", "router_down");
    let detail = down["router_down"]["detail"].as_str().unwrap();
    assert!(detail.contains("close_notify"), "{down}");
}

#[test]
fn without_a_certificate_of_the_authority_nobody_is_let_in() {
    let (ca, other) = (Authority::new("ca"), Authority::new("ca"));
    let files = Files::new(&ca.signs("collector", &[SERVER]), &ca);
    let daemon = files.start_mutual(&[]);
    let good = ca.signs("edge1", &[]);
    let _router = router(from("127.0.0.2", &daemon), &ca, Some(&good)).unwrap();
    daemon.event("127.0.0.2", "router_up");
    is_ended(router(from("127.0.0.3", &daemon), &ca, None));
    daemon.refuses("tls-handshake", 1.0);
    let forged = other.signs("edge1", &[]);
    is_ended(router(from("127.0.0.4", &daemon), &ca, Some(&forged)));
    daemon.refuses("tls-handshake", 2.0);
    let ended = ca.signs_until(2020, "edge1", &[]);
    is_ended(router(from("127.0.0.6", &daemon), &ca, Some(&ended)));
    daemon.refuses("tls-handshake", 3.0);
    // Signed by nobody but itself.
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["edge1".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    let own = Identity { certificate, key: key.serialize_pem() };
    is_ended(router(from("127.0.0.5", &daemon), &ca, Some(&own)));
    daemon.refuses("tls-handshake", 4.0);
    for refused in ["127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"] {
        assert!(daemon.events(refused).is_empty(), "{refused}");
    }
}

#[test]
fn a_certificate_must_have_a_name_that_is_expected() {
    let ca = Authority::new("ca");
    let files = Files::new(&ca.signs("collector", &[SERVER]), &ca);
    let daemon = files.start_mutual(&["--tls-client-name", "edge1,edge2.example.net,127.0.0.9"]);
    let mut routers = Vec::new();
    for (source, common_name, alternative) in [
        ("127.0.0.2", "edge1", &[][..]),
        ("127.0.0.3", "any", &["other.example.net", "EDGE2.example.net"]),
        ("127.0.0.4", "any", &["127.0.0.9"]),
    ] {
        let identity = ca.signs(common_name, alternative);
        routers.push(router(from(source, &daemon), &ca, Some(&identity)).unwrap());
        daemon.event(source, "router_up");
    }
    for (refused, (common_name, alternative)) in (1..).zip([
        ("edge10", &[][..]),
        ("any", &["edge1.example.net"]),
        ("any", &["*.example.net"]),
        ("any", &["127.0.0.10"]),
    ]) {
        let identity = ca.signs(common_name, alternative);
        is_ended(router(from("127.0.0.66", &daemon), &ca, Some(&identity)));
        daemon.refuses("tls-client-name", f64::from(refused));
    }
    assert!(daemon.events("127.0.0.66").is_empty());
}

/// Whether a handshake succeeds where only `authority` is believed.
fn is_signed_by(authority: &Authority, daemon: &Daemon) -> bool {
    router(from("127.0.0.7", daemon), authority, None).is_ok_and(|mut router| {
        // The handshake ends within the first flush, and was read then.
        router.conn.complete_io(&mut router.sock).is_ok() && !router.conn.is_handshaking()
    })
}

#[test]
fn a_new_certificate_is_taken_without_a_restart_and_a_broken_one_is_not() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let files = Files::new(&old.signs("collector", &[SERVER]), &old);
    let daemon = files.start(&[]);
    let session = router(from("127.0.0.2", &daemon), &old, None).unwrap();
    daemon.event("127.0.0.2", "router_up");

    // The key of another certificate: what was there stays.
    daemon.metric_reaches("certificate_expires_timestamp_seconds", 1_924_992_000.0);
    let next = new.signs_until(2032, "collector", &[SERVER]);
    fs::write(files.path("tls.key"), &next.key).unwrap();
    daemon.signal("-HUP");
    daemon.metric_reaches("certificate_reloads_total{result=\"failed\"}", 1.0);
    let line = daemon.line("cannot use the new certificate");
    assert!(line.contains("do not go together"), "{line}");
    assert!(is_signed_by(&old, &daemon));

    files.put(&next);
    daemon.signal("-HUP");
    daemon.metric_reaches("certificate_reloads_total{result=\"loaded\"}", 1.0);
    assert!(!is_signed_by(&old, &daemon));
    assert!(is_signed_by(&new, &daemon));
    daemon.metric_reaches("certificate_expires_timestamp_seconds", 1_956_528_000.0);
    // Whoever was there stays.
    let mut session = session;
    session.write_all(INITIATION).unwrap();
    session.flush().unwrap();
    wait_for("the session", || (daemon.events("127.0.0.2").len() >= 2).then_some(()));
    assert!(daemon.stop().success());
}

#[test]
fn a_secret_that_kubernetes_swaps_is_found_by_itself() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let volume = tempfile::tempdir().unwrap();
    let version = |name: &str, identity: &Identity| {
        let folder = volume.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("tls.crt"), &identity.certificate).unwrap();
        fs::write(folder.join("tls.key"), &identity.key).unwrap();
    };
    // As the kubelet has it: the files are links into a folder that is a link.
    let swap = |to: &str| {
        let link = volume.path().join("..next");
        std::os::unix::fs::symlink(to, &link).unwrap();
        fs::rename(&link, volume.path().join("..data")).unwrap();
    };
    version("..1", &old.signs("collector", &[SERVER]));
    swap("..1");
    for name in ["tls.crt", "tls.key"] {
        let to = Path::new("..data").join(name);
        std::os::unix::fs::symlink(to, volume.path().join(name)).unwrap();
    }
    let daemon = start(&volume.path().join("tls.crt"), &volume.path().join("tls.key"), &[]);
    assert!(is_signed_by(&old, &daemon));
    version("..2", &new.signs("collector", &[SERVER]));
    swap("..2");
    daemon.metric_reaches("certificate_reloads_total{result=\"loaded\"}", 1.0);
    assert!(is_signed_by(&new, &daemon));
}

#[test]
fn tls_behind_a_balancer_begins_after_its_header() {
    let ca = Authority::new("ca");
    let files = Files::new(&ca.signs("collector", &[SERVER]), &ca);
    let daemon = files.start(&["--proxy-from", "127.0.0.50"]);
    let mut stream = from("127.0.0.50", &daemon);
    stream.write_all(b"PROXY TCP4 192.0.2.1 198.51.100.1 40001 11019\r\n").unwrap();
    let _router = router(stream, &ca, None).unwrap();
    daemon.event("192.0.2.1", "router_up");
}

#[test]
fn a_balancer_that_looks_whether_there_is_tls_finds_it() {
    let ca = Authority::new("ca");
    let files = Files::new(&ca.signs("collector", &[SERVER]), &ca);
    let daemon = files.start(&["--proxy-from", "127.0.0.50"]);
    let mut stream = from("127.0.0.50", &daemon);
    stream.write_all(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").unwrap();
    let mut check = router(stream, &ca, None).unwrap();
    assert!(!check.conn.is_handshaking());
    // Closed behind what the handshake leaves to be read.
    let _ = check.sock.read_to_end(&mut Vec::new());
    daemon.metric_reaches("balancer_checks_total", 1.0);
    assert_eq!(daemon.metric("sessions_opened_total"), Some(0.0));
}

fn failure(args: &[&str]) -> String {
    let ports = ["run", "--stdout", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let output = Command::new(env!("CARGO_BIN_EXE_ribstream-collector"))
        .args(ports)
        .args(args)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn half_a_configuration_is_one_line_that_says_what_is_missing() {
    let ca = Authority::new("ca");
    let files = Files::new(&ca.signs("collector", &[SERVER]), &ca);
    let (certificate, key) = (files.path("tls.crt"), files.path("tls.key"));
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listen = listen.to_string();
    let tls = ["--tls-listen", &listen];
    for (args, said) in [
        (vec![], "--tls-listen needs --tls-certificate"),
        (vec!["--tls-certificate", certificate], "--tls-listen needs --tls-key"),
        (
            vec!["--tls-certificate", certificate, "--tls-key", key, "--tls-client-name", "edge1"],
            "--tls-client-name needs --tls-client-ca",
        ),
        (vec!["--tls-certificate", key, "--tls-key", key], "holds no certificate in PEM"),
        (vec!["--tls-certificate", certificate, "--tls-key", certificate], "holds no private key"),
        (
            vec!["--tls-certificate", "/nowhere/tls.crt", "--tls-key", key],
            "cannot read /nowhere/tls.crt, see --tls-certificate",
        ),
    ] {
        let line = failure(&[&tls[..], &args].concat());
        assert!(line.contains(said) && line.lines().count() == 1, "{line}");
    }
    let line = failure(&["--tls-certificate", certificate]);
    assert!(line.contains("of no use without --tls-listen"), "{line}");
}
