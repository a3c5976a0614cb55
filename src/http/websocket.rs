//! WebSockets (RFC 6455) over a connection of ours: the server's side of the handshake.
//!
//! What a handshake must look like is checked here; the frames are tungstenite's, within bounds that
//! are set where a connection is taken over.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, StatusCode, header, request::Parts};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role, WebSocketConfig},
};

use super::{Response, reply};

/// The one version there is.
pub const VERSION: &str = "13";
/// What a key is answered with, by the standard.
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes read at once, held by each connection.
const READ_BYTES: usize = 8 << 10;

/// A WebSocket on a connection that was HTTP before.
pub type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Why a request is no handshake we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("this needs the headers Connection: Upgrade and Upgrade: websocket")]
    Plain,
    #[error("this needs the header Sec-WebSocket-Version: {VERSION}")]
    Version,
    #[error("Sec-WebSocket-Key must hold 16 bytes in base64")]
    Key,
    #[error("none of the subprotocols in Sec-WebSocket-Protocol is spoken here")]
    Protocol,
}

/// Takes a handshake for `protocol`: the connection to come, and the answer that begins it.
///
/// # Errors
/// When the request is none, or for another version or protocol.
pub fn accept(parts: &mut Parts, protocol: &'static str) -> Result<(OnUpgrade, Response), Refused> {
    let key = check(&parts.headers, protocol)?;
    let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(Refused::Plain)?;
    let response = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    let response = reply::with_header(response, header::CONNECTION, "Upgrade");
    let response = reply::with_header(response, header::UPGRADE, "websocket");
    let response = reply::with_header(response, header::SEC_WEBSOCKET_ACCEPT, &answer_to(&key));
    Ok((upgrade, reply::with_header(response, header::SEC_WEBSOCKET_PROTOCOL, protocol)))
}

/// The key of a good handshake.
fn check(headers: &HeaderMap, protocol: &str) -> Result<String, Refused> {
    let has = |name, wanted: &str| list(headers, name).any(|t| t.eq_ignore_ascii_case(wanted));
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
        return Err(Refused::Plain);
    }
    let one = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if one(header::SEC_WEBSOCKET_VERSION) != Some(VERSION) {
        return Err(Refused::Version);
    }
    let key = one(header::SEC_WEBSOCKET_KEY)
        .filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16))
        .ok_or(Refused::Key)?;
    if !list(headers, header::SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == protocol) {
        return Err(Refused::Protocol);
    }
    Ok(key.to_owned())
}

/// The elements of all headers of one name.
fn list(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|text| text.split(',')).map(str::trim)
}

/// What shows that the key was understood. The standard asks for this hash, which keeps no secret.
fn answer_to(key: &str) -> String {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(ACCEPT_SUFFIX);
    STANDARD.encode(hash.finish())
}

/// Takes the connection over. No message of the client may be longer than `bytes_max`, in one frame
/// or in many; what is sent leaves at once.
///
/// # Errors
/// When the client left before.
pub async fn open(upgrade: OnUpgrade, bytes_max: usize) -> hyper::Result<Socket> {
    let io = TokioIo::new(upgrade.await?);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(bytes_max))
        .max_frame_size(Some(bytes_max));
    Ok(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn checked(changes: &[(&'static str, &'static str)]) -> Result<String, Refused> {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
            ("sec-websocket-protocol", "chat, ours.v1"),
        ]
        .into_iter()
        .chain(changes.iter().copied())
        {
            headers.insert(name, value.parse().unwrap());
        }
        check(&headers, "ours.v1")
    }

    #[test]
    fn a_handshake_is_one_of_the_standard_for_our_protocol() {
        assert_eq!(checked(&[]), Ok(KEY.to_owned()));
        for (name, value, wanted) in [
            ("connection", "close", Refused::Plain),
            ("upgrade", "tepui-exec", Refused::Plain),
            ("sec-websocket-version", "8", Refused::Version),
            ("sec-websocket-key", "c2hvcnQ=", Refused::Key),
            ("sec-websocket-key", "no base64", Refused::Key),
            ("sec-websocket-protocol", "chat", Refused::Protocol),
            ("sec-websocket-protocol", "OURS.v1", Refused::Protocol),
        ] {
            assert_eq!(checked(&[(name, value)]), Err(wanted), "{name}: {value}");
        }
    }

    #[test]
    fn the_answer_is_the_one_of_the_standards_own_example() {
        assert_eq!(answer_to(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
