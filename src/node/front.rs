//! The front door's TLS: which certificate it shows, kept fresh while it serves, and what answers at
//! the plain port beside it.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ::http::{StatusCode, header, uri::Authority as HostPort};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::config::{Config, Tls};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        task::Tasks,
    },
    host::pki::{
        Authority,
        web::{WEB_LIFE, WebCertificate},
    },
    http::{Handler, Request, Response, reply},
};

/// What browsers and clients may speak over TLS.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// How often the certificate is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Names of masters in the cluster's own DNS.
const DNS_NAMES: [&str; 4] =
    ["master.mesos", "leader.mesos", "master.dcos.thisdcos.directory", "localhost"];
/// Where the authority's certificate is handed out: our name for it, and the original's.
pub const CA_PATHS: [&str; 2] = ["/ca/tepui-ca.crt", "/ca/dcos-ca.crt"];
/// Its media type.
pub const CA_TYPE: &str = "application/x-x509-ca-cert";

/// The front door's certificate.
pub struct Front {
    shown: ArcSwap<CertifiedKey>,
    source: Source,
    /// Whether the cluster's own authority made it.
    pub is_own: bool,
    /// The name the address of this node is given out with, so that the certificate fits.
    pub name: String,
}

enum Source {
    Own { authority: Arc<Authority>, names: Vec<String> },
    Files { certificate: PathBuf, key: PathBuf },
}

/// What a certificate was made from, to see when it is time for another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stamp {
    Made(Timestamp),
    Changed([Option<SystemTime>; 2]),
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Front {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.load_full())
    }
}

impl Front {
    /// The certificate the configuration asks for; `None` without TLS.
    ///
    /// # Errors
    /// When it cannot be made or the operator's files are of no use.
    pub fn open(
        config: &Config,
        authority: &Arc<Authority>,
        clock: &Arc<dyn Clock>,
        tasks: &Tasks,
    ) -> anyhow::Result<Option<(Arc<Self>, Arc<ServerConfig>)>> {
        let source = match &config.tls {
            Tls::Off => return Ok(None),
            Tls::Own => Source::Own { authority: authority.clone(), names: names(config) },
            Tls::Files { certificate, key } => {
                Source::Files { certificate: certificate.clone(), key: key.clone() }
            }
        };
        let stamp = source.stamp(clock.now());
        let certificate = source.make(clock.now())?;
        let shown = certificate.certified().context("using tls_cert with tls_key")?;
        let address = config.address.to_string();
        let is_own = matches!(source, Source::Own { .. });
        let fits = [&address, &config.hostname].into_iter().find(|name| certificate.covers(name));
        if fits.is_none() {
            tracing::warn!(
                %address, hostname = config.hostname,
                "the front door's certificate is for neither the address nor the name of this node"
            );
        }
        let name = fits.unwrap_or(&address).clone();
        let front = Arc::new(Self { shown: ArcSwap::from(shown), source, is_own, name });
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(front.clone());
        server.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        let (kept, clock) = (front.clone(), clock.clone());
        tasks.restart("front-certificate", move || kept.clone().keep(stamp, clock.clone()));
        Ok(Some((front, Arc::new(server))))
    }

    /// The fingerprint of the cluster's authority, where it is behind the certificate.
    pub fn fingerprint(&self) -> Option<String> {
        match &self.source {
            Source::Own { authority, .. } => Some(authority.fingerprint()),
            Source::Files { .. } => None,
        }
    }

    /// Shows another certificate when ours is old or the operator's files have changed. One that is
    /// of no use is said and left: what is shown goes on being shown.
    async fn keep(self: Arc<Self>, mut stamp: Stamp, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = clock.now();
            if self.source.is_current(&stamp, now) {
                continue;
            }
            stamp = self.source.stamp(now);
            match self.source.make(now).and_then(|made| Ok(made.certified()?)) {
                Ok(made) => {
                    self.shown.store(made);
                    tracing::info!("the front door shows another certificate");
                }
                Err(error) => tracing::warn!(
                    error = format!("{error:#}"),
                    "the front door's new certificate is of no use, the old one is shown"
                ),
            }
        }
    }
}

