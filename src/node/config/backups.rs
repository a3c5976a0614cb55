//! The settings of backups: how often one is made, where they go, for whom, how many are kept.

use std::{fmt, path::PathBuf, str::FromStr as _, time::Duration};

use super::Checker;
use crate::node::settings::Raw;

/// As many as are kept unless it is said.
const KEEP: u32 = 14;
/// Bounds of what may be kept; all names of them are read to find the oldest.
const KEEP_MAX: u32 = 1_000;
/// More often than this each would still be on its way.
const EVERY_MIN: Duration = Duration::from_secs(60);
const EVERY_MAX: Duration = Duration::from_secs(90 * 86_400);
/// The region of stores that have none.
const REGION: &str = "us-east-1";

/// Backups that are kept somewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backups {
    pub to: To,
    /// By itself; `None`: only when somebody asks for one.
    pub every: Option<Duration>,
    pub keep: u32,
    /// Public keys of those who can open them.
    pub keys: Vec<String>,
}

/// Where backups are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum To {
    Dir(PathBuf),
    S3(Bucket),
}

/// A part of a bucket of an S3-compatible store.
#[derive(Clone, PartialEq, Eq)]
pub struct Bucket {
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    /// What the names of all objects begin with.
    pub prefix: String,
    pub key_id: String,
    pub secret: String,
    /// Certificates to trust, beside which no others are.
    pub ca: Option<PathBuf>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{} at {}", self.bucket, self.prefix, self.endpoint)
    }
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir(dir) => write!(f, "{}", dir.display()),
            Self::S3(bucket) => write!(f, "s3://{}/{}", bucket.bucket, bucket.prefix),
        }
    }
}

impl Checker<'_> {
    /// The settings of backups; `None` where no place is named.
    pub(super) fn backups(&mut self, raw: &Raw) -> Option<Backups> {
        let Some(to) = raw.backup_to.as_deref() else {
            if raw.backup_every.is_some() {
                let fix = "name a directory, or s3://bucket/prefix";
                self.fail("backup_to", "is missing beside backup_every", fix);
            }
            return None;
        };
        let to = match to.strip_prefix("s3://") {
            Some(rest) => To::S3(self.bucket(raw, rest)),
            None => To::Dir(self.backup_dir(to)),
        };
        let keys = raw.backup_keys.clone().unwrap_or_default();
        for key in &keys {
            if let Err(why) = age::x25519::Recipient::from_str(key) {
                let fix = "write what `tepui backup key` prints, or age-keygen: age1…";
                self.fail("backup_keys", format!("{key:?} is no public key: {why}"), fix);
            }
        }
        let every = self.backup_every(raw.backup_every.as_deref());
        if every.is_some() && keys.is_empty() {
            let fix = "make one with `tepui backup key`; the secret one stays with you";
            self.fail("backup_keys", "is missing beside backup_every", fix);
        }
        let keep = raw.backup_keep.unwrap_or(KEEP);
        if !(1..=KEEP_MAX).contains(&keep) {
            let fix = "leave it out for the built-in value";
            self.fail("backup_keep", format!("must be 1 to {KEEP_MAX}"), fix);
        }
        Some(Backups { to, every, keep, keys })
    }

    fn backup_dir(&mut self, text: &str) -> PathBuf {
        let dir = PathBuf::from(text);
        if !dir.is_absolute() || text.contains("://") {
            let problem = format!("{text:?} is no place for backups");
            self.fail("backup_to", problem, "name a directory from / on, or s3://bucket/prefix");
        }
        dir
    }

    fn bucket(&mut self, raw: &Raw, rest: &str) -> Bucket {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let mut wanted = |key, value: Option<&String>, fix| {
            if value.is_none_or(String::is_empty) {
                self.fail(key, "is missing beside backup_to", fix);
            }
            value.cloned().unwrap_or_default()
        };
        let endpoint = wanted(
            "backup_s3_endpoint",
            raw.backup_s3_endpoint.as_ref(),
            "write the store's address such as https://s3.example.com",
        );
        const KEYS: &str = "write the access key that the store gave out";
        let key_id = wanted("backup_s3_key_id", raw.backup_s3_key_id.as_ref(), KEYS);
        let secret = wanted("backup_s3_secret", raw.backup_s3_secret.as_ref(), KEYS);
        let is_web = ["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme));
        if !endpoint.is_empty() && (!is_web || endpoint.parse::<http::Uri>().is_err()) {
            let problem = format!("{endpoint:?} is no address");
            self.fail("backup_s3_endpoint", problem, "write it such as https://s3.example.com");
        }
        if bucket.is_empty() {
            self.fail("backup_to", "names no bucket", "write s3://bucket/prefix");
        }
        Bucket {
            endpoint,
            region: raw.backup_s3_region.clone().unwrap_or_else(|| REGION.to_owned()),
            bucket: bucket.to_owned(),
            prefix,
            key_id,
            secret,
            ca: raw.backup_s3_ca.clone(),
        }
    }

    fn backup_every(&mut self, text: Option<&str>) -> Option<Duration> {
        const FIX: &str = "write a time such as 24h, 90m or 7d, of a minute or more";
        let text = text?.trim();
        let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
        let read = units.into_iter().find_map(|(unit, secs)| {
            let n: u64 = text.strip_suffix(unit)?.parse().ok()?;
            Some(Duration::from_secs(n.checked_mul(secs)?))
        });
        let every = read.filter(|every| (EVERY_MIN..=EVERY_MAX).contains(every));
        if every.is_none() {
            self.fail("backup_every", format!("{text:?} is no time between backups"), FIX);
        }
        every
    }
}
