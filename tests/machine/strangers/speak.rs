//! Talking to the master from an address of one's choice.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls::{ClientConfig, pki_types::ServerName};
use tepui::base::trust::Judge;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The master's ports.
pub const FRONT: u16 = 443;
pub const PLAIN: u16 = 80;
pub const MARATHON: u16 = 8080;
pub const MESOS: u16 = 5050;
pub const PEERS: u16 = 5070;
pub const DNS: u16 = 53;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who talks to whom.
#[derive(Clone, Copy)]
pub struct At {
    pub server: IpAddr,
    pub from: IpAddr,
}

pub fn address(n: u8) -> IpAddr {
    IpAddr::from([198, 51, 100, n])
}

/// A TLS configuration with these protocols that trusts everybody.
pub fn config(alpn: &'static [u8]) -> Arc<ClientConfig> {
    static BASE: OnceLock<ClientConfig> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Judge::taking_all(&provider))
            .with_no_client_auth();
        // Each handshake is a whole one.
        config.resumption = rustls::client::Resumption::disabled();
        config
    });
    let mut config = base.clone();
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config)
}

pub fn name() -> ServerName<'static> {
    ServerName::try_from("master.tepui").expect("a name")
}

impl At {
    pub async fn tcp(&self, port: u16) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(self.from, 0))?;
        let to = SocketAddr::new(self.server, port);
        let stream = timeout(PATIENCE, socket.connect(to)).await??;
        // Leaving leaves nothing behind: thousands come and go from one address.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    pub async fn tls(&self, port: u16, alpn: &'static [u8]) -> io::Result<TlsStream<TcpStream>> {
        let stream = self.tcp(port).await?;
        timeout(PATIENCE, TlsConnector::from(config(alpn)).connect(name(), stream)).await?
    }

    /// A connection to the front door.
    pub async fn front(&self) -> io::Result<TlsStream<TcpStream>> {
        self.tls(FRONT, b"http/1.1").await
    }
}

/// Sends a request and takes the whole answer; its status.
pub async fn ask<S>(stream: &mut S, request: &[u8]) -> io::Result<u16>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(request).await?;
    stream.flush().await?;
    timeout(PATIENCE, answer(stream)).await?
}

async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<u16> {
    let mut seen = Vec::with_capacity(1024);
    let n_head = loop {
        if stream.read_buf(&mut seen).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(&seen[..n_head]).to_ascii_lowercase();
    let status = head.get(9..12).and_then(|text| text.parse().ok());
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut rest = n_head + length - seen.len().min(n_head + length);
    let mut buffer = vec![0; 16 << 10];
    while rest > 0 {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        rest = rest.saturating_sub(n);
    }
    if head.contains("connection: close") {
        return Err(io::Error::other(format!("closed after {status}")));
    }
    Ok(status)
}

/// A request with a body of JSON.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A request without one.
pub fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: m\r\n{headers}\r\n").into_bytes()
}
