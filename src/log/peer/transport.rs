//! How masters reach each other: connect and accept, over TCP with mutual TLS.
//!
//! The TLS configurations are made elsewhere from the cluster's own CA; they decide who is let in.
//! The log sees byte streams only.

use std::{fmt, io, sync::Arc};

use futures_util::{
    FutureExt as _,
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt as _},
};
use rustls::{ClientConfig, ServerConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::wire;

/// A byte stream to a peer.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection.
pub type Io = Box<dyn Stream>;

/// Opens connections to peers.
pub trait Connect: Send + Sync + fmt::Debug + 'static {
    /// Connects to `address` (`host:port`). The caller sets the deadline.
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Io>>;
}

/// Takes connections from peers.
pub trait Accept: Send + 'static {
    /// The next connection that proved who it is. Safe to cancel.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Io>>;
}

/// TCP with mutual TLS.
#[derive(Debug, Clone)]
pub struct TlsConnect {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl TlsConnect {
    /// `name` is what every master's certificate is valid for.
    pub fn new(config: Arc<ClientConfig>, name: ServerName<'static>) -> Self {
        Self { config, name }
    }
}

impl Connect for TlsConnect {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Io>> {
        async move {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            let connector = TlsConnector::from(self.config.clone());
            let tls = connector.connect(self.name.clone(), tcp).await?;
            Ok(Box::new(tls) as Io)
        }
        .boxed()
    }
}

/// Handshakes going on at a time; a peer that stalls in one must not keep others out.
const HANDSHAKES_MAX: usize = 32;

/// A listener that speaks mutual TLS.
pub struct TlsAccept {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: FuturesUnordered<BoxFuture<'static, io::Result<Io>>>,
}

impl TlsAccept {
    pub fn new(listener: TcpListener, config: Arc<ServerConfig>) -> Self {
        let handshakes = FuturesUnordered::new();
        Self { listener, acceptor: TlsAcceptor::from(config), handshakes }
    }
}

impl Accept for TlsAccept {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Io>> {
        async move {
            loop {
                tokio::select! {
                    Some(done) = self.handshakes.next() => match done {
                        Ok(io) => return Ok(io),
                        Err(error) => tracing::warn!(%error, "peer handshake failed"),
                    },
                    tcp = self.listener.accept(), if self.handshakes.len() < HANDSHAKES_MAX => {
                        let (tcp, _) = tcp?;
                        tcp.set_nodelay(true)?;
                        let handshake = self.acceptor.accept(tcp);
                        self.handshakes.push(
                            async move {
                                match timeout(wire::CONNECT, handshake).await {
                                    Ok(tls) => Ok(Box::new(tls?) as Io),
                                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                                }
                            }
                            .boxed(),
                        );
                    }
                }
            }
        }
        .boxed()
    }
}
