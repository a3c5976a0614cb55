//! Where a request came from: its peer, its number, its connection's place among all.

use std::{net::SocketAddr, sync::Arc};

use http::HeaderValue;

use super::{crowd::Seat, id::RequestId};

/// Where a request came from. Every request from a socket carries one in its extensions.
#[derive(Debug, Clone)]
pub struct Origin {
    pub peer: SocketAddr,
    pub tls: bool,
    pub id: RequestId,
    /// The peer's address as a header value, written once per connection.
    pub peer_text: HeaderValue,
    /// The connection's place among all; `None` where nobody counts.
    pub seat: Option<Arc<Seat>>,
}

impl Origin {
    /// The request showed a good credential: its connection is a stranger no more.
    pub fn vouch(&self) {
        if let Some(seat) = &self.seat {
            seat.vouch();
        }
    }
}
