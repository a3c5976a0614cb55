//! Tokens: JWTs signed by HS256 with a secret of the cluster.
//!
//! A token names its user, its end and the *generation* of the user it was made for. A user gets a
//! new generation whenever the tokens made so far shall count no more: at birth, with another
//! password or key, on request. Both are compared with the present state on every check, so a token
//! ends with its user, with the generation, with the secret, or by time, whichever comes first.
//! Generations are counted, not timed: a clock that was once wrong neither kills nor revives any.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{Principal, Rights};
use crate::base::clock::{Clock, Timestamp};

/// How long a login lasts unless asked otherwise (the original's five days).
pub const TOKEN_LIFE: Duration = Duration::from_secs(5 * 24 * 3600);
/// How long a login lasts at most, whatever is asked for: long enough for a job that runs once a
/// month, short enough that a forgotten token dies.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_secs(32 * 24 * 3600);
/// Checked tokens remembered; a cluster has fewer active clients than this, and a full cache is
/// only emptied.
const CHECKED_MAX: usize = 4096;
/// How late a stream may notice that the token it was opened with has ended.
const LEASE_CHECK: Duration = Duration::from_secs(2);

/// Who there is, as far as signing in needs to know. Asked on every check: it must be cheap.
pub trait Accounts: Send + Sync + 'static {
    /// What tokens are signed with now; `None` while there is no cluster.
    fn secret(&self) -> Option<[u8; 32]>;
    /// What counts for this user now; `None` when there is no such user.
    fn account(&self, uid: &str) -> Option<Account>;
    /// The generation whose tokens count for this user; `None` when there is no such user.
    fn generation(&self, uid: &str) -> Option<u64> {
        self.account(uid).map(|account| account.generation)
    }
    /// As `account`, while tokens are signed with `secret`.
    fn account_under(&self, secret: &[u8; 32], uid: &str) -> Option<Account> {
        self.account(uid).filter(|_| self.secret().as_ref() == Some(secret))
    }
    /// The hash of the user's password, where there is one.
    fn password_hash(&self, uid: &str) -> Option<String>;
}

/// What counts for a user at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Tokens of this generation are good.
    pub generation: u64,
    pub rights: Rights,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    #[serde(default)]
    uid: String,
    /// Seconds since the Unix epoch.
    exp: i64,
    /// The user's generation.
    #[serde(rename = "gen")]
    generation: u64,
}

/// Why a caller is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("No auth token in request.")]
    Missing,
    #[error("Invalid token. Reason: signature or format")]
    Invalid,
    #[error("Invalid token. Reason: expired")]
    Expired,
    /// The user is gone, or what it could sign in with was changed.
    #[error("Invalid token. Reason: taken back")]
    Revoked,
    #[error("Unexpected token payload: missing uid.")]
    NoUid,
    #[error("Wrong name or password.")]
    Password,
    #[error("Too many wrong passwords; wait before you try again.")]
    TooMany,
    /// The credential is one a browser sends by itself, and a page of another site may have made
    /// it do so.
    #[error("A change was asked for by a page of another origin.")]
    Foreign,
    /// As `Foreign`, for answers that are scripts any page can load.
    #[error("A cookie does not count where the answer is a script.")]
    Script,
}

/// Whom a credential stands for, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub principal: Principal,
    generation: u64,
    /// Seconds since the Unix epoch; `None` for a password, which ends with its user only.
    exp: Option<i64>,
}

/// The keys of one secret, with the tokens already found to be signed by it.
struct Keys {
    secret: [u8; 32],
    encoding: EncodingKey,
    decoding: DecodingKey,
    checked: Mutex<HashMap<Box<str>, Holder>>,
}

impl Keys {
    fn of(secret: [u8; 32]) -> Arc<Self> {
        Arc::new(Self {
            secret,
            encoding: EncodingKey::from_secret(&secret),
            decoding: DecodingKey::from_secret(&secret),
            checked: Mutex::default(),
        })
    }
}

/// Makes and checks tokens of one cluster.
pub struct Tokens {
    accounts: Arc<dyn Accounts>,
    keys: ArcSwap<Keys>,
    validation: Validation,
}

impl Tokens {
    pub fn new(accounts: Arc<dyn Accounts>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // `exp` is compared with our own clock in `check`; `aud` and `iss` carry no meaning here.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let keys = Keys::of(accounts.secret().unwrap_or_default());
        Self { accounts, keys: ArcSwap::new(keys), validation }
    }

    /// Who may sign in.
    pub fn accounts(&self) -> &Arc<dyn Accounts> {
        &self.accounts
    }

    /// The keys of the present secret; `None` while there is none.
    fn keys(&self) -> Option<Arc<Keys>> {
        let secret = self.accounts.secret()?;
        let keys = self.keys.load_full();
        if keys.secret == secret {
            return Some(keys);
        }
        let fresh = Keys::of(secret);
        self.keys.store(fresh.clone());
        Some(fresh)
    }

