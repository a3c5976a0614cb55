//! Which servers are trusted over TLS. Whoever trusts by other rules than the system's certificates
//! says how a certificate is judged; that the server holds its key is checked here.

use std::{fmt, sync::Arc};

use rustls::{
    DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// What a server shows of itself.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    pub certificate: &'a CertificateDer<'a>,
    /// The certificates behind it, the authority's last.
    pub behind: &'a [CertificateDer<'a>],
    /// The name it was reached by.
    pub name: &'a ServerName<'a>,
    pub now: UnixTime,
}

impl Shown<'_> {
    /// Whether one of `roots` vouches for it under that name.
    ///
    /// # Errors
    /// Why not, as the TLS library says it.
    pub fn is_vouched_for(
        &self,
        roots: RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<(), Error> {
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| Error::General(error.to_string()))?;
        let Self { certificate, behind, name, now } = *self;
        verifier.verify_server_cert(certificate, behind, name, &[], now).map(|_| ())
    }
}

/// A rule to judge servers by.
type Rule = dyn Fn(Shown<'_>) -> Result<(), Error> + Send + Sync;

/// Takes what its rule takes.
pub struct Judge {
    provider: Arc<CryptoProvider>,
    rule: Box<Rule>,
}

impl Judge {
    /// Judges by `rule`.
    pub fn by(
        provider: &Arc<CryptoProvider>,
        rule: impl Fn(Shown<'_>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { provider: provider.clone(), rule: Box::new(rule) })
    }

    /// Takes every certificate: for servers whose name proves nothing (probes of tasks, services
    /// behind the front door) and a command line that was told `--insecure`.
    pub fn taking_all(provider: &Arc<CryptoProvider>) -> Arc<Self> {
        Self::by(provider, |_| Ok(()))
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        behind: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        (self.rule)(Shown { certificate, behind, name, now })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
