//! Who is calling: tokens, where they stand in a request, guards of route tables, passwords.
//!
//! A token is a JWT signed by HS256 with a 32-byte secret of the cluster; its claims are `uid` and
//! an optional `exp` in seconds. Whoever holds the secret can make and check tokens, so every
//! master does without asking anybody. Users and the secret come from the caller: nothing here
//! keeps state besides a small cache of tokens already checked.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use http::{HeaderMap, header, request::Parts};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{Response, query::cookie, route::Access};
use crate::base::{
    clock::{Clock, Timestamp},
    rng::Rng,
};

/// The cookie browsers carry their token in; the original's name, which old pages set themselves.
pub const AUTH_COOKIE: &str = "dcos-acs-auth-cookie";
/// How long a login lasts unless asked otherwise (the original's five days).
pub const TOKEN_LIFE: Duration = Duration::from_secs(5 * 24 * 3600);
/// Checked tokens remembered; a cluster has fewer active clients than this, and a full cache is
/// only emptied.
const CHECKED_MAX: usize = 4096;
/// Password hashes computed at a time: each takes 19 MiB and some 20 ms of a core.
const HASHES_AT_ONCE_MAX: usize = 2;

/// The one a request acts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal(Arc<str>);

impl Principal {
    /// Nobody in particular. No user can have this uid.
    pub const ANONYMOUS: &'static str = "anonymous";

    pub fn new(uid: impl Into<Arc<str>>) -> Self {
        Self(uid.into())
    }

    pub fn anonymous() -> Self {
        Self::new(Self::ANONYMOUS)
    }

    pub fn uid(&self) -> &str {
        &self.0
    }

    pub fn is_anonymous(&self) -> bool {
        &*self.0 == Self::ANONYMOUS
    }
}

/// Checks callers for a route table.
pub trait Guard: Send + Sync + 'static {
    /// The caller, or the finished refusal.
    #[allow(clippy::result_large_err)] // moved once, on the rare way
    fn admit(&self, request: &Parts, access: Access) -> Result<Principal, Response>;
}

/// Lets everybody in under one name: for listeners nobody else can reach.
#[derive(Debug, Clone)]
pub struct Trusted(pub Principal);

impl Guard for Trusted {
    fn admit(&self, _: &Parts, _: Access) -> Result<Principal, Response> {
        Ok(self.0.clone())
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub uid: String,
    /// Seconds since the Unix epoch; without it the token does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
}

/// Why a request's token is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("No auth token in request.")]
    Missing,
    #[error("Invalid token. Reason: signature or format")]
    Invalid,
    #[error("Invalid token. Reason: expired")]
    Expired,
    #[error("Unexpected token payload: missing uid.")]
    NoUid,
}

/// The holder of a token and its expiry in seconds.
type Checked = (Principal, Option<i64>);

/// Makes and checks tokens of one cluster.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    checked: Mutex<HashMap<Box<str>, Checked>>,
}

impl Tokens {
    pub fn new(secret: &[u8; 32]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // `exp` is optional and compared with our own clock in `check`; `aud` and `iss` carry no
        // meaning here, old clients send anything.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
            checked: Mutex::default(),
        }
    }

    /// A token for `uid`, ending after `life` or never.
    pub fn issue(&self, uid: &str, now: Timestamp, life: Option<Duration>) -> String {
        let exp = life.map(|life| (now + life).as_ms() / 1000);
        let claims = Claims { uid: uid.to_owned(), exp };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .expect("an HMAC key signs two plain claims without fail")
    }

    /// The holder of `token`, if it is ours and still good.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<Principal, Refusal> {
        let known = self.checked.lock().get(token).cloned();
        let (principal, exp) = match known {
            Some(known) => known,
            None => {
                let fresh = self.decode(token)?;
                let mut checked = self.checked.lock();
                if checked.len() >= CHECKED_MAX {
                    checked.clear();
                }
                checked.insert(token.into(), fresh.clone());
                fresh
            }
        };
        match exp {
            Some(exp) if exp.saturating_mul(1000) <= now.as_ms() => Err(Refusal::Expired),
            _ => Ok(principal),
        }
    }

    fn decode(&self, token: &str) -> Result<Checked, Refusal> {
        let json: serde_json::Value = jsonwebtoken::decode(token, &self.decoding, &self.validation)
            .map_err(|_| Refusal::Invalid)?
            .claims;
        let uid = json.get("uid").and_then(|uid| uid.as_str()).filter(|uid| !uid.is_empty());
        let exp = match json.get("exp") {
            None | Some(serde_json::Value::Null) => None,
            Some(exp) => Some(exp.as_f64().map(|exp| exp as i64).ok_or(Refusal::Invalid)?),
        };
        Ok((Principal::new(uid.ok_or(Refusal::NoUid)?), exp))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(secret)")
    }
}

/// The token of a request: `Authorization: token=…`, else `Bearer …`; the cookie counts only when
/// there is no `Authorization` header at all, so a bad header is not rescued by a good cookie.
pub fn token_of(headers: &HeaderMap) -> Option<&str> {
    match headers.get(header::AUTHORIZATION) {
        Some(value) => {
            let text = value.to_str().ok()?.trim();
            let bearer = |text: &'_ str| text.get(..7).map(|s| s.eq_ignore_ascii_case("bearer "));
            let token = match text.strip_prefix("token=") {
                Some(token) => token,
                None if bearer(text) == Some(true) => &text[7..],
                None => return None,
            };
            Some(token.trim()).filter(|token| !token.is_empty())
        }
        None => headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(|text| cookie(text, AUTH_COOKIE))
            .filter(|token| !token.is_empty()),
    }
}

