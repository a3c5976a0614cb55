//! Who is calling: tokens, where they stand in a request, guards of route tables, passwords.
//!
//! `tokens` makes and checks the cluster's own tokens, `rights` says which routes a caller reaches,
//! `guard` decides which of the ways to prove oneself a listener takes (and that no other site's
//! page rides on a browser's), `basic` knows callers by name and password, for clients that can send
//! nothing else. Users and the secret come from the caller through [`Accounts`]: nothing here keeps
//! state besides small caches.

use std::{net::IpAddr, sync::Arc};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use http::{HeaderMap, header, request::Parts};
use tokio::sync::Semaphore;

use super::{Response, query::cookie};
use crate::{
    base::{pace, rng::Rng},
    model::by::{By, Way},
};

mod attempts;
mod basic;
mod guard;
pub mod metrics;
mod rights;
mod tokens;

pub use attempts::{Attempts, TooMany};
pub use basic::Basic;
pub use guard::{Ambient, Asked, Caller, Credential, TokenGuard, typed};
use metrics::SignIn;
pub use rights::{Access, Rights};
pub use tokens::{
    Account, Accounts, Holder, Lease, Memo, Refusal, TOKEN_LIFE, TOKEN_LIFE_MAX, Tokens,
};

/// The cookie browsers carry their token in; the original's name, which old pages set themselves.
pub const AUTH_COOKIE: &str = "dcos-acs-auth-cookie";
/// Password hashes computed at a time: each takes 19 MiB and some 20 ms of a core. Half of the
/// processors go on with everything else.
const HASHES_AT_ONCE_MAX: usize = 2;

/// The one a request acts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    uid: Arc<str>,
    rights: Rights,
    way: Way,
    peer: Option<IpAddr>,
}

impl Principal {
    /// Nobody in particular. No user can have this uid.
    pub const ANONYMOUS: &'static str = "anonymous";

    pub fn new(uid: impl Into<Arc<str>>, rights: Rights) -> Self {
        Self { uid: uid.into(), rights, way: Way::default(), peer: None }
    }

    /// The same one, who came from there by this door.
    pub fn came(self, way: Way, peer: Option<IpAddr>) -> Self {
        Self { way, peer, ..self }
    }

    /// How it is told of in the history.
    pub fn by(&self) -> By {
        By { uid: self.uid.to_string(), way: self.way, peer: self.peer }
    }

    /// Nobody, who reaches what is open.
    pub fn anonymous() -> Self {
        Self::new(Self::ANONYMOUS, Rights::None)
    }

    /// The same one with other rights.
    pub fn with(self, rights: Rights) -> Self {
        Self { rights, ..self }
    }

    pub fn uid(&self) -> &str {
        &self.uid
    }

    pub fn rights(&self) -> Rights {
        self.rights
    }

    pub fn is_anonymous(&self) -> bool {
        &*self.uid == Self::ANONYMOUS
    }
}

/// Checks callers for a route table.
pub trait Guard: Send + Sync + 'static {
    /// The caller with its rights, or the finished refusal. Whether the rights reach as far as
    /// `access` is asked by the table.
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

/// The token in the `Authorization` header: `token=…`, else `Bearer …`.
pub fn header_token(headers: &HeaderMap) -> Option<&str> {
    token_of(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// The token in the value of such a header.
fn token_of(text: &str) -> Option<&str> {
    let text = text.trim();
    let bearer = |text: &'_ str| text.get(..7).map(|s| s.eq_ignore_ascii_case("bearer "));
    let token = match text.strip_prefix("token=") {
        Some(token) => token,
        None if bearer(text) == Some(true) => &text[7..],
        None => return None,
    };
    Some(token.trim()).filter(|token| !token.is_empty())
}

/// The token in our cookie. It counts only when there is no `Authorization` header at all, so that
/// a bad header is not rescued by a good cookie.
pub fn cookie_token(headers: &HeaderMap) -> Option<&str> {
    if headers.contains_key(header::AUTHORIZATION) {
        return None;
    }
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(|text| cookie(text, AUTH_COOKIE))
        .filter(|token| !token.is_empty())
}

/// Hashes and checks passwords (argon2id) on blocking threads, few at a time.
#[derive(Debug)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    attempts: Attempts,
}

impl Default for Passwords {
    fn default() -> Self {
        let n_processors = std::thread::available_parallelism().map_or(1, usize::from);
        let n_slots = (n_processors / 2).clamp(1, HASHES_AT_ONCE_MAX);
        let slots = Arc::new(Semaphore::new(n_slots));
        Self { slots, attempts: Attempts::default() }
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

    /// As `verify`, for somebody at `peer` who wants to sign in as `name`: those who guess wait.
    pub async fn sign_in(
        &self,
        name: &str,
        peer: Option<IpAddr>,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, TooMany> {
        let attempt = peer.map(|peer| self.attempts.begin(name, peer)).transpose();
        let attempt = attempt.inspect_err(|_| metrics::tried(peer, SignIn::Refused))?;
        let is_right = self.verify(password, hash).await;
        metrics::tried(peer, if is_right { SignIn::Good } else { SignIn::Bad });
        if let (Some(attempt), true) = (attempt, is_right) {
            attempt.right();
        }
        Ok(is_right)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let slot = self.slots.clone().acquire_owned().await;
        let slot = slot.map_err(|error| HashError(error.to_string()))?;
        let run = pace::blocking(move || {
            let _slot = slot; // kept even when the caller has gone away
            work()
        });
        run.await.map_err(|error| HashError(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
