//! TLS for a listener: a certificate and its key, read from files and read again when they change.
//!
//! A pair that can't be used is refused at the start. Later it is told in the log, and the pair in use stays in use:
//! whoever renews certificates writes two files, one after the other, and for a moment they don't belong together.

use crate::config::KeyPair;
use anyhow::{Context, Result, ensure};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{signal::unix::Signal, time::sleep};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What clients may speak under TLS, the preferred first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The certificate that new connections are given.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: KeyPair,
    current: RwLock<Arc<CertifiedKey>>,
    provider: Arc<CryptoProvider>,
}

/// What tells whether the files were changed; nothing for one that isn't there.
type Stamp = [Option<(u64, u64, i64, i64)>; 2];

/// Installs the one provider of cryptography, for whatever uses TLS in this process. To be called before that; a second
/// time it does nothing.
pub(crate) fn install_provider() {
    if CryptoProvider::get_default().is_none() {
        // Another thread's is the same.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

impl Certificate {
    /// Reads the files.
    pub(crate) fn load(files: KeyPair) -> Result<Arc<Self>> {
        let provider = CryptoProvider::get_default().context("no provider of cryptography is installed")?;
        let current = RwLock::new(Arc::new(read(&files, provider)?));
        Ok(Arc::new(Self { files, current, provider: Arc::clone(provider) }))
    }

    /// What connections are accepted with, now and after a change of the files.
    pub(crate) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor> {
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&self.provider)).with_safe_default_protocol_versions();
        let builder = builder?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again whenever they change, and when told to by `hangup`, until the server drains.
    pub(crate) async fn follow(self: Arc<Self>, mut hangup: Signal, draining: CancellationToken) {
        let mut known = stamp(&self.files);
        loop {
            let told = tokio::select! {
                () = sleep(LOOK_EVERY) => false,
                _ = hangup.recv() => true,
                () = draining.cancelled() => return,
            };
            let found = stamp(&self.files);
            if told || found != known {
                known = found;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        match read(&self.files, &self.provider) {
            Ok(read) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
                tracing::info!(certificate = %self.files.cert.display(), "TLS: a new certificate is in use");
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(
                    error,
                    "TLS: the changed files can't be used; the certificate from before stays in use"
                );
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(files: &KeyPair, provider: &CryptoProvider) -> Result<CertifiedKey> {
    let KeyPair { cert, key } = files;
    let chain = certificates(cert).with_context(|| format!("could not read the TLS certificate {}", cert.display()))?;
    let private = fs::read(key).map_err(anyhow::Error::from).and_then(|pem| Ok(PrivateKeyDer::from_pem_slice(&pem)?));
    let private = private.with_context(|| format!("could not read the TLS key {}", key.display()))?;
    CertifiedKey::from_der(chain, private, provider)
        .with_context(|| format!("the TLS key {} doesn't fit the certificate {}", key.display(), cert.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = fs::read(path)?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>()?;
    ensure!(!chain.is_empty(), "no certificate in PEM is in it");
    Ok(chain)
}

fn stamp(files: &KeyPair) -> Stamp {
    [&files.cert, &files.key].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
    })
}
