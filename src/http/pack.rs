//! Answers in fewer bytes: gzip, for clients that take it.
//!
//! What is packed lies whole in memory, is text and at least `BYTES_MIN` long; a large one is packed as
//! other heavy work, a few at a time. Every answer that may be packed says so (`Vary`), also to
//! a client that gets it as it is.
//!
//! Streams are never packed. A live stream's events would have to be packed once for all its readers, as
//! members of gzip that follow each other; browsers read the first member alone and drop the rest
//! (Chromium 156: one event of five). A compressor for each reader would hold 256 KiB of memory for it.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, StatusCode, header, response::Parts};

use super::{Body, Response};
use crate::base::task::heavy;

/// Answers below this are not worth it: they are one packet either way.
const BYTES_MIN: usize = 1 << 10;
/// Packed by whoever answers, in under a millisecond; more would hold up other requests.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// Whether a client takes gzip, and does not like the plain bytes better.
pub fn is_taken(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    for coding in values.flat_map(|value| value.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let weight = weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0_f32));
        match name.as_str() {
            "gzip" | "x-gzip" => gzip = Some(weight),
            "identity" => identity = Some(weight),
            "*" => any = Some(weight),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && identity.is_none_or(|identity| gzip >= identity)
}

/// `response` as a client gets it that takes gzip or does not.
pub async fn packed(response: Response, is_taken: bool) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = body.shared().filter(|bytes| bytes.len() >= BYTES_MIN && may_be_packed(&parts));
    let Some(bytes) = bytes else { return Response::from_parts(parts, body) };
    if !is_taken {
        mark(&mut parts.headers, false);
        return Response::from_parts(parts, body);
    }
    let packed =
        if bytes.len() <= INLINE_BYTES_MAX { pack(&bytes) } else { heavy(|| pack(&bytes)).await };
    mark(&mut parts.headers, true);
    Response::from_parts(parts, Body::full(packed))
}

/// Says of an answer that it may be packed, and whether it is.
pub fn mark(headers: &mut HeaderMap, is_packed: bool) {
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if is_packed {
        headers.remove(header::CONTENT_LENGTH); // said anew, of what is sent
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}

/// Packs an answer that is written piece by piece, on a thread that may block.
pub struct Packer(GzEncoder<Vec<u8>>);

impl Default for Packer {
    fn default() -> Self {
        Self(GzEncoder::new(Vec::new(), Compression::fast()))
    }
}

impl Packer {
    /// Takes the next piece, and gives what can be sent by now: often nothing.
    pub fn take(&mut self, piece: &[u8]) -> Vec<u8> {
        // Into memory: it cannot fail.
        self.0.write_all(piece).ok();
        std::mem::take(self.0.get_mut())
    }

    /// The rest.
    pub fn finish(self) -> Vec<u8> {
        self.0.finish().unwrap_or_default()
    }
}

/// Whether it is text, whole and as it was written.
fn may_be_packed(parts: &Parts) -> bool {
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_text = media_type.starts_with("text/")
        || ["json", "yaml", "javascript"].iter().any(|kind| media_type.ends_with(kind));
    is_text
        && parts.status != StatusCode::PARTIAL_CONTENT
        && !parts.headers.contains_key(header::CONTENT_ENCODING)
        && text(header::CACHE_CONTROL).is_none_or(|said| !said.contains("no-transform"))
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packer = Packer::default();
    let mut packed = packer.take(bytes);
    packed.extend(packer.finish());
    packed
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::http::reply;

    fn taken(values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        is_taken(&headers)
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (value, wanted) in [
            ("gzip, deflate, br", true),
            ("GZIP;q=0.5", true),
            ("x-gzip", true),
            ("*", true),
            ("gzip; q=0.001, identity; q=0.0005", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("*, gzip;q=0", false),
            ("*;q=0", false),
            ("gzip;q=0.5, identity", false),
            ("gzip;q=much", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(taken(&[value]), wanted, "{value}");
        }
        assert!(taken(&["br", "gzip"]) && !taken(&[]));
    }

    #[test]
    fn pieces_are_one_packed_text() {
        let (mut packer, mut packed) = (Packer::default(), Vec::new());
        let pieces: Vec<String> = (0..2_000).map(|n| format!("piece {n}, ").repeat(9)).collect();
        for piece in &pieces {
            packed.extend(packer.take(piece.as_bytes()));
        }
        assert!(!packed.is_empty(), "what is there is not kept to the end");
        packed.extend(packer.finish());
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*packed).read_to_string(&mut text).unwrap();
        assert_eq!(text, pieces.concat());
    }

    fn answer(n_bytes: usize) -> Response {
        reply::content(StatusCode::OK, "application/json", "7".repeat(n_bytes))
    }

    fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    #[tokio::test]
    async fn long_text_is_packed_and_says_so() {
        for n_bytes in [BYTES_MIN, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 1 << 20] {
            let packed = packed(answer(n_bytes), true).await;
            let bytes = packed.body().bytes().unwrap();
            assert!(bytes.len() < n_bytes / 10, "{} of {n_bytes}", bytes.len());
            let mut text = String::new();
            flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
            assert_eq!(text, "7".repeat(n_bytes));
            assert_eq!(header(&packed, "content-encoding"), Some("gzip"));
            assert_eq!(header(&packed, "vary"), Some("Accept-Encoding"));
        }
        let plain = packed(answer(BYTES_MIN), false).await;
        assert_eq!(plain.body().bytes().unwrap().len(), BYTES_MIN);
        assert_eq!(header(&plain, "content-encoding"), None);
        assert_eq!(header(&plain, "vary"), Some("Accept-Encoding"), "a cache keeps both");
    }

    #[tokio::test]
    async fn what_is_short_packed_or_no_text_stays_as_it_is() {
        let short = packed(answer(BYTES_MIN - 1), true).await;
        let image = reply::content(StatusCode::OK, "image/png", vec![7; BYTES_MIN]);
        let image = packed(image, true).await;
        let part = reply::content(StatusCode::PARTIAL_CONTENT, "text/plain", vec![7; BYTES_MIN]);
        let part = packed(part, true).await;
        let fixed = reply::with_header(answer(BYTES_MIN), header::CACHE_CONTROL, "no-transform");
        let fixed = packed(fixed, true).await;
        for response in [short, image, part, fixed] {
            assert_eq!(header(&response, "content-encoding"), None);
            assert_eq!(header(&response, "vary"), None);
        }
        let once = packed(answer(BYTES_MIN), true).await;
        let bytes = once.body().shared().unwrap();
        let twice = packed(once, true).await;
        assert_eq!(twice.body().bytes(), Some(&bytes[..]));
        let (sender, body) = crate::http::stream::channel(1);
        sender.send("7".repeat(BYTES_MIN).into()).unwrap();
        let stream = packed(crate::http::stream::response(body), true).await;
        assert_eq!(header(&stream, "content-encoding"), None);
    }
}
