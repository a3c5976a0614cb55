//! The web page, embedded in the binary.
//!
//! Owns the mapping from a request path to embedded bytes and the headers that belong to them.
//! The files come from `ui/dist`, where each is stored gzipped only (`name.gz`): a client that
//! takes gzip gets the stored bytes, another one gets them expanded. When the page was not built,
//! one committed page that names the command line stands in for it.
//!
//! Invariants: `/` and everything below `/ui` is the shell, any other unknown path is `None` (the
//! caller answers 404, as clients of the original expect); names under `/assets` carry a hash of
//! their content and never change; no script or style runs that is not one of these files or one
//! of the inline pieces whose hashes stand in the policy.
//!
//! Leaves the connection, authentication of data and everything dynamic to the router.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use parking_lot::Mutex;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

use crate::{base::hex::hex, http::pack};

/// The built page; empty when it was not built.
#[derive(RustEmbed)]
#[folder = "ui/dist"]
#[allow_missing = true]
struct Dist;

/// The page that stands in when `ui/dist` is empty.
const FALLBACK: &str = include_str!("../../ui/fallback/index.html");

const INDEX: &str = "index.html";

/// Files of the page are far smaller; the bound only keeps a damaged file from expanding forever.
const EXPANDED_MAX_BYTES: u64 = 16 << 20;

/// One file as it goes to the client.
#[derive(Clone, Debug)]
pub struct Asset {
    /// The body, gzipped when `gzipped`.
    pub bytes: Bytes,
    /// Whether `bytes` need `Content-Encoding: gzip`.
    pub gzipped: bool,
    /// Strong entity tag with quotes; differs between the two encodings.
    pub etag: String,
    pub content_type: &'static str,
    pub cache_control: &'static str,
    /// The policy to send with a document; `None` for other files.
    pub content_security_policy: Option<&'static str>,
}

/// The file for a request path (starting with `/`, without query), or `None` when there is none.
#[must_use]
pub fn page(path: &str, accept_encoding_gzip: bool) -> Option<Asset> {
    if is_shell(path) {
        return Some(shell(accept_encoding_gzip));
    }
    let name = path.strip_prefix('/')?;
    if name.ends_with(".gz") || name == INDEX {
        return None;
    }
    let stored = Dist::get(&format!("{name}.gz"))?;
    let tag = short_hash(&stored.metadata.sha256_hash());
    let cache = if name.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "public, max-age=86400"
    };
    let bytes = if accept_encoding_gzip {
        bytes_of(stored.data)
    } else {
        expanded(name, &bytes_of(stored.data))?
    };
    Some(Asset {
        bytes,
        gzipped: accept_encoding_gzip,
        etag: etag(&tag, accept_encoding_gzip),
        content_type: content_type(name),
        cache_control: cache,
        content_security_policy: None,
    })
}

/// A file for clients without gzip. Expanded once: anybody may ask for it, as often as he likes and
/// many times at once.
fn expanded(name: &str, stored: &[u8]) -> Option<Bytes> {
    static EXPANDED: Mutex<BTreeMap<String, Bytes>> = Mutex::new(BTreeMap::new());
    let mut all = EXPANDED.lock();
    if let Some(bytes) = all.get(name) {
        return Some(bytes.clone());
    }
    let bytes = expand(stored)?;
    all.insert(name.to_owned(), bytes.clone());
    Some(bytes)
}

