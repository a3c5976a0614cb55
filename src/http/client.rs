//! A small HTTP client for probes, downloads and stores of files: one request per connection, no pool, no
//! redirects.
//!
//! Callers bound the whole exchange by a deadline of their own.

use std::{io, path::Path, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::base::{task::Tasks, trust::Judge};

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error("'{0}' is not an address that can be fetched")]
    BadUri(String),
    #[error("cannot connect to {peer}")]
    Connect { peer: String, source: io::Error },
    #[error("no secure connection to {peer}")]
    Tls { peer: String, source: io::Error },
    #[error("no answer")]
    Http(#[from] hyper::Error),
}

/// Whose certificates are accepted.
#[derive(Clone)]
pub struct Trust(TlsConnector);

impl Trust {
    /// The machine's certificate authorities.
    pub fn native() -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in rustls_native_certs::load_native_certs().certs {
            // One that does not parse is not trusted; the others stand.
            drop(roots.add(certificate));
        }
        Self::of(roots)
    }

    /// The authorities in a file of certificates, and nobody else.
    ///
    /// # Errors
    /// When it cannot be read or holds none.
    pub fn of_file(path: &Path) -> Result<Self, String> {
        let unreadable = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| unreadable(&e))? {
            let certificate = certificate.map_err(|e| unreadable(&e))?;
            roots.add(certificate).map_err(|e| unreadable(&e))?;
        }
        match roots.is_empty() {
            true => Err(unreadable(&"it holds no certificate")),
            false => Ok(Self::of(roots)),
        }
    }

    fn of(roots: RootCertStore) -> Self {
        let config = builder().with_root_certificates(roots).with_no_client_auth();
        Self(TlsConnector::from(Arc::new(config)))
    }

    /// Anybody's: for probes, which ask whether a task answers and not who it is
    /// (docs/compat/containers.md, "Health checks").
    pub fn anybody() -> Self {
        let verifier = Judge::taking_all(&provider());
        let config =
            builder().dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Self(TlsConnector::from(Arc::new(config)))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
}

/// Sends `GET uri` and returns the answer with its body still to be read.
pub async fn get(uri: &Uri, trust: &Trust, tasks: &Tasks) -> Result<Response<Incoming>, WebError> {
    send(Method::GET, uri, Bytes::new(), trust, tasks).await
}

/// Sends a request and returns the answer with its body still to be read.
pub async fn send(
    method: Method,
    uri: &Uri,
    body: Bytes,
    trust: &Trust,
    tasks: &Tasks,
) -> Result<Response<Incoming>, WebError> {
    let bad = || WebError::BadUri(uri.to_string());
    let host = uri.host().ok_or_else(bad)?;
    let is_tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(bad()),
    };
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let bare = host.trim_matches(['[', ']']);
    let peer = format!("{host}:{port}");
    let connect = |source| WebError::Connect { peer: peer.clone(), source };
    let tcp = TcpStream::connect((bare, port)).await.map_err(connect)?;
    drop(tcp.set_nodelay(true)); // an optimisation that may fail
    if !is_tls {
        return exchange(tcp, (method, uri, body), &peer, tasks).await;
    }
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| bad())?;
    let tls = trust.0.connect(name, tcp).await;
    let tls = tls.map_err(|source| WebError::Tls { peer: peer.clone(), source })?;
    exchange(tls, (method, uri, body), &peer, tasks).await
}

async fn exchange<S>(
    stream: S,
    (method, uri, body): (Method, &Uri, Bytes),
    peer: &str,
    tasks: &Tasks,
) -> Result<Response<Incoming>, WebError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tasks.connection("web-client", async move {
        // How the connection ends is told by the request and its body.
        drop(connection.await);
    });
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let default_port = peer.ends_with(":80") && uri.scheme_str() == Some("http")
        || peer.ends_with(":443") && uri.scheme_str() == Some("https");
    let host = if default_port { uri.host().unwrap_or(peer) } else { peer };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, concat!("tepui/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Full::new(body))
        .map_err(|_| WebError::BadUri(uri.to_string()))?;
    Ok(sender.send_request(request).await?)
}
