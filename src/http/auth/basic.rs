//! Names and passwords in the `Authorization` header, for clients that can send nothing else.
//!
//! A password hash takes long on purpose, and such clients send the password with every request:
//! what was found right is remembered by a keyed digest, and counts while the user's hash is the
//! same. The password itself is kept nowhere.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::{Accounts, Holder, Passwords, Refusal};
use crate::base::rng::Rng;

/// Pairs remembered; a full table is only emptied.
const VERIFIED_MAX: usize = 1024;

/// Checks names and passwords, and remembers what was right.
pub struct Basic {
    accounts: Arc<dyn Accounts>,
    passwords: Arc<Passwords>,
    /// Makes the digests useless to whoever sees this process's memory later.
    key: [u8; 32],
    /// Digest of a right pair to the hash it was right for.
    verified: Mutex<HashMap<[u8; 32], String>>,
}

impl Basic {
    pub fn new(accounts: Arc<dyn Accounts>, passwords: Arc<Passwords>, rng: &mut Rng) -> Self {
        let mut key = [0; 32];
        rng.fill(&mut key);
        Self { accounts, passwords, key, verified: Mutex::default() }
    }

    /// Whether the request carries a name and a password at all.
    pub fn is_offered(headers: &HeaderMap) -> bool {
        scheme_content(headers).is_some()
    }

    /// The user of the request's name and password.
    pub async fn check(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Result<Holder, Refusal> {
        let (uid, password) = pair(headers).ok_or(Refusal::Password)?;
        let hash = self.accounts.password_hash(&uid);
        let digest = self.digest(&uid, &password);
        let is_known = hash.is_some() && self.verified.lock().get(&digest) == hash.as_ref();
        if !is_known {
            // Guessers wait here as at the sign-in.
            let judged = self.passwords.sign_in(&uid, peer, password, hash.clone()).await;
            if !judged.map_err(|_| Refusal::TooMany)? {
                return Err(Refusal::Password);
            }
            let mut verified = self.verified.lock();
            if verified.len() >= VERIFIED_MAX {
                verified.clear();
            }
            verified.insert(digest, hash.unwrap_or_default());
        }
        let account = self.accounts.account(&uid).ok_or(Refusal::Password)?;
        Ok(Holder::by_password(&uid, account))
    }

    fn digest(&self, uid: &str, password: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.key);
        digest.update(uid.len().to_le_bytes());
        digest.update(uid);
        digest.update(password);
        digest.finalize().into()
    }
}

/// What follows `Basic ` in the header.
fn scheme_content(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, content) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| content.trim())
}

fn pair(headers: &HeaderMap) -> Option<(String, String)> {
    let bytes = STANDARD.decode(scheme_content(headers)?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (uid, password) = text.split_once(':')?;
    Some((uid.to_owned(), password.to_owned()))
}