/// The whole answer to a GET or HEAD, with 304 for a client that has the file already.
/// `headers` are those of the request; a HEAD answer carries the body too, for the server to drop.
#[must_use]
pub fn respond(path: &str, headers: &HeaderMap) -> Option<Response<Bytes>> {
    let asset = page(path, pack::is_taken(headers))?;
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let fresh = known.is_some_and(|list| {
        list.split(',').any(|tag| tag.trim().trim_start_matches("W/") == asset.etag)
    });
    let mut answer = Response::new(if fresh { Bytes::new() } else { asset.bytes.clone() });
    if fresh {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    set_headers(answer.headers_mut(), &asset, fresh);
    Some(answer)
}

/// Whether the binary carries the real page.
#[must_use]
pub fn is_built() -> bool {
    Dist::get("index.html.gz").is_some()
}

fn set_headers(headers: &mut HeaderMap, asset: &Asset, fresh: bool) {
    let fixed = [
        (header::CACHE_CONTROL, asset.cache_control),
        (header::VARY, "Accept-Encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(etag) = HeaderValue::from_str(&asset.etag) {
        headers.insert(header::ETAG, etag);
    }
    if let Some(policy) = asset.content_security_policy {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    if !fresh {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
        if asset.gzipped {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
}

/// Paths of pages; the page itself reads the rest of the path.
fn is_shell(path: &str) -> bool {
    path == "/" || path == "/ui" || path.starts_with("/ui/")
}

/// The document every page starts from, in both encodings.
struct Shell {
    plain: Bytes,
    gzipped: Option<Bytes>,
    tag: String,
    policy: String,
}

fn shell(accept_encoding_gzip: bool) -> Asset {
    static SHELL: OnceLock<Shell> = OnceLock::new();
    let shell = SHELL.get_or_init(load_shell);
    let stored = shell.gzipped.as_ref().filter(|_| accept_encoding_gzip);
    Asset {
        bytes: stored.unwrap_or(&shell.plain).clone(),
        gzipped: stored.is_some(),
        etag: etag(&shell.tag, stored.is_some()),
        content_type: "text/html; charset=utf-8",
        cache_control: "no-cache",
        content_security_policy: Some(&shell.policy),
    }
}

fn load_shell() -> Shell {
    let gzipped = Dist::get("index.html.gz").map(|file| bytes_of(file.data));
    let built = gzipped.and_then(|gzipped| Some((expand(&gzipped)?, gzipped)));
    let (plain, gzipped) = match built {
        Some((plain, gzipped)) => (plain, Some(gzipped)),
        None => (Bytes::from_static(FALLBACK.as_bytes()), None),
    };
    let html = String::from_utf8_lossy(&plain);
    let policy = policy(&html);
    let tag = short_hash(&Sha256::digest(&plain));
    Shell { gzipped, tag, policy, plain }
}

/// Everything from this origin only; inline pieces of the document by their hash.
fn policy(html: &str) -> String {
    format!(
        "default-src 'self'; script-src 'self'{}; style-src 'self'{}; img-src 'self' data:; \
         connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; \
         frame-ancestors 'none'",
        inline_hashes(html, "script"),
        inline_hashes(html, "style"),
    )
}

/// Hash sources, each with a space before it, for elements `<tag>…</tag>` without attributes.
fn inline_hashes(html: &str, tag: &str) -> String {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let mut out = String::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once(&open) {
        let Some((body, next)) = after.split_once(&close) else { break };
        out.push_str(" 'sha256-");
        STANDARD.encode_string(Sha256::digest(body.as_bytes()), &mut out);
        out.push('\'');
        rest = next;
    }
    out
}

fn expand(stored: &[u8]) -> Option<Bytes> {
    let mut out = Vec::new();
    GzDecoder::new(stored).take(EXPANDED_MAX_BYTES).read_to_end(&mut out).ok()?;
    Some(Bytes::from(out))
}

fn etag(tag: &str, gzipped: bool) -> String {
    if gzipped { format!("\"{tag}-gz\"") } else { format!("\"{tag}\"") }
}

/// 96 bits of a hash in text: enough that two builds of the page never share a tag.
fn short_hash(hash: &[u8]) -> String {
    hex(&hash[..12])
}

/// Embedded bytes without a copy; debug builds read them from disk and own them.
fn bytes_of(data: Cow<'static, [u8]>) -> Bytes {
    match data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ext)| ext) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(k, v)| (k.clone(), HeaderValue::from_str(v).unwrap()));
        pairs.collect()
    }

    #[test]
    fn pages_are_the_shell_and_other_paths_are_not() {
        for path in ["/", "/ui", "/ui/", "/ui/services/-/prod/web"] {
            let asset = page(path, false).unwrap();
            assert_eq!(asset.content_type, "text/html; charset=utf-8", "{path}");
            assert_eq!(asset.cache_control, "no-cache");
            assert!(String::from_utf8_lossy(&asset.bytes).contains("<!doctype html>"));
        }
        for path in ["/uix", "/assets/none.js", "/index.html", "/index.html.gz", "/../Cargo.toml"] {
            assert!(page(path, true).is_none(), "{path}");
        }
    }

    #[test]
    fn policy_names_every_inline_piece_and_nothing_else() {
        let policy = policy("<style>a{}</style><script>1</script><script src='x'></script>");
        let one = STANDARD.encode(Sha256::digest("1"));
        assert!(policy.contains(&format!("script-src 'self' 'sha256-{one}';")), "{policy}");
        assert_eq!(policy.matches("sha256-").count(), 2);
        assert!(!policy.contains("unsafe"));
    }

    #[test]
    fn a_known_tag_gets_304_without_a_body() {
        let first = respond("/", &request(&[])).unwrap();
        assert_eq!(first.status(), StatusCode::OK);
        assert!(first.headers().contains_key(header::CONTENT_SECURITY_POLICY));
        let tag = first.headers()[header::ETAG].to_str().unwrap();
        let again = respond("/", &request(&[(header::IF_NONE_MATCH, &format!("W/{tag}, \"x\""))]));
        let again = again.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(again.body().is_empty());
        assert_eq!(again.headers()[header::ETAG].to_str().unwrap(), tag);
    }

    #[test]
    fn embedded_files_expand_to_what_their_gzip_form_holds() {
        for name in Dist::iter().filter(|name| name.as_ref() != "index.html.gz") {
            let path = format!("/{}", name.trim_end_matches(".gz"));
            let (packed, plain) = (page(&path, true).unwrap(), page(&path, false).unwrap());
            assert!(packed.gzipped && !plain.gzipped);
            assert_ne!(packed.etag, plain.etag);
            assert_eq!(expand(&packed.bytes).unwrap(), plain.bytes, "{path}");
        }
    }
}
