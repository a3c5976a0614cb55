//! Upgraded connections (websockets and the like): bytes both ways until one side ends.

use bytes::Bytes;
use http::header;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

use super::{Request, pool::Upgraded};
use crate::base::limit;

/// The client's half of an upgrade that was asked for.
pub struct Tunnel(OnUpgrade);

impl Tunnel {
    /// Takes the client's half when the request asks for another protocol.
    pub fn asked_for(request: &mut Request) -> Option<Self> {
        if !request.headers().contains_key(header::UPGRADE) {
            return None;
        }
        let names = request.headers().get(header::CONNECTION)?.to_str().ok()?;
        let asks = names.split(',').any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
        asks.then(|| request.extensions_mut().remove().map(Self)).flatten()
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
