//! Which proofs a listener takes, and that none of them is another site's doing.
//!
//! A browser sends cookies, and passwords it was once asked for, with whatever any page makes it
//! send. Such an *ambient* credential counts for a change (or an upgrade of the connection) only
//! when the browser says that one of our own pages asked, never for an answer that is a script, and
//! never for a body whose type nobody told. A token in a header is sent by whoever means it, and is
//! taken as it is.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, header, request::Parts, uri::Authority,
};
use http_body::Body as _;

use super::{
    Access, Guard, Holder, Lease, Memo, Principal, Refusal, Tokens, cookie_token, header_token,
    token_of,
};
use crate::{
    base::clock::Clock,
    http::{Body, Origin, Request, RequestId, Response, query::Query},
};

/// Where a browser says what page made it ask, at trustworthy addresses.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Query parameter that asks for an answer as a script.
const SCRIPT_PARAMETER: &str = "jsonp";

/// What a guard looks at.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    pub origin: Option<&'a Origin>,
}

impl<'a> From<&'a Parts> for Asked<'a> {
    fn from(parts: &'a Parts) -> Self {
        let Parts { method, uri, headers, extensions, .. } = parts;
        Self { method, uri, headers, origin: extensions.get() }
    }
}

impl<'a> From<&'a Request> for Asked<'a> {
    fn from(request: &'a Request) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            origin: request.extensions().get(),
        }
    }
}

impl Asked<'_> {
    /// The id for answers and log lines.
    pub fn id(&self) -> RequestId {
        self.origin.map(|origin| origin.id).unwrap_or_default()
    }

    /// Whether an ambient credential may stand for this request.
    pub fn trusts_ambient(&self) -> Result<(), Refusal> {
        let query = self.uri.query().map(Query::parse).unwrap_or_default();
        if query.has(SCRIPT_PARAMETER) {
            return Err(Refusal::Script);
        }
        let acts = !self.method.is_safe() || self.headers.contains_key(header::UPGRADE);
        if acts && !self.comes_from_our_page() { Err(Refusal::Foreign) } else { Ok(()) }
    }

    /// Whether a name and a password may stand for this request. Clients that are no browsers send
    /// none of the headers that tell where a request comes from.
    pub fn trusts_password(&self) -> Result<(), Refusal> {
        let is_told = [header::ORIGIN, header::REFERER, SEC_FETCH_SITE]
            .into_iter()
            .any(|name| self.headers.contains_key(name));
        match self.trusts_ambient() {
            Err(Refusal::Foreign) if !is_told => Ok(()),
            judged => judged,
        }
    }

    /// Whether the browser says that a page of another origin asked. Clients that are no browsers say
    /// nothing of the kind.
    pub fn is_foreign(&self) -> bool {
        self.trusts_password() == Err(Refusal::Foreign)
    }

    /// Whether the browser says that a page of this very origin asked. `Sec-Fetch-Site` is sent to
    /// trustworthy addresses only, `Origin` with every change, `Referer` by old browsers.
    fn comes_from_our_page(&self) -> bool {
        let text = |name: HeaderName| self.headers.get(name).map(HeaderValue::as_bytes);
        let site = self.headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
            return false;
        }
        match text(header::ORIGIN).or_else(|| text(header::REFERER)) {
            Some(from) => self.is_our_origin(from),
            None => site == Some(b"same-origin"),
        }
    }

    /// Whether `from` is a URL of the origin this request was sent to.
    fn is_our_origin(&self, from: &[u8]) -> bool {
        let Some(from) = std::str::from_utf8(from).ok().and_then(|t| t.parse::<Uri>().ok()) else {
            return false; // "null": a page without an origin of its own
        };
        let (Some(scheme), Some(theirs)) = (from.scheme_str(), from.authority()) else {
            return false;
        };
        if self.origin.is_some_and(|origin| origin.tls) && scheme != "https" {
            return false;
        }
        let usual = if scheme == "https" { 443 } else { 80 };
        let address =
            |a: &Authority| (a.host().to_ascii_lowercase(), a.port_u16().unwrap_or(usual));
        let host = self.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let ours = host.and_then(|host| host.parse().ok());
        let ours: Option<Authority> = ours.or_else(|| self.uri.authority().cloned());
        ours.is_some_and(|ours| address(&ours) == address(theirs))
    }
}

