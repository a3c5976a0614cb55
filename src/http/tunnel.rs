//! Upgraded connections (websockets and the like): bytes both ways until one side ends.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

use super::{Request, pool::Upgraded};
use crate::base::limit;

/// The client's half of an upgrade that was asked for.
pub struct Tunnel(OnUpgrade);

/// Whether a request asks for a tunnel. HTTP/2 is no protocol that gets one: requests inside would
/// pass every check of the front door unseen.
fn asks(headers: &HeaderMap) -> bool {
    let is_h2 = |name: &str| name.to_ascii_lowercase().starts_with("h2");
    let mut protocols = tokens(headers, &header::UPGRADE).peekable();
    protocols.peek().is_some()
        && !protocols.any(is_h2)
        && tokens(headers, &header::CONNECTION).any(|name| name.eq_ignore_ascii_case("upgrade"))
}

/// The elements of all headers of one name.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|text| text.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

impl Tunnel {
    /// Takes the client's half when the request asks for another protocol.
    pub fn asked_for(request: &mut Request) -> Option<Self> {
        if asks(request.headers()) { request.extensions_mut().remove().map(Self) } else { None }
    }

    /// Copies both ways; ends when both sides have, on an error, or when nothing moves.
    pub async fn run(self, upstream: Upgraded) {
        let Upgraded { mut io, read } = upstream;
        let moved = io.moved.clone();
        let copy = async {
            let client = self.0.await.map_err(std::io::Error::other)?;
            let mut client = TokioIo::new(client);
            let first: Bytes = read;
            client.write_all(&first).await?;
            tokio::io::copy_bidirectional(&mut client, &mut io).await
        };
        let silence = async {
            let mut seen = None;
            while seen != Some(moved.get()) {
                seen = Some(moved.get());
                tokio::time::sleep(limit::UPSTREAM_IDLE).await;
            }
        };
        tokio::select! {
            outcome = copy => {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "tunnel broke");
                }
            }
            () = silence => tracing::debug!("tunnel cut: nothing moved"),
        }
    }
}