impl Source {
    fn make(&self, now: Timestamp) -> anyhow::Result<WebCertificate> {
        match self {
            Self::Own { authority, names } => {
                authority.issue_web(names, now).context("making the front door's certificate")
            }
            Self::Files { certificate, key } => {
                WebCertificate::read(certificate, key).context("reading tls_cert and tls_key")
            }
        }
    }

    fn stamp(&self, now: Timestamp) -> Stamp {
        match self {
            Self::Own { .. } => Stamp::Made(now),
            Self::Files { certificate, key } => {
                let changed = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).ok();
                Stamp::Changed([changed(certificate), changed(key)])
            }
        }
    }

    fn is_current(&self, stamp: &Stamp, now: Timestamp) -> bool {
        match stamp {
            // A clock that was put back makes a new one too: clients' clocks may be right.
            Stamp::Made(at) => *at <= now && now < *at + WEB_LIFE / 3,
            Stamp::Changed(_) => self.stamp(now) == *stamp,
        }
    }
}

/// Every name under which clients may reach this node's front door.
fn names(config: &Config) -> Vec<String> {
    let mut names = vec![config.address.to_string()];
    let known = [config.hostname.clone(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let dns = DNS_NAMES.into_iter().map(str::to_owned);
    for name in known.into_iter().chain(config.tls_names.iter().cloned()).chain(dns) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What answers at the plain port: the same address with https, and the authority's certificate for
/// clients that know nothing yet.
pub struct ToHttps {
    /// PEM; `None` where an authority of the operator's own is behind the certificate.
    pub ca: Option<String>,
    pub port: u16,
    /// For requests that do not say what host they were sent to.
    pub address: IpAddr,
}

impl ToHttps {
    fn answer(&self, request: &Request) -> Response {
        if let (Some(ca), true) = (&self.ca, CA_PATHS.contains(&request.uri().path())) {
            return reply::content(StatusCode::OK, CA_TYPE, ca.clone());
        }
        let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let named: Option<HostPort> = named.and_then(|host| host.parse().ok());
        let named = named.or_else(|| request.uri().authority().cloned());
        let host = match (&named, self.address) {
            (Some(named), _) => named.host().to_owned(),
            (None, IpAddr::V6(ip)) => format!("[{ip}]"),
            (None, IpAddr::V4(ip)) => ip.to_string(),
        };
        let port = if self.port == 443 { String::new() } else { format!(":{}", self.port) };
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        reply::redirect(StatusCode::PERMANENT_REDIRECT, &format!("https://{host}{port}{path}"))
    }
}

impl Handler for ToHttps {
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(std::future::ready(self.answer(&request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;

    #[test]
    fn the_plain_port_sends_everybody_on_with_path_and_query() {
        let location = |port: u16, host: Option<&str>, target: &str| {
            let plain = ToHttps { ca: Some("pem".to_owned()), port, address: [10, 0, 0, 5].into() };
            let mut request = ::http::Request::builder().uri(target);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let answer = plain.answer(&request.body(Body::empty()).unwrap());
            assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
            answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(location(443, Some("m1:80"), "/a/b?c=%2F"), "https://m1/a/b?c=%2F");
        assert_eq!(location(8443, Some("[::1]:80"), "/"), "https://[::1]:8443/");
        assert_eq!(location(443, None, "http://m2/x"), "https://m2/x");
        assert_eq!(location(443, None, "/x"), "https://10.0.0.5/x");
        assert_eq!(location(443, Some("evil/path"), "/x"), "https://10.0.0.5/x");
    }

    #[test]
    fn the_authority_is_handed_out_in_clear() {
        let plain =
            ToHttps { ca: Some("pem".to_owned()), port: 443, address: [10, 0, 0, 5].into() };
        for path in CA_PATHS {
            let request = ::http::Request::get(path).body(Body::empty()).unwrap();
            let answer = plain.answer(&request);
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.body().bytes(), Some(&b"pem"[..]));
        }
    }
}
