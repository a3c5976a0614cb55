//! What makes a backup readable by its owner alone: the age format (age-encryption.org/v1), which other tools
//! open too. A passphrase is stretched by scrypt; a public key needs no secret where backups are made.

use std::{
    fmt,
    io::{Read, Write},
    str::FromStr as _,
};

use age::{
    DecryptError, Decryptor, Encryptor,
    secrecy::{ExposeSecret as _, SecretString},
    stream::{StreamReader, StreamWriter},
    x25519::{Identity, Recipient},
};

use super::error::ArchiveError;
use crate::control::backup::Lock;

/// Rounds of scrypt, as a power of two: half a second and 128 MiB, once for each backup.
const WORK: u8 = 17;
/// The most that is done for one that somebody else made: 1 GiB.
const WORK_MAX: u8 = 20;
/// Shorter ones are found by trying.
const PASSPHRASE_CHARS_MIN: usize = 12;
/// Public keys of one backup.
const KEYS_MAX: usize = 20;

/// What opens one.
pub enum Key {
    Passphrase(SecretString),
    Identities(Vec<Identity>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "Passphrase",
            Self::Identities(_) => "Identities",
        })
    }
}

impl Key {
    pub fn passphrase(text: &str) -> Self {
        Self::Passphrase(SecretString::from(text.to_owned()))
    }

    /// Reads a file of secret keys, as `tepui backup key` and `age-keygen` write it.
    ///
    /// # Errors
    /// When a line is no key, or there is none.
    pub fn of_file(text: &str) -> Result<Self, ArchiveError> {
        let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        let identities: Result<Vec<Identity>, &str> = lines.map(Identity::from_str).collect();
        match identities {
            Ok(identities) if !identities.is_empty() => Ok(Self::Identities(identities)),
            Ok(_) => Err(ArchiveError::Lock("the file holds no secret key".to_owned())),
            Err(error) => Err(ArchiveError::Lock(format!("the file holds no secret key: {error}"))),
        }
    }
}

/// A new pair of keys: the file of the secret one, and the public one.
pub fn new_key() -> (String, String) {
    let identity = Identity::generate();
    let public = identity.to_public().to_string();
    let secret = identity.to_string();
    (format!("# public key: {public}\n{}\n", secret.expose_secret()), public)
}

/// Whether a backup can be made for this.
///
/// # Errors
/// What is wrong with it.
pub fn check(lock: &Lock) -> Result<(), ArchiveError> {
    match lock {
        Lock::Passphrase(text) if text.chars().count() < PASSPHRASE_CHARS_MIN => {
            let problem = format!("a passphrase has {PASSPHRASE_CHARS_MIN} characters or more");
            Err(ArchiveError::Lock(problem))
        }
        Lock::Passphrase(_) => Ok(()),
        Lock::Keys(keys) => recipients(keys).map(drop),
    }
}

fn recipients(keys: &[String]) -> Result<Vec<Recipient>, ArchiveError> {
    if keys.is_empty() || keys.len() > KEYS_MAX {
        let problem = format!("a backup is made for 1 to {KEYS_MAX} public keys");
        return Err(ArchiveError::Lock(problem));
    }
    let parse = |key: &String| {
        Recipient::from_str(key.trim()).map_err(|why| {
            let problem = format!("{key:?} is no public key (age1…): {why}");
            ArchiveError::Lock(problem)
        })
    };
    keys.iter().map(parse).collect()
}

/// Encrypts what is written.
pub fn locked<W: Write>(out: W, lock: &Lock) -> Result<StreamWriter<W>, ArchiveError> {
    check(lock)?;
    let recipients: Vec<Box<dyn age::Recipient>> = match lock {
        Lock::Passphrase(text) => {
            let mut one = age::scrypt::Recipient::new(SecretString::from(text.clone()));
            one.set_work_factor(WORK);
            vec![Box::new(one)]
        }
        Lock::Keys(keys) => {
            let each = |one| -> Box<dyn age::Recipient> { Box::new(one) };
            recipients(keys)?.into_iter().map(each).collect()
        }
    };
    let encryptor = Encryptor::with_recipients(recipients.iter().map(|one| &**one));
    let encryptor = encryptor.map_err(|error| ArchiveError::Lock(error.to_string()))?;
    Ok(encryptor.wrap_output(out)?)
}

/// Decrypts what is read.
pub fn opened<R: Read>(source: R, key: &Key) -> Result<StreamReader<R>, ArchiveError> {
    let decryptor = Decryptor::new(source).map_err(|error| unreadable(error, key))?;
    match (key, decryptor.is_scrypt()) {
        (Key::Passphrase(_), false) => return Err(ArchiveError::WantsKey),
        (Key::Identities(_), true) => return Err(ArchiveError::WantsPassphrase),
        (Key::Passphrase(_), true) | (Key::Identities(_), false) => {}
    }
    let identities: Vec<Box<dyn age::Identity>> = match key {
        Key::Passphrase(text) => {
            let mut one = age::scrypt::Identity::new(text.clone());
            one.set_max_work_factor(WORK_MAX);
            vec![Box::new(one)]
        }
        Key::Identities(all) => {
            let each = |one: &Identity| -> Box<dyn age::Identity> { Box::new(one.clone()) };
            all.iter().map(each).collect()
        }
    };
    let opened = decryptor.decrypt(identities.iter().map(|one| &**one));
    opened.map_err(|error| unreadable(error, key))
}

fn unreadable(error: DecryptError, key: &Key) -> ArchiveError {
    match (error, key) {
        (
            DecryptError::DecryptionFailed
            | DecryptError::KeyDecryptionFailed
            | DecryptError::NoMatchingKeys,
            Key::Passphrase(_),
        ) => ArchiveError::WrongPassphrase,
        (
            DecryptError::DecryptionFailed
            | DecryptError::KeyDecryptionFailed
            | DecryptError::NoMatchingKeys,
            Key::Identities(_),
        ) => ArchiveError::WrongKey,
        (DecryptError::Io(error), _) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            ArchiveError::Io(error)
        }
        (error, _) => ArchiveError::damaged(error),
    }
}
