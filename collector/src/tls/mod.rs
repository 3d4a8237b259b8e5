//! TLS on the BMP port, with certificates of the routers where they are asked for.

mod der;
mod expiry;
mod name;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use anyhow::Context as _;
use jiff::Timestamp;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::TcpStream,
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::{admission::Refusal, config::TransportOptions, metrics::Metrics};

/// How often the files are looked at. Kubernetes takes a minute to bring a new secret.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// The certificate that we show, and whose certificates we take.
pub struct Tls {
    files: Files,
    names: Vec<String>,
    /// For the next handshake; a reload puts another in its place.
    active: RwLock<Active>,
    /// What the files held when they were last looked at, good or not.
    seen: Mutex<Contents>,
}

#[derive(Clone)]
struct Active {
    config: Arc<ServerConfig>,
    /// When the certificate ends.
    expires: Option<Timestamp>,
}

#[derive(Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

#[derive(PartialEq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// As configured, which must be whole; `None` where there is no TLS.
    pub fn new(options: &TransportOptions) -> anyhow::Result<Option<Self>> {
        let TransportOptions { tls_certificate, tls_key, tls_client_ca, tls_client_name, .. } =
            options;
        if options.tls_listen.is_none() {
            let unused = tls_certificate.is_some() || tls_key.is_some() || tls_client_ca.is_some();
            anyhow::ensure!(!unused, "a certificate is of no use without --tls-listen");
            return Ok(None);
        }
        anyhow::ensure!(
            tls_client_name.is_empty() || tls_client_ca.is_some(),
            "--tls-client-name needs --tls-client-ca, which says whose certificates are believed"
        );
        let files = Files {
            certificate: tls_certificate.clone().context("--tls-listen needs --tls-certificate")?,
            key: tls_key.clone().context("--tls-listen needs --tls-key")?,
            client_ca: tls_client_ca.clone(),
        };
        let contents = files.read()?;
        let active = contents.active(&files)?;
        Ok(Some(Self {
            files,
            names: tls_client_name.clone(),
            active: RwLock::new(active),
            seen: Mutex::new(contents),
        }))
    }

    /// The handshake, and whether it is somebody whom we know.
    pub async fn accept(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Refusal> {
        let stream =
            TlsAcceptor::from(self.active().config).accept(stream).await.map_err(|error| {
                match error.kind() {
                    // Who only looks whether the port is open attempts no handshake.
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                        Refusal::Broken(error)
                    }
                    _ => Refusal::Tls(error),
                }
            })?;
        if !self.names.is_empty() {
            let (_, session) = stream.get_ref();
            let certificate = session.peer_certificates().and_then(<[_]>::first);
            if !certificate.is_some_and(|certificate| name::is_one_of(certificate, &self.names)) {
                return Err(Refusal::ClientName);
            }
        }
        Ok(stream)
    }

    /// Reads the files again when they have changed, which it looks for every so often and
    /// at each SIGHUP, until shutdown.
    pub async fn keep_fresh(self: Arc<Self>, metrics: Arc<Metrics>, shutdown: CancellationToken) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                tracing::error!(%error, "cannot watch for SIGHUP, the certificate stays as it is");
                return;
            }
        };
        let mut check = interval(CHECK_INTERVAL);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Some(expires) = self.active().expires {
                metrics.connections.certificate_expires.set(expires.as_second());
            }
            tokio::select! {
                _ = check.tick() => {}
                _ = hangup.recv() => tracing::info!("SIGHUP, looking for a new certificate"),
                () = shutdown.cancelled() => return,
            }
            let tls = Arc::clone(&self);
            let reloaded = tokio::task::spawn_blocking(move || tls.reload()).await;
            let result = match reloaded {
                Ok(Ok(false)) | Err(_) => continue,
                Ok(Ok(true)) => {
                    let path = self.files.certificate.display();
                    let expires = self.active().expires.map(tracing::field::display);
                    tracing::info!(%path, expires, "certificate reloaded");
                    "loaded"
                }
                Ok(Err(error)) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "cannot use the new certificate, the one before stays",
                    );
                    "failed"
                }
            };
            metrics.connections.certificate_reloads.with_label_values(&[result]).inc();
        }
    }

    fn active(&self) -> Active {
        self.active.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the files' contents where they have changed. An error is told once; while a
    /// certificate and its key are replaced one after the other there may be one.
    fn reload(&self) -> anyhow::Result<bool> {
        let contents = self.files.read()?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == contents {
            return Ok(false);
        }
        *seen = contents;
        let active = seen.active(&self.files)?;
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = active;
        Ok(true)
    }
}

impl Files {
    fn read(&self) -> anyhow::Result<Contents> {
        let read = |path: &Path, flag: &str| -> anyhow::Result<Vec<u8>> {
            fs::read(path).with_context(|| format!("cannot read {}, see {flag}", path.display()))
        };
        Ok(Contents {
            certificate: read(&self.certificate, "--tls-certificate")?,
            key: read(&self.key, "--tls-key")?,
            client_ca: self
                .client_ca
                .as_deref()
                .map(|path| read(path, "--tls-client-ca"))
                .transpose()?,
        })
    }
}

impl Contents {
    fn active(&self, files: &Files) -> anyhow::Result<Active> {
        let chain = certificates(&self.certificate, &files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .with_context(|| format!("{} holds no private key in PEM", files.key.display()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match (&self.client_ca, &files.client_ca) {
            (Some(pem), Some(path)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem, path)? {
                    roots.add(certificate).with_context(|| {
                        format!("{} holds what is no authority", path.display())
                    })?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build()?)
            }
            _ => builder.with_no_client_auth(),
        };
        let expires = chain.first().and_then(expiry::not_after);
        let config = builder.with_single_cert(chain, key).with_context(|| {
            format!(
                "{} and {} do not go together",
                files.certificate.display(),
                files.key.display()
            )
        })?;
        Ok(Active { config: Arc::new(config), expires })
    }
}

fn certificates(pem: &[u8], path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.with_context(|| format!("{} is no PEM", path.display()))?;
    anyhow::ensure!(!certificates.is_empty(), "{} holds no certificate in PEM", path.display());
    Ok(certificates)
}
