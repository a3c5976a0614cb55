//! The HTTP client: one connection a request, HTTP/1.1, plain or TLS, no proxies.
//!
//! Every step has a deadline: connecting, the answer's head, each piece of its body. Bodies that
//! are read whole are bounded.

use std::{io::Read as _, path::Path, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    error::{CliError, Exit, Outcome},
    session::Session,
    tls,
};
use crate::base::task::Tasks;

const CONNECT: Duration = Duration::from_secs(5);
/// The answer's head: the server itself waits at most ten seconds for its log.
const HEAD: Duration = Duration::from_secs(30);
/// Silence between two pieces of a body. Streams send a heartbeat every 15 s.
pub const PIECE: Duration = Duration::from_secs(45);
/// Largest answer read whole: lists of 10,000 apps stay below.
const BODY_BYTES_MAX: usize = 256 << 20;

/// Talks to one cluster.
pub struct Client {
    pub session: Session,
    tls: Option<Arc<rustls::ClientConfig>>,
    tasks: Tasks,
}

/// A request's way and content.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    path: String,
    body: Option<Bytes>,
    headers: Vec<(&'static str, String)>,
    /// How long the answer's head may take.
    within: Duration,
}

impl Ask {
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, headers: Vec::new(), within: HEAD }
    }

    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub fn json(self, body: &Value) -> Self {
        Self { body: Some(body.to_string().into()), ..self }
    }

    /// Of something that takes longer than answers do.
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Client {
    pub fn new(
        session: Session,
        ca: Option<&Path>,
        insecure: bool,
        tasks: &Tasks,
    ) -> Outcome<Self> {
        let ca = ca.or(session.ca.as_deref());
        let tls = match session.url.starts_with("https:") {
            true => Some(tls::config(ca, insecure)?),
            false => None,
        };
        Ok(Self { session, tls, tasks: tasks.child("client") })
    }

    /// The answer as JSON; an empty body is `null`. An error status is an error.
    pub async fn json(&self, ask: Ask) -> Outcome<Value> {
        let bytes = self.bytes(ask).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            CliError::failure(format!("{} did not answer with JSON: {error}", self.session.url))
                .hint("is this the address of a tepui cluster?")
        })
    }

    /// The answer as JSON, with one of its headers.
    pub async fn json_with(&self, ask: Ask, header: &str) -> Outcome<(Value, Option<String>)> {
        let answer = self.open(ask.header("accept-encoding", "gzip")).await?;
        let told = answer.headers().get(header).and_then(|value| value.to_str().ok());
        let told = told.map(str::to_owned);
        let bytes = read(answer).await?;
        // What was accepted stays so, whatever is said of it.
        Ok((serde_json::from_slice(&bytes).unwrap_or(Value::Null), told))
    }

    /// GET as JSON.
    pub async fn get(&self, path: impl Into<String>) -> Outcome<Value> {
        self.json(Ask::get(path)).await
    }

    /// The answer's body, whole.
    pub async fn bytes(&self, ask: Ask) -> Outcome<Bytes> {
        read(self.open(ask.header("accept-encoding", "gzip")).await?).await
    }

    /// The answer with its body still to come. An error status is an error.
    pub async fn open(&self, ask: Ask) -> Outcome<http::Response<Incoming>> {
        let response = self.send(ask).await?;
        let status = response.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        if let (true, Some(to)) =
            (status.is_redirection(), response.headers().get(header::LOCATION))
        {
            let to = String::from_utf8_lossy(to.as_bytes()).into_owned();
            let text = format!("{} sends elsewhere: {to}", self.session.url);
            let error = CliError::new(Exit::Unreachable, text);
            let base = to.split('/').take(3).collect::<Vec<_>>().join("/");
            return Err(error.hint(format!("use that address: tepui login {base}")));
        }
        let body = read(response).await.unwrap_or_default();
        Err(CliError::of_answer(status.as_u16(), &body))
    }

    async fn send(&self, ask: Ask) -> Outcome<http::Response<Incoming>> {
        let url = format!("{}{}", self.session.url, ask.path);
        let uri: Uri = url.parse().map_err(|error| CliError::usage(format!("{url}: {error}")))?;
        let io = timeout(CONNECT, self.connect(&uri)).await;
        let io = io.map_err(|_| self.unreachable("no answer within 5 s"))??;
        let (mut sender, connection) = http1::handshake(TokioIo::new(io))
            .await
            .map_err(|error| self.unreachable(&crate::base::error::chain(&error)))?;
        self.tasks.connection("http", async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "connection ended");
            }
        });
        let within = ask.within;
        let answer = timeout(within, sender.send_request(self.request(&uri, ask)?)).await;
        let answer = answer.map_err(|_| {
            let (url, secs) = (&self.session.url, within.as_secs());
            CliError::new(Exit::TimedOut, format!("{url} did not answer within {secs} s"))
        })?;
        answer.map_err(|error| self.unreachable(&crate::base::error::chain(&error)))
    }

    fn request(&self, uri: &Uri, ask: Ask) -> Outcome<Request<Full<Bytes>>> {
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        let host = uri.authority().map_or("", |a| a.as_str());
        let mut request = Request::builder()
            .method(ask.method)
            .uri(path)
            .header(header::HOST, host)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("tepui/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.session.token {
            request = request.header(header::AUTHORIZATION, format!("token={token}"));
        }
        if ask.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        request
            .body(Full::new(ask.body.unwrap_or_default()))
            .map_err(|error| CliError::usage(format!("the request cannot be made: {error}")))
    }

    async fn connect(&self, uri: &Uri) -> Outcome<Box<dyn Stream>> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let tcp = TcpStream::connect((host, port))
            .await
            .map_err(|error| self.unreachable(&crate::base::error::chain(&error)))?;
        tcp.set_nodelay(true).ok();
        let Some(tls) = &self.tls else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| CliError::usage(format!("{host}: {error}")))?;
        let stream = TlsConnector::from(tls.clone()).connect(name, tcp).await;
        Ok(Box::new(stream.map_err(|error| {
            let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
            match inner {
                _ if tls::speaks_plainly(&error) => {
                    let text = format!("{} speaks plain HTTP", self.session.url);
                    let plain = self.session.url.replacen("https:", "http:", 1);
                    CliError::new(Exit::Unreachable, text).hint(format!("its address is {plain}"))
                }
                Some(bad) => tls::explain(&format!("{host}:{port}"), bad),
                None => self.unreachable(&crate::base::error::chain(&error)),
            }
        })?))
    }

    fn unreachable(&self, why: &str) -> CliError {
        let Session { url, source, .. } = &self.session;
        CliError::new(Exit::Unreachable, format!("cannot reach {url}: {why}"))
            .hint(format!("the address comes from {source}; tepui doctor looks closer"))
    }
}

