//! Secrets for one master: sealed with its public key, so that they may stand in the state.
//!
//! HPKE (RFC 9180) with X25519, HKDF-SHA256 and AES-256-GCM. The private key is made on the master's
//! machine and stays there; it signs nothing and is no part of a certificate.

use std::path::Path;

use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE,
    hpke::{EncapsulatedSecret, Hpke as _, HpkePrivateKey, HpkePublicKey},
};

use super::{PkiError, files};
use crate::model::master::Envelope;

/// Where a master keeps its key, below its certificates.
const FILE: &str = "seal.key";
/// What an envelope with the authority's key is good for and nothing else is.
const INFO: &[u8] = b"tepui authority key";
const KEY_BYTES: usize = 32;

/// The key of one master.
pub struct SealKey {
    private: HpkePrivateKey,
    public: Vec<u8>,
}

impl SealKey {
    /// The key kept in `dir`, made there at the first call.
    ///
    /// # Errors
    /// When it cannot be read, or made and written.
    pub fn load_or_create(dir: &Path) -> Result<Self, PkiError> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let path = dir.join(FILE);
        if path.exists() {
            let text = files::read_text(&path)?;
            let bytes = STANDARD.decode(text.trim()).ok().filter(|b| b.len() == 2 * KEY_BYTES);
            let bytes = bytes
                .ok_or_else(|| PkiError::Content(format!("{} holds no key", path.display())))?;
            let (private, public) = bytes.split_at(KEY_BYTES);
            return Ok(Self { private: private.to_vec().into(), public: public.to_vec() });
        }
        let made = Self::generate()?;
        let both = [made.private.secret_bytes(), &made.public].concat();
        files::write_private(&path, &format!("{}\n", STANDARD.encode(both)))?;
        Ok(made)
    }

    fn generate() -> Result<Self, PkiError> {
        let (public, private) = SUITE.generate_key_pair()?;
        Ok(Self { private, public: public.0 })
    }

    /// What others seal with.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Opens what was sealed for this key, on the cluster of that authority.
    ///
    /// # Errors
    /// When it was sealed for another, or changed on its way.
    pub fn open(&self, envelope: &Envelope, authority: &[u8]) -> Result<Vec<u8>, PkiError> {
        let share = EncapsulatedSecret(envelope.share.clone());
        Ok(SUITE.open(&share, INFO, authority, &envelope.text, &self.private)?)
    }
}

/// Seals a secret of the cluster of that authority.
///
/// # Errors
/// When `to` is no public key.
pub fn seal(secret: &[u8], authority: &[u8], to: &[u8]) -> Result<Envelope, PkiError> {
    let to = HpkePublicKey(to.to_vec());
    let (share, text) = SUITE.seal(INFO, authority, secret, &to)?;
    Ok(Envelope { share: share.0, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whom_it_is_sealed_for_reads_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let key = SealKey::load_or_create(dir.path()).unwrap();
        let envelope = seal(b"secret", b"authority", key.public()).unwrap();
        assert!(!envelope.text.windows(6).any(|bytes| bytes == b"secret"));
        let again = SealKey::load_or_create(dir.path()).unwrap();
        assert_eq!(again.open(&envelope, b"authority").unwrap(), b"secret");
        assert!(again.open(&envelope, b"another").is_err(), "of another cluster");
        let other = SealKey::generate().unwrap();
        assert!(other.open(&envelope, b"authority").is_err(), "of another master");
        let mut changed = envelope;
        changed.text[0] ^= 1;
        assert!(again.open(&changed, b"authority").is_err());
        assert!(seal(b"secret", b"authority", b"no key").is_err());
    }

    #[test]
    fn a_key_that_is_damaged_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "rubbish").unwrap();
        let error = SealKey::load_or_create(dir.path()).err().unwrap().to_string();
        assert!(error.contains("seal.key holds no key"), "{error}");
    }
}