/// How a caller proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A token in a header.
    Token,
    /// A name and a password.
    Password,
    /// A cookie, which browsers send by themselves.
    Ambient,
}

/// Marks a request whose credential a browser may have sent by itself.
#[derive(Debug, Clone, Copy)]
pub struct Ambient;

/// A caller who is known.
#[derive(Debug, Clone)]
pub struct Caller {
    pub by: Credential,
    pub lease: Lease,
}

impl Caller {
    /// Whom the caller acts for.
    pub fn principal(&self) -> &Principal {
        &self.lease.holder.principal
    }

    /// Notes the caller in the request, for handlers further on.
    pub fn note(self, request: &mut Request) {
        let extensions = request.extensions_mut();
        extensions.insert(self.lease.holder.principal.clone());
        if self.by == Credential::Ambient {
            extensions.insert(Ambient);
        }
        extensions.insert(self.lease);
    }
}

/// Whether the body's type is told, where an ambient credential makes that matter: browsers let any
/// page send a body without one.
pub fn typed(request: &Request) -> bool {
    let is_empty = |body: &Body| body.is_end_stream();
    request.extensions().get::<Ambient>().is_none()
        || is_empty(request.body())
        || request.headers().contains_key(header::CONTENT_TYPE)
}

/// A guard that knows callers by a good token. What they may do is asked by the table.
pub struct TokenGuard {
    tokens: Arc<Tokens>,
    clock: Arc<dyn Clock>,
    takes_cookies: bool,
    refuse: fn(Refusal, Asked<'_>) -> Response,
}

impl TokenGuard {
    /// `refuse` writes the refusal in the dialect's shape.
    pub fn new(
        tokens: Arc<Tokens>,
        clock: Arc<dyn Clock>,
        refuse: fn(Refusal, Asked<'_>) -> Response,
    ) -> Self {
        Self { tokens, clock, takes_cookies: true, refuse }
    }

    /// The same without cookies: for listeners that serve no pages. Cookies know no ports, so that
    /// a browser would send ours there too.
    pub fn without_cookies(self) -> Self {
        Self { takes_cookies: false, ..self }
    }

    /// The caller by its token.
    pub fn caller(&self, asked: Asked<'_>) -> Result<Caller, Refusal> {
        let by_cookie = || cookie_token(asked.headers).filter(|_| self.takes_cookies);
        let (token, by) = match (header_token(asked.headers), by_cookie()) {
            (Some(token), _) => (token, Credential::Token),
            (None, Some(token)) => (token, Credential::Ambient),
            (None, None) => return Err(Refusal::Missing),
        };
        if by == Credential::Ambient {
            asked.trusts_ambient()?;
        }
        let holder = self.tokens.check(token, self.clock.now())?;
        if let Some(origin) = asked.origin {
            origin.vouch();
        }
        Ok(self.known(holder, by))
    }

    /// Whether this `Authorization` holds a good token, which `memo` keeps for the next time. Nobody
    /// is told why not: that is for `caller`.
    pub fn knows(&self, authorization: &[u8], memo: &mut Memo) -> bool {
        if memo.is_good(authorization) {
            return true;
        }
        memo.forget();
        // Asked before the check: under a secret that has just changed nothing is remembered as good.
        let secret = self.tokens.accounts().secret();
        let holder = std::str::from_utf8(authorization)
            .ok()
            .and_then(token_of)
            .and_then(|token| self.tokens.check(token, self.clock.now()).ok());
        let (Some(secret), Some(holder)) = (secret, holder) else { return false };
        memo.remember(authorization, secret, self.known(holder, Credential::Token).lease);
        true
    }

    /// A caller whose proof was checked elsewhere.
    pub fn known(&self, holder: Holder, by: Credential) -> Caller {
        let lease = Lease { tokens: self.tokens.clone(), clock: self.clock.clone(), holder };
        Caller { by, lease }
    }

    /// The answer to a caller who is turned away.
    pub fn refuse(&self, refusal: Refusal, asked: Asked<'_>) -> Response {
        (self.refuse)(refusal, asked)
    }
}

impl Guard for TokenGuard {
    fn admit(&self, request: &Parts, _: Access) -> Result<Principal, Response> {
        let asked = Asked::from(request);
        let caller = self.caller(asked).map_err(|refusal| self.refuse(refusal, asked))?;
        Ok(caller.lease.holder.principal)
    }
}
