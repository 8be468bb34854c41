//! Whom to believe that a host is the one it says: the authorities the system trusts, and those the operator adds.

use rustls_native_certs::load_native_certs;
use std::{io, sync::Arc};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

/// How to speak TLS as a client. Reads files, so it may take a moment.
pub(super) fn client_config(trusted_certificates_file: Option<&str>) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let system = load_native_certs();
    let (added, _unusable) = roots.add_parsable_certificates(system.certs);
    if let Some(file) = trusted_certificates_file {
        let certificates = CertificateDer::pem_file_iter(file).map_err(io::Error::other)?;
        for certificate in certificates {
            let certificate = certificate.map_err(io::Error::other)?;
            roots.add(certificate).map_err(io::Error::other)?;
        }
    } else if added == 0 {
        return Err(io::Error::other("the system trusts no certificates (replicator/ssl_trusted_certificates_file)"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
