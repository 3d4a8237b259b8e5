//! Kafka by TLS, with the client's certificate or a password, and who has neither.

use std::{fs, path::Path, process::Stdio};

use ribstream_testkit::{Database, SecureKafka};

use crate::{
    certificates::{authority, certificate},
    common::{Bed, binary},
    replay::collect_with,
};

/// Initiation with the sysName "r".
const INITIATION: &[u8] = &[3, 0, 0, 0, 11, 4, 0, 2, 0, 1, b'r'];

/// What a client is told.
struct Client<'d> {
    directory: &'d Path,
    arguments: Vec<String>,
}

impl<'d> Client<'d> {
    fn new(directory: &'d Path, brokers: &str) -> Self {
        let client = Self { directory, arguments: Vec::new() };
        client.property("bootstrap.servers", brokers)
    }

    fn property(mut self, key: &str, value: &str) -> Self {
        self.arguments.extend(["--kafka-property".to_owned(), format!("{key}={value}")]);
        self
    }

    fn file(self, key: &str, name: &str) -> Self {
        let path = self.directory.join(name).display().to_string();
        self.property(key, &path)
    }

    /// Trusts an authority.
    fn trust(self, ca: &str) -> Self {
        self.file("ssl.ca.location", ca)
    }

    /// Shows a certificate.
    fn show(self, name: &str) -> Self {
        self.file("ssl.certificate.location", &format!("{name}.crt"))
            .file("ssl.key.location", &format!("{name}.key"))
    }

    /// Says a password that a file has.
    fn password(mut self, mechanism: &str, file: &str) -> Self {
        let path = self.directory.join(file).display().to_string();
        let password = format!("sasl.password={path}");
        self.arguments.extend(["--kafka-property-file".to_owned(), password]);
        self.property("security.protocol", "sasl_ssl")
            .property("sasl.mechanisms", mechanism)
            .property("sasl.username", "ribstream")
    }

    fn arguments(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }

    /// Why it does not come to read.
    fn refusal(self, bed: &Bed) -> String {
        let tap = binary()
            .args(["tap", "--topic-events", &bed.topic])
            .args(self.arguments())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!tap.status.success());
        String::from_utf8(tap.stderr).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_pass_by_tls_for_who_shows_a_certificate_or_knows_the_password() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    authority(directory, "ca");
    authority(directory, "other");
    certificate(directory, "ca", "server", "IP:127.0.0.1");
    certificate(directory, "ca", "client", "DNS:ribstream");
    certificate(directory, "other", "stranger", "DNS:ribstream");
    let [key, chain] = ["server.key", "server.crt"].map(|file| fs::read(directory.join(file)));
    fs::write(directory.join("server.pem"), [key.unwrap(), chain.unwrap()].concat()).unwrap();
    fs::write(directory.join("password"), "ribstream\n").unwrap();
    fs::write(directory.join("wrong"), "not-the-password").unwrap();
    let Some(kafka) = SecureKafka::start(directory).await.unwrap() else {
        eprintln!("not tested: RIBSTREAM_TEST_STACK names no stack");
        return;
    };
    let bed = Bed::with(kafka.kafka().clone(), Database::fresh().await.unwrap(), 1).await;
    let tls = || Client::new(directory, kafka.tls()).property("security.protocol", "ssl");
    let sasl = || Client::new(directory, kafka.sasl()).trust("ca.pem");

    let good = [
        tls().trust("ca.pem").show("client"),
        sasl().password("PLAIN", "password"),
        sasl().password("SCRAM-SHA-256", "password"),
        sasl().password("SCRAM-SHA-512", "password"),
    ];
    for (client, sessions) in good.iter().zip(1..) {
        collect_with(&bed, INITIATION, &client.arguments()).await;
        let ingester = bed.ingester(&client.arguments());
        bed.wait_until_stored().await;
        assert_eq!(ingester.stop(), Some(0));
        assert_eq!(bed.number("select count(*) from bmp_sessions").await, sessions);
    }

    let clear = Client::new(directory, kafka.tls());
    let bad = [
        ("no certificate", tls().trust("ca.pem")),
        ("a stranger's certificate", tls().trust("ca.pem").show("stranger")),
        ("a server that is not trusted", tls().trust("other.pem").show("client")),
        ("a wrong password", sasl().password("SCRAM-SHA-512", "wrong")),
        ("no TLS", clear),
    ];
    std::thread::scope(|scope| {
        let refused = bad.map(|(what, client)| {
            let bed = &bed;
            (what, scope.spawn(move || client.refusal(bed)))
        });
        for (what, said) in refused {
            let said = said.join().unwrap();
            assert!(said.contains("cannot reach Kafka at"), "{what}: {said}");
            assert!(!said.contains("not-the-password"), "{what}: {said}");
        }
    });
}
