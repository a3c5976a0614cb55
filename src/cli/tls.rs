//! TLS towards the cluster: the system's authorities, those of `--ca` or of the remembered login, or
//! none with `--insecure`; and how an authority nobody knows yet is met for the first time.

use std::{path::Path, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::error::{CliError, Exit, Outcome};
use crate::{
    base::trust::{Judge, Shown},
    host::pki,
};

/// How long connecting and a handshake may take.
const LOOK: Duration = Duration::from_secs(5);

/// What to trust.
pub fn config(ca: Option<&Path>, insecure: bool) -> Outcome<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| CliError::failure(error.to_string()))?;
    if insecure {
        let verifier = Judge::taking_all(&provider);
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        return Ok(Arc::new(builder.with_no_client_auth()));
    }
    Ok(Arc::new(builder.with_root_certificates(roots(ca)?).with_no_client_auth()))
}

fn roots(ca: Option<&Path>) -> Outcome<RootCertStore> {
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
    Ok(roots)
}

/// What answers at an address.
pub enum Found {
    /// A server whose certificate is trusted already.
    Trusted,
    /// A server whose certificate is good for its name by an authority that is not trusted yet.
    Stranger(Introduced),
    /// Something that does not speak TLS.
    Plain,
}

/// An authority met for the first time.
pub struct Introduced {
    der: CertificateDer<'static>,
}

impl Introduced {
    /// SHA-256 in lower-case hex, as the cluster prints it.
    pub fn fingerprint(&self) -> String {
        pki::fingerprint(&self.der)
    }

    /// As a file to trust from now on.
    pub fn pem(&self) -> String {
        pki::certificate_pem(&self.der)
    }
}

/// Looks who answers at `host:port`, trusting what `ca` says. Nothing is sent but a handshake.
pub async fn look(host: &str, port: u16, ca: Option<&Path>) -> Outcome<Found> {
    let address = format!("{host}:{port}");
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| CliError::usage(format!("{host}: {error}")))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let failure = |error: &dyn std::fmt::Display| CliError::failure(error.to_string());
    // Whatever is shown is taken and kept, to be judged afterwards.
    let seen: Arc<Mutex<Vec<CertificateDer<'static>>>> = Arc::default();
    let kept = seen.clone();
    let witness = Judge::by(&provider, move |shown| {
        let all = std::iter::once(shown.certificate).chain(shown.behind);
        *kept.lock() = all.map(|der| der.clone().into_owned()).collect();
        Ok(())
    });
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failure(&error))?
        .dangerous()
        .with_custom_certificate_verifier(witness)
        .with_no_client_auth();
    let unreachable =
        |why: String| CliError::new(Exit::Unreachable, format!("cannot reach {address}: {why}"));
    let tcp = match timeout(LOOK, TcpStream::connect((host, port))).await {
        Ok(Ok(tcp)) => tcp,
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable("no answer within 5 s".to_owned())),
    };
    match timeout(LOOK, TlsConnector::from(Arc::new(config)).connect(name.clone(), tcp)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) if speaks_plainly(&error) => return Ok(Found::Plain),
        Ok(Err(error)) => return Err(unreachable(crate::base::error::chain(&error))),
        Err(_) => return Err(unreachable("no TLS handshake within 5 s".to_owned())),
    }
    let chain = std::mem::take(&mut *seen.lock());
    let judge = |roots: RootCertStore| {
        let (certificate, behind) = chain.split_first().ok_or(CertificateError::BadEncoding)?;
        let shown = Shown { certificate, behind, name: &name, now: UnixTime::now() };
        shown.is_vouched_for(roots, &provider)
    };
    match judge(roots(ca)?) {
        Ok(()) => return Ok(Found::Trusted),
        Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {}
        Err(error) => return Err(explain(&address, &error)),
    }
    // The cluster shows its authority behind the certificate; others need not.
    let authority = chain.last().filter(|_| chain.len() > 1).cloned();
    let Some(der) = authority else { return Err(unknown(&address)) };
    let mut roots = RootCertStore::empty();
    roots.add(der.clone()).map_err(|_| unknown(&address))?;
    judge(roots).map_err(|error| explain(&address, &error))?;
    Ok(Found::Stranger(Introduced { der }))
}

/// Whether the other side answered with something that is no TLS.
pub fn speaks_plainly(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidMessage(_)))
}

/// Why a certificate is not taken, and what would help.
pub fn explain(address: &str, error: &rustls::Error) -> CliError {
    use CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else {
        return CliError::new(Exit::Unreachable, format!("{address}: {error}"));
    };
    let text = match bad {
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            let text = format!("the certificate of {address} is for other names");
            return CliError::new(Exit::Login, text)
                .hint("use one of its names, or add this one to tls_names of the node");
        }
        Bad::Expired | Bad::ExpiredContext { .. } => "has expired",
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => "is not valid yet; look at the clocks",
        Bad::UnknownIssuer => return unknown(address),
        _ => return CliError::new(Exit::Login, format!("{address}: {bad}")),
    };
    CliError::new(Exit::Login, format!("the certificate of {address} {text}"))
}

fn unknown(address: &str) -> CliError {
    let text = format!("nobody this machine trusts vouches for {address}");
    CliError::new(Exit::Login, text)
        .hint("meet the cluster with: tepui login ADDRESS   or trust its authority with --ca FILE")
}
