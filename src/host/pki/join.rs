//! How a new node gets its identity: over TLS to a master whose authority it knows by fingerprint.
//!
//! The join token carries the authority's fingerprint and a secret. The node accepts only a chain
//! that ends in the certificate with that fingerprint, so nobody in between can pose as the
//! cluster; the secret proves the node to the master. Only then is its request signed.

use std::sync::Arc;

use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};

use super::{Identity, PkiError};
use crate::base::trust::{Judge, Shown};

/// For the door where nodes without an identity knock: shows the authority's certificate too.
///
/// # Errors
/// When the identity cannot be used.
pub fn server_config(identity: &Identity) -> Result<ServerConfig, PkiError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![identity.certificate.clone(), identity.authority.clone()];
    Ok(ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, identity.key())?)
}

/// For a node that knows the cluster by the fingerprint of its authority only.
///
/// # Errors
/// When the TLS library refuses the settings.
pub fn client_config(fingerprint: &str) -> Result<ClientConfig, PkiError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (fingerprint, with) = (fingerprint.to_owned(), provider.clone());
    // The last certificate has the fingerprint and signed the first.
    let pinned = Judge::by(&provider, move |shown| {
        let authority = shown.behind.last().ok_or(CertificateError::UnknownIssuer)?;
        if super::fingerprint(authority) != fingerprint {
            return Err(CertificateError::UnknownIssuer.into());
        }
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        Shown { behind: &[], ..shown }.is_vouched_for(roots, &with)
    });
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(pinned)
        .with_no_client_auth())
}
