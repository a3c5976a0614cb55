//! Backups: one to take away, one to keep, and what is kept.

use std::sync::Arc;

use futures_util::stream::poll_fn;
use http::{HeaderValue, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use serde::{Deserialize, Serialize};

use super::context::Api;
use crate::{
    control::backup::{self, Archive, BackupError, Lock},
    http::{Body, BoxError, Call, Response, body, error::ApiError, reply},
};

/// What kind of file a backup is.
const MEDIA_TYPE: &str = "application/vnd.tepui.backup";

/// `NewBackup` of the contract.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    passphrase: Option<String>,
    keys: Option<Vec<String>>,
    /// Whether it stays where backups are kept.
    #[serde(default)]
    keep: bool,
}

/// `Backups` of the contract.
#[derive(Serialize)]
struct Backups {
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every_s: Option<u64>,
    keep: u32,
    backups: Vec<Backup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Try>,
}

/// `Backup` of the contract.
#[derive(Serialize)]
struct Backup {
    name: String,
    made_at: String,
    bytes: u64,
}

/// `BackupTry` of the contract.
#[derive(Serialize)]
struct Try {
    at: String,
    took_ms: u64,
    good: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<backup::Kept> for Backup {
    fn from(kept: backup::Kept) -> Self {
        Self { name: kept.name, made_at: kept.made_at.to_string(), bytes: kept.n_bytes }
    }
}

impl From<backup::Try> for Try {
    fn from(last: backup::Try) -> Self {
        let took_ms = u64::try_from(last.took.as_millis()).unwrap_or(u64::MAX);
        Self { at: last.at.to_string(), took_ms, good: last.error.is_none(), error: last.error }
    }
}

impl From<BackupError> for ApiError {
    fn from(error: BackupError) -> Self {
        let message = error.to_string();
        match error {
            BackupError::Lock(_) => Self::bad_request(message),
            BackupError::Busy => Self::conflict(message).hint("wait until it is done"),
            BackupError::NoPlace => {
                Self::conflict(message).hint("set backup_to on all masters, or take it with you")
            }
            BackupError::NotYet(_) => Self::conflict(message),
            BackupError::Place(_) => {
                Self::new(StatusCode::BAD_GATEWAY, "backup_place_failed", message)
                    .hint("look at backup_to and what belongs to it in the settings of this master")
            }
        }
    }
}

/// What is kept, and what is made by itself.
pub async fn list(api: Arc<Api>, _: Call) -> Result<Response, ApiError> {
    let told = api.cluster.backups().await?;
    let told = Backups {
        to: told.to,
        every_s: told.every.map(|every| every.as_secs()),
        keep: told.keep,
        backups: told.kept.into_iter().map(Backup::from).collect(),
        last: told.last.map(Try::from),
    };
    Ok(reply::json(StatusCode::OK, &told))
}

/// Makes one: the answer is the file, or it stays where backups are kept.
pub async fn create(api: Arc<Api>, mut call: Call) -> Result<Response, ApiError> {
    let asked: New = body::parse_json(&call.bytes().await?)?;
    let uid = call.principal.uid();
    let lock = match (asked.passphrase, asked.keys) {
        (Some(text), None) => Some(Lock::Passphrase(text)),
        (None, Some(keys)) => Some(Lock::Keys(keys)),
        (None, None) if asked.keep => None,
        (None, None) => {
            return Err(ApiError::bad_request("a backup is for a passphrase or for public keys"));
        }
        (Some(_), Some(_)) => {
            return Err(ApiError::bad_request("a backup is for one of passphrase and keys"));
        }
    };
    if asked.keep {
        let kept = Backup::from(api.cluster.keep_backup(lock).await?);
        tracing::info!(target: "audit", uid, backup = kept.name, "backup kept");
        return Ok(reply::json(StatusCode::OK, &kept));
    }
    let lock = lock.unwrap_or(Lock::Keys(Vec::new()));
    let archive = api.cluster.backup(lock).await?;
    tracing::info!(target: "audit", uid, backup = archive.name, "backup taken away");
    Ok(file(archive))
}

/// A backup as an answer. One that breaks off ends with an error, so that nobody takes it for whole.
fn file(archive: Archive) -> Response {
    let Archive { name, mut pieces } = archive;
    let frames = poll_fn(move |cx| {
        pieces
            .poll_recv(cx)
            .map(|next| next.map(|piece| piece.map(Frame::data).map_err(BoxError::from)))
    });
    let mut response = reply::empty(StatusCode::OK);
    *response.body_mut() = Body::stream(StreamBody::new(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