/// A guard that admits holders of a good token to everything.
pub struct TokenGuard {
    tokens: Arc<Tokens>,
    clock: Arc<dyn Clock>,
    refuse: fn(Refusal, &Parts) -> Response,
}

impl TokenGuard {
    /// `refuse` writes the 401 in the dialect's shape.
    pub fn new(
        tokens: Arc<Tokens>,
        clock: Arc<dyn Clock>,
        refuse: fn(Refusal, &Parts) -> Response,
    ) -> Self {
        Self { tokens, clock, refuse }
    }

    /// The caller by its token.
    pub fn principal(&self, headers: &HeaderMap) -> Result<Principal, Refusal> {
        let token = token_of(headers).ok_or(Refusal::Missing)?;
        self.tokens.check(token, self.clock.now())
    }
}

impl Guard for TokenGuard {
    fn admit(&self, request: &Parts, _: Access) -> Result<Principal, Response> {
        self.principal(&request.headers).map_err(|refusal| (self.refuse)(refusal, request))
    }
}

/// Hashes and checks passwords (argon2id) on blocking threads, few at a time.
#[derive(Debug)]
pub struct Passwords {
    slots: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(HASHES_AT_ONCE_MAX)) }
    }
}

/// A password could not be hashed: none of the caller's doing.
#[derive(Debug, thiserror::Error)]
#[error("password hashing failed: {0}")]
pub struct HashError(String);

impl Passwords {
    /// The PHC string to keep for `password`; the salt is drawn from `rng`.
    pub async fn hash(&self, password: String, rng: &mut Rng) -> Result<String, HashError> {
        let mut salt = [0; 16];
        rng.fill(&mut salt);
        let work = move || {
            let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
            hash.map(|hash| hash.to_string()).map_err(|error| HashError(error.to_string()))
        };
        self.run(work).await?
    }

    /// Whether `password` belongs to `hash`. Without a hash (unknown user) it works as long and
    /// says no, so that the answer's time does not tell who exists.
    pub async fn verify(&self, password: String, hash: Option<String>) -> bool {
        let work = move || match hash.as_deref().map(PasswordHash::new) {
            Some(Ok(hash)) => Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
            Some(Err(_)) | None => {
                // The outcome does not matter, only the work.
                drop(Argon2::default().hash_password_with_salt(password.as_bytes(), &[7; 16]));
                false
            }
        };
        self.run(work).await.unwrap_or(false)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let slot = self.slots.clone().acquire_owned().await;
        let slot = slot.map_err(|error| HashError(error.to_string()))?;
        let run = tokio::task::spawn_blocking(move || {
            let _slot = slot; // kept even when the caller has gone away
            work()
        });
        run.await.map_err(|error| HashError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

    #[test]
    fn a_token_is_good_until_it_expires() {
        let tokens = Tokens::new(&[1; 32]);
        let token = tokens.issue("ann", NOW, Some(Duration::from_secs(60)));
        for _ in 0..2 {
            assert_eq!(tokens.check(&token, NOW).unwrap().uid(), "ann");
        }
        let later = NOW + Duration::from_secs(60);
        assert_eq!(tokens.check(&token, later), Err(Refusal::Expired));
        let endless = tokens.issue("ann", NOW, None);
        assert!(tokens.check(&endless, NOW + TOKEN_LIFE * 1000).is_ok());
    }

    #[test]
    fn strangers_tokens_are_refused() {
        let (ours, theirs) = (Tokens::new(&[1; 32]), Tokens::new(&[2; 32]));
        let token = theirs.issue("ann", NOW, None);
        assert_eq!(ours.check(&token, NOW), Err(Refusal::Invalid));
        // header {"alg":"none"}, payload {"uid":"ann"}
        let none = "eyJhbGciOiJub25lIn0.eyJ1aWQiOiJhbm4ifQ.";
        for token in ["", "a.b.c", none] {
            assert_eq!(ours.check(token, NOW), Err(Refusal::Invalid), "{token}");
        }
    }

    #[test]
    fn a_token_without_uid_is_refused() {
        let tokens = Tokens::new(&[1; 32]);
        for claims in [serde_json::json!({}), serde_json::json!({"uid": null})] {
            let header = Header::new(Algorithm::HS256);
            let token = jsonwebtoken::encode(&header, &claims, &tokens.encoding).unwrap();
            assert_eq!(tokens.check(&token, NOW), Err(Refusal::NoUid));
        }
    }

    #[test]
    fn the_header_wins_over_the_cookie() {
        let mut headers = HeaderMap::new();
        assert_eq!(token_of(&headers), None);
        headers.insert(header::COOKIE, "a=b; dcos-acs-auth-cookie=c".parse().unwrap());
        assert_eq!(token_of(&headers), Some("c"));
        for (value, token) in
            [("token=t", Some("t")), ("Bearer  b", Some("b")), ("Basic x", None), ("token=", None)]
        {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(token_of(&headers), token, "{value}");
        }
    }

    #[tokio::test]
    async fn passwords_verify_against_their_hash_only() {
        let passwords = Passwords::default();
        let hash = passwords.hash("secret".into(), &mut Rng::from_seed(1)).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(passwords.verify("secret".into(), Some(hash.clone())).await);
        assert!(!passwords.verify("Secret".into(), Some(hash)).await);
        assert!(!passwords.verify("secret".into(), Some("rubbish".into())).await);
        assert!(!passwords.verify("secret".into(), None).await);
    }
}
