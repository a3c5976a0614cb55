//! What is spoken at the peer port: TLS 1.3 always, one purpose per connection, told by its ALPN
//! name. The master's side is `door`, the node's `member`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use rustls::ClientConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;

use crate::{
    base::wire::{self, Message},
    choice,
    host::pki::Role,
    message,
    model::{credential::Invited, master::Master, node::NodeId},
};

/// How long connecting, a handshake or one message of a join or a renewal may take.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long what was sent may stay unheard before a connection is given up.
const UNHEARD_MAX: Duration = Duration::from_secs(5);
/// A join or renewal message; requests and answers are a few kB.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// An agent's link.
    Agent,
    /// A node without an identity joins.
    Join,
    /// An agent wants its next certificate.
    Renew,
    /// A master's log speaks to another's.
    Log,
}

impl Purpose {
    /// The name in the handshake.
    pub fn alpn(self) -> &'static [u8] {
        match self {
            Self::Agent => b"tepui-agent/1",
            Self::Join => b"tepui-join/1",
            Self::Renew => b"tepui-renew/1",
            Self::Log => b"tepui-log/1",
        }
    }

    /// The purpose with one of these names.
    pub fn among<'a>(mut names: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let all = [Self::Agent, Self::Join, Self::Renew, Self::Log];
        names.find_map(|name| all.into_iter().find(|p| p.alpn() == name))
    }
}

/// What a joining node says. Its private key stays where it is.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    pub secret: String,
    /// A PKCS #10 request for its key.
    pub request: Vec<u8>,
    /// For people who read certificates.
    pub host: String,
    /// What it wants to be; an agent of either kind where it does not say.
    pub role: Option<Invited>,
    /// What one says of itself that becomes a master.
    pub master: Option<Master>,
}

/// What it is told.
#[derive(Clone, Debug)]
pub enum JoinAnswer {
    Welcome { cluster: String, node: NodeId, certificate: Vec<u8>, authority: Vec<u8> },
    Refused(String),
}

/// What an agent says that wants its next certificate.
#[derive(Clone, Debug)]
pub struct RenewRequest {
    /// A PKCS #10 request for its next key.
    pub request: Vec<u8>,
    pub host: String,
}

/// What it is told.
#[derive(Clone, Debug)]
pub enum RenewAnswer {
    Renewed { certificate: Vec<u8>, authority: Vec<u8> },
    Refused(String),
}

message!(JoinRequest { 1: secret, 2: request, 3: host, 4: role, 5: master });
choice!(JoinAnswer {
    1: Welcome { 1: cluster, 2: node, 3: certificate, 4: authority },
    2: Refused(why),
});
message!(RenewRequest { 1: request, 2: host });
choice!(RenewAnswer { 1: Renewed { 1: certificate, 2: authority }, 2: Refused(why) });

/// A TLS connection to a master.
///
/// # Errors
/// When it does not come about; bounded by the caller.
pub async fn open(
    master: &str,
    config: &ClientConfig,
    purpose: Purpose,
) -> anyhow::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut config = config.clone();
    config.alpn_protocols = vec![purpose.alpn().to_vec()];
    let stream = TcpStream::connect(master).await?;
    stream.set_nodelay(true)?;
    // A machine that lost its power says no word.
    socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNHEARD_MAX))?;
    Ok(TlsConnector::from(Arc::new(config)).connect(Role::Master.server_name(), stream).await?)
}

/// Sends one message.
///
/// # Errors
/// When the connection breaks.
pub async fn send<S, T>(stream: &mut S, message: &T) -> anyhow::Result<()>
where
    S: tokio::io::AsyncWrite + Unpin,
    T: Message,
{
    let bytes = wire::encode(message);
    stream.write_u32(u32::try_from(bytes.len())?).await?;
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    Ok(())
}

/// Receives one message.
///
/// # Errors
/// When the connection breaks, or what comes is no such message.
pub async fn receive<S, T>(stream: &mut S) -> anyhow::Result<T>
where
    S: tokio::io::AsyncRead + Unpin,
    T: Message,
{
    let n_bytes = stream.read_u32().await? as usize;
    anyhow::ensure!(n_bytes <= MESSAGE_BYTES_MAX, "a join message of {n_bytes} bytes");
    let mut bytes = vec![0; n_bytes];
    stream.read_exact(&mut bytes).await?;
    Ok(T::read(&bytes)?)
}

/// Where a node keeps its certificates.
pub fn pki_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("pki")
}

/// Binds the port.
///
/// # Errors
/// When it is taken.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("binding the peer port {address}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::wire::sample::{hold, shape};

    #[test]
    fn what_is_said_in_joining_stays_readable() {
        hold(
            "peers",
            &[
                shape::<JoinRequest>(),
                shape::<JoinAnswer>(),
                shape::<RenewRequest>(),
                shape::<RenewAnswer>(),
            ],
        );
    }

    #[tokio::test]
    async fn a_message_is_taken_whole_and_within_its_bound_or_not_at_all() {
        let (secret, host) = ("abc".to_owned(), "n1".to_owned());
        let (mut here, mut there) = tokio::io::duplex(1 << 20);
        let (role, master) = (None, None);
        let request = JoinRequest { secret, request: vec![7; 600], host, role, master };
        send(&mut here, &request).await.unwrap();
        let heard: JoinRequest = receive(&mut there).await.unwrap();
        assert_eq!((heard.secret.as_str(), heard.request.len()), ("abc", 600));
        // Its length, how much of it comes, and what of.
        for (n_bytes, n_sent, byte, said) in [
            (u32::MAX, 0, 0, "a join message of 4294967295 bytes"),
            (65_537, 65_537, 0, "a join message of 65537 bytes"),
            (65_536, 65_535, 0, ""),
            (100, 0, 0, ""),
            (3, 3, 0xFF, ""),
        ] {
            let (mut here, mut there) = tokio::io::duplex(1 << 20);
            here.write_u32(n_bytes).await.unwrap();
            here.write_all(&vec![byte; n_sent]).await.unwrap();
            drop(here);
            let error = receive::<_, JoinRequest>(&mut there).await.unwrap_err().to_string();
            assert!(error.contains(said), "{n_bytes}: {error}");
        }
    }

    #[test]
    fn a_connection_is_for_the_first_purpose_that_is_known() {
        let purpose = |names: &[&'static [u8]]| Purpose::among(names.iter().copied());
        assert_eq!(purpose(&[b"h2", b"tepui-renew/1", b"tepui-join/1"]), Some(Purpose::Renew));
        assert_eq!(purpose(&[b"tepui-log/1"]), Some(Purpose::Log));
        assert_eq!(purpose(&[b"tepui-agent/1"]), Some(Purpose::Agent));
        assert_eq!(purpose(&[b"tepui-agent/2", b"tepui-agent", b"", b"TEPUI-JOIN/1"]), None);
        assert_eq!(purpose(&[]), None);
    }
}