    /// A token for `uid`, ending after `life` but at the latest after `TOKEN_LIFE_MAX`; `None` when
    /// there is no such user (any more).
    pub fn issue(&self, uid: &str, now: Timestamp, life: Duration) -> Option<String> {
        let generation = self.accounts.generation(uid)?;
        let exp = (now + life.min(TOKEN_LIFE_MAX)).as_ms() / 1000;
        let claims = Claims { uid: uid.to_owned(), exp, generation };
        let keys = self.keys()?;
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &keys.encoding);
        Some(token.expect("an HMAC key signs three plain claims without fail"))
    }

    /// The holder of `token`, if it is ours and still good.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<Holder, Refusal> {
        let keys = self.keys().ok_or(Refusal::Invalid)?;
        let known = keys.checked.lock().get(token).cloned();
        let holder = match known {
            Some(known) => known,
            None => {
                let fresh = self.decode(token, &keys)?;
                let mut checked = keys.checked.lock();
                if checked.len() >= CHECKED_MAX {
                    checked.clear();
                }
                checked.insert(token.into(), fresh.clone());
                fresh
            }
        };
        // Rights are never remembered: they are the user's now, not those of the sign-in.
        let Account { rights, .. } = self.still_good(&holder, now)?;
        Ok(Holder { principal: holder.principal.with(rights), ..holder })
    }

    /// Whether what was once found good under `secret` still is, for somebody who shows the very
    /// same; the holder's rights are those of now then.
    fn check_again(&self, holder: &mut Holder, secret: &[u8; 32], now: Timestamp) -> bool {
        let account = self.accounts.account_under(secret, holder.principal.uid());
        let Ok(account) = holder.good_with(account, now) else { return false };
        holder.principal.rights = account.rights;
        true
    }

    fn decode(&self, token: &str, keys: &Keys) -> Result<Holder, Refusal> {
        let claims: Claims = jsonwebtoken::decode(token, &keys.decoding, &self.validation)
            .map_err(|_| Refusal::Invalid)?
            .claims;
        if claims.uid.is_empty() {
            return Err(Refusal::NoUid);
        }
        let principal = Principal::new(claims.uid, Rights::None); // until `check` looks them up
        Ok(Holder { principal, generation: claims.generation, exp: Some(claims.exp) })
    }

    /// Whether what was once found good still is. The signature is not looked at again: with
    /// another secret come other generations.
    fn still_good(&self, holder: &Holder, now: Timestamp) -> Result<Account, Refusal> {
        holder.good_with(self.accounts.account(holder.principal.uid()), now)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(secret)")
    }
}

impl Holder {
    /// What counts for the holder, whose `account` is this now, while the credential is good.
    fn good_with(&self, account: Option<Account>, now: Timestamp) -> Result<Account, Refusal> {
        if self.exp.is_some_and(|exp| exp.saturating_mul(1000) <= now.as_ms()) {
            return Err(Refusal::Expired);
        }
        account.filter(|a| a.generation == self.generation).ok_or(Refusal::Revoked)
    }

    /// Somebody known by a password that counts now.
    pub(super) fn by_password(uid: &str, account: Account) -> Self {
        let Account { generation, rights } = account;
        Self { principal: Principal::new(uid, rights), generation, exp: None }
    }
}

/// What an answer that goes on for long keeps, to end with the credential it was opened with.
#[derive(Clone)]
pub struct Lease {
    pub(super) tokens: Arc<Tokens>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) holder: Holder,
}

impl Lease {
    /// Resolves when the credential counts no more, or for less than when the answer began; a
    /// moment late at most.
    pub async fn ended(self) {
        let counts = |account: Account| account.rights >= self.holder.principal.rights();
        while self.tokens.still_good(&self.holder, self.clock.now()).is_ok_and(counts) {
            tokio::time::sleep(LEASE_CHECK).await;
        }
        tracing::debug!(uid = self.holder.principal.uid(), "a stream ends with its token");
    }
}

/// The last good `Authorization` of a connection: shown again it need not be looked up, only
/// whether it still counts.
#[derive(Default)]
pub struct Memo(Option<Remembered>);

struct Remembered {
    authorization: Box<[u8]>,
    secret: [u8; 32],
    lease: Lease,
}

impl Memo {
    /// What an answer keeps of the caller, if there is one.
    pub fn lease(&self) -> Option<&Lease> {
        self.0.as_ref().map(|remembered| &remembered.lease)
    }

    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    /// Whether this very text was good before and still is.
    pub(super) fn is_good(&mut self, authorization: &[u8]) -> bool {
        let Some(Remembered { authorization: last, secret, lease }) = &mut self.0 else {
            return false;
        };
        let now = lease.clock.roughly();
        **last == *authorization && lease.tokens.check_again(&mut lease.holder, secret, now)
    }

    pub(super) fn remember(&mut self, authorization: &[u8], secret: [u8; 32], lease: Lease) {
        self.0 = Some(Remembered { authorization: authorization.into(), secret, lease });
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.holder).finish()
    }
}
