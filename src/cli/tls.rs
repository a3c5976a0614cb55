//! TLS towards the cluster: the system's authorities, those of `--ca`, or none with `--insecure`.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::error::{CliError, Outcome};
use crate::http::trust::AnyCertificate;

/// What to trust.
pub fn config(ca: Option<&Path>, insecure: bool) -> Outcome<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| CliError::failure(error.to_string()))?;
    if insecure {
        let verifier = Arc::new(AnyCertificate(provider));
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        return Ok(Arc::new(builder.with_no_client_auth()));
    }
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            let unreadable = |error: &dyn std::fmt::Display| {
                CliError::usage(format!("{}: {error}", file.display()))
                    .hint("--ca wants a file of certificates in PEM form")
            };
            let found = CertificateDer::pem_file_iter(file).map_err(|e| unreadable(&e))?;
            for certificate in found {
                let certificate = certificate.map_err(|e| unreadable(&e))?;
                roots.add(certificate).map_err(|e| unreadable(&e))?;
            }
        }
        None => {
            // How many of the system's own certificates could not be read is of no use here.
            let own = rustls_native_certs::load_native_certs().certs;
            let _counts = roots.add_parsable_certificates(own);
        }
    }
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