/// Reads an answer whole, within bounds.
async fn read(answer: http::Response<Incoming>) -> Outcome<Bytes> {
    let encoding = answer.headers().get(header::CONTENT_ENCODING);
    let is_packed = encoding.is_some_and(|encoding| encoding == "gzip");
    let mut body = answer.into_body();
    let mut all = BytesMut::new();
    while let Some(piece) = next_piece(&mut body).await? {
        all.extend_from_slice(&piece);
        if all.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
    }
    if is_packed { unpack(&all) } else { Ok(all.freeze()) }
}

fn unpack(packed: &[u8]) -> Outcome<Bytes> {
    let mut all = Vec::new();
    let mut unpacker = GzDecoder::new(packed).take(BODY_BYTES_MAX as u64 + 1);
    unpacker.read_to_end(&mut all).map_err(|error| {
        CliError::new(Exit::Unreachable, format!("the answer cannot be unpacked: {error}"))
    })?;
    if all.len() > BODY_BYTES_MAX { Err(too_large()) } else { Ok(all.into()) }
}

fn too_large() -> CliError {
    CliError::failure("the answer is too large")
}

/// The next piece of a body; `None` at its end.
pub async fn next_piece(body: &mut Incoming) -> Outcome<Option<Bytes>> {
    loop {
        let frame = timeout(PIECE, body.frame()).await.map_err(|_| {
            CliError::new(Exit::TimedOut, "the server fell silent in the middle of its answer")
        })?;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(_) => continue, // trailers
            },
            Some(Err(error)) => {
                let text = crate::base::error::chain(&error);
                return Err(CliError::new(
                    Exit::Unreachable,
                    format!("the answer broke off: {text}"),
                ));
            }
        }
    }
}

/// A path segment with everything escaped that has a meaning in URLs.
pub fn segment(text: &str) -> String {
    crate::http::query::percent_encode(text)
}

/// An app id as a path: its slashes stay. The root and nothing are no app.
pub fn app_path(id: &str) -> Outcome<String> {
    let parsed = crate::model::AppId::parse(id);
    if parsed.is_root() {
        let text = format!("{id:?} names no app: an app has a name below the root, as /web");
        return Err(CliError::usage(text).hint("tepui app list shows the apps there are"));
    }
    Ok(parsed.segments().map(|s| format!("/{}", segment(s))).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_packed_answer_is_read_whole_or_not_at_all() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all("told ".repeat(1_000).as_bytes()).unwrap();
        let packed = packer.finish().unwrap();
        assert_eq!(unpack(&packed).unwrap(), "told ".repeat(1_000));
        let error = unpack(&packed[..packed.len() / 2]).unwrap_err();
        assert!(error.message.starts_with("the answer cannot be unpacked: "), "{}", error.message);
    }
}
