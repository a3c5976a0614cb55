//! Connecting to an upstream: TCP or TLS, with a count of the bytes moved.
//!
//! Certificates of upstreams are not verified: services behind the front door sign their own, and
//! the original never checked them either (docs/compat/dcos.md, "Services"). TLS here keeps
//! bystanders out; it does not prove who answers. Connections between our own nodes do not go
//! through this file.

use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    BoxError,
    tcp::{self, Source},
};
use crate::base::{limit, trust::Judge};

/// Where to connect and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upstream {
    pub addr: SocketAddr,
    pub tls: bool,
}

/// In one or two words, for `Spread`.
impl Hash for Upstream {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let rest = (u64::from(self.addr.port()) << 1) | u64::from(self.tls);
        match self.addr.ip() {
            IpAddr::V4(ip) => state.write_u64((u64::from(ip.to_bits()) << 32) | rest),
            IpAddr::V6(ip) => {
                state.write_u64((ip.to_bits() >> 64) as u64);
                state.write_u64(ip.to_bits() as u64);
                state.write_u64(rest);
            }
        }
    }
}

/// Spreads upstreams over a table, twice for each request: one multiplication by a number that nobody
/// outside knows is enough for addresses the cluster gave.
#[derive(Debug, Clone)]
pub struct Spread(u64);

impl Default for Spread {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0_u8) | 1)
    }
}

impl BuildHasher for Spread {
    type Hasher = Spreader;

    fn build_hasher(&self) -> Spreader {
        Spreader { by: self.0, hash: 0 }
    }
}

/// The hash of one upstream while it is made.
pub struct Spreader {
    by: u64,
    hash: u64,
}

impl Hasher for Spreader {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.hash ^ word) * u128::from(self.by);
        self.hash = (product ^ (product >> 64)) as u64;
    }
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no connection within {} s", limit::UPSTREAM_CONNECT.as_secs())]
    Slow,
    #[error("{0}")]
    Refused(io::Error),
}

/// Why an upstream gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("connecting failed")]
    Connect(#[source] ConnectError),
    #[error("the connection broke off before the answer")]
    Broken(#[source] BoxError),
    #[error("no answer in time")]
    Silent,
}

/// Makes connections; holds the TLS set-up.
#[derive(Clone)]
pub struct Connector {
    tls: TlsConnector,
}

impl Default for Connector {
    fn default() -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the built-in provider supports the default versions")
            .dangerous()
            .with_custom_certificate_verifier(Judge::taking_all(&provider))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { tls: TlsConnector::from(Arc::new(config)) }
    }
}

impl Connector {
    /// Connects, with the handshake, within `limit::UPSTREAM_CONNECT`.
    pub async fn connect(&self, to: Upstream) -> Result<UpstreamIo, ConnectError> {
        let connect = async {
            let tcp = TcpStream::connect(to.addr).await?;
            tcp.set_nodelay(true)?;
            let wire = if to.tls {
                let name = ServerName::IpAddress(to.addr.ip().into());
                Wire::Tls(Box::new(self.tls.connect(name, tcp).await?))
            } else {
                Wire::Plain(tcp)
            };
            Ok(UpstreamIo { wire, moved: Moved::default(), is_deaf: false })
        };
        match tokio::time::timeout(limit::UPSTREAM_CONNECT, connect).await {
            Ok(outcome) => outcome.map_err(ConnectError::Refused),
            Err(_) => Err(ConnectError::Slow),
        }
    }
}

/// Bytes moved over one connection, both ways; who watches it can tell silence from work.
#[derive(Debug, Clone, Default)]
pub struct Moved(Arc<AtomicU64>);

impl Moved {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }
}

/// An open connection to an upstream.
///
/// An upstream may answer before it has read everything (413 to a large upload) and close; what is
/// still sent is then answered by a reset. The answer lies in our receive buffer all the same, so a
/// failed write is not the end: the rest goes nowhere, and reading tells what there was.
pub struct UpstreamIo {
    wire: Wire,
    pub moved: Moved,
    /// The upstream takes nothing any more.
    is_deaf: bool,
}

impl UpstreamIo {
    /// Whether the upstream took nothing of what was written last: it may answer, but no more.
    pub fn is_deaf(&self) -> bool {
        self.is_deaf
    }

    /// Whether nothing came and nobody left while nothing was asked.
    pub fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        match &mut self.wire {
            // Nobody waits yet: only what is known already is looked at.
            Wire::Plain(io) => {
                let read = io.try_read(&mut byte);
                read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            }
            Wire::Tls(io) => Pin::new(io).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_pending(),
        }
    }

    /// The outcome of writing `n_all` bytes, with a peer that has gone turned into one that takes all.
    fn written(&mut self, outcome: io::Result<usize>, n_all: usize) -> io::Result<usize> {
        match outcome {
            Ok(n) => {
                self.moved.add(n);
                Ok(n)
            }
            Err(error) if has_gone(&error) => {
                self.is_deaf = true;
                Ok(n_all)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a failed write only says that the other side reads no more.
fn has_gone(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        error.kind(),
        K::BrokenPipe | K::ConnectionReset | K::ConnectionAborted | K::NotConnected
    )
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// For the short road, which tells silence from work by its own reads: these bytes are not counted.
impl Source for UpstreamIo {
    fn poll_into(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        match &mut self.wire {
            Wire::Plain(io) => io.poll_into(cx, room),
            Wire::Tls(io) => tcp::poll_other(io, cx, room),
        }
    }
}

impl AsyncRead for UpstreamIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(match &mut self.wire {
            Wire::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Wire::Tls(io) => Pin::new(io).poll_read(cx, buf),
        })?;
        self.moved.add(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_deaf {
            return Poll::Ready(Ok(buf.len()));
        }
        let outcome = ready!(match &mut self.wire {
            Wire::Plain(io) => tcp::poll_write(io, cx, buf),
            Wire::Tls(io) => Pin::new(io).poll_write(cx, buf),
        });
        Poll::Ready(self.written(outcome, buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let n_all = bufs.iter().map(|buf| buf.len()).sum();
        if self.is_deaf {
            return Poll::Ready(Ok(n_all));
        }
        let outcome = ready!(match &mut self.wire {
            Wire::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Wire::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        });
        Poll::Ready(self.written(outcome, n_all))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Plain(io) => io.is_write_vectored(),
            Wire::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let outcome = match &mut this.wire {
            Wire::Tls(io) if !this.is_deaf => ready!(Pin::new(io).poll_flush(cx)),
            // What was written is with the kernel, or goes nowhere.
            Wire::Plain(_) | Wire::Tls(_) => return Poll::Ready(Ok(())),
        };
        Poll::Ready(self.written(outcome.map(|()| 0), 0).map(|_| ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Wire::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
