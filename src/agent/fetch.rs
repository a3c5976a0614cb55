//! The fetcher: artifacts into a sandbox before its task starts.
//!
//! `http`, `https` and files of the node (`file:` or an absolute path). Each download has a bound
//! on its size, on its silence and on its length in time, and is tried a few times. Archives are
//! unpacked by `unpack`; `cache` keeps what is marked for it.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Component, Path, PathBuf},
    time::Duration,
};

use http::{Response, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt as _;

use super::{
    cache::Cache,
    unpack::{self, UnpackError},
    web::{self, Trust, WebError},
};
use crate::{
    base::{limit, task::Tasks},
    model::container::Artifact,
};

/// A download that brings nothing for this long has failed (Mesos' stall limit).
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Longest download.
const WHOLE_MAX: Duration = Duration::from_secs(30 * 60);
/// Tries of one download, and the wait before the second (doubling).
const TRIES: u32 = 3;
const RETRY: Duration = Duration::from_millis(500);
/// Redirects followed.
const REDIRECTS_MAX: usize = 10;

/// Why an artifact is not there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("'{0}' has a scheme that is not supported (http, https and file are)")]
    Scheme(String),
    #[error("'{0}' has no file name")]
    NoName(String),
    #[error("'{0}' would lie outside of the sandbox")]
    Outside(String),
    #[error("cannot fetch '{uri}'")]
    Web { uri: String, source: WebError },
    #[error("cannot fetch '{uri}': the server answered {status}")]
    Status { uri: String, status: StatusCode },
    #[error("cannot fetch '{uri}': {why}")]
    Stalled { uri: String, why: &'static str },
    #[error("cannot fetch '{uri}': it is larger than {} bytes", limit::ARTIFACT_BYTES_MAX)]
    TooLarge { uri: String },
    #[error("cannot store '{uri}'")]
    Disk { uri: String, source: io::Error },
    #[error("cannot unpack '{uri}'")]
    Unpack { uri: String, source: UnpackError },
}

impl FetchError {
    fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Web { source, .. } => !matches!(source, WebError::BadUri(_)),
            Self::Status { status, .. } => status.is_server_error(),
            Self::Stalled { .. } => true,
            Self::Scheme(_)
            | Self::NoName(_)
            | Self::Outside(_)
            | Self::TooLarge { .. }
            | Self::Disk { .. }
            | Self::Unpack { .. } => false,
        }
    }
}

/// Fetches artifacts for all tasks of an agent.
pub struct Fetcher {
    trust: Trust,
    tasks: Tasks,
    cache: Cache,
}

impl Fetcher {
    /// A fetcher that keeps cached artifacts below `cache_dir`.
    pub fn new(cache_dir: PathBuf, tasks: Tasks) -> Self {
        Self { trust: Trust::native(), tasks, cache: Cache::new(cache_dir) }
    }

    /// Fetches `artifacts` into `dir` one after another; all of it then belongs to `owner`. `who`
    /// separates the caches of users.
    pub async fn fetch_all(
        &self,
        artifacts: &[Artifact],
        dir: &Path,
        owner: Option<(u32, u32)>,
        who: &str,
    ) -> Result<(), FetchError> {
        for artifact in artifacts {
            self.fetch(artifact, dir, owner, who).await?;
        }
        Ok(())
    }

    async fn fetch(
        &self,
        artifact: &Artifact,
        dir: &Path,
        owner: Option<(u32, u32)>,
        who: &str,
    ) -> Result<(), FetchError> {
        let uri = artifact.uri.trim();
        let target = dir.join(target_name(artifact)?);
        let disk = |source| FetchError::Disk { uri: uri.to_owned(), source };
        if let Some(parent) = target.parent() {
            tokio::fs::create_dir_all(parent).await.map_err(disk)?;
        }
        if artifact.cache {
            let slot = self.cache.lock(who, uri).await;
            if !slot.is_filled() {
                let fresh = slot.fresh_path().map_err(disk)?;
                self.get(uri, &fresh).await?;
                slot.fill().map_err(disk)?;
            }
            slot.copy_to(&target).await.map_err(disk)?;
        } else {
            self.get(uri, &target).await?;
        }
        self.finish(artifact, dir.to_owned(), target, owner).await
    }

    /// Unpacks, marks executable, hands over.
    async fn finish(
        &self,
        artifact: &Artifact,
        dir: PathBuf,
        target: PathBuf,
        owner: Option<(u32, u32)>,
    ) -> Result<(), FetchError> {
        let Artifact { uri, extract, executable, .. } = artifact.clone();
        let work = move || -> Result<(), FetchError> {
            if executable {
                let mode = fs::Permissions::from_mode(0o755);
                fs::set_permissions(&target, mode)
                    .map_err(|source| FetchError::Disk { uri: uri.clone(), source })?;
            } else if extract {
                unpack::unpack(&target, &dir, owner)
                    .map_err(|source| FetchError::Unpack { uri: uri.clone(), source })?;
            }
            if let Some((uid, gid)) = owner
                && target.exists()
            {
                chown(&target, Some(uid), Some(gid))
                    .map_err(|source| FetchError::Disk { uri, source })?;
            }
            Ok(())
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
            let source = io::Error::other(error);
            Err(FetchError::Disk { uri: artifact.uri.clone(), source })
        })
    }

    /// The content of `uri` into the file `to`.
    async fn get(&self, uri: &str, to: &Path) -> Result<(), FetchError> {
        if let Some(path) = local_path(uri) {
            let copied = tokio::fs::copy(path, to).await;
            return match copied {
                Ok(_) => Ok(()),
                Err(source) => Err(FetchError::Disk { uri: uri.to_owned(), source }),
            };
        }
        let mut wait = RETRY;
        for n in 1.. {
            match self.download(uri, to).await {
                Err(error) if n < TRIES && error.is_worth_a_retry() => {
                    tracing::debug!(uri, %error, "download failed, trying again");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                outcome => return outcome,
            }
        }
        Ok(())
    }

    async fn download(&self, uri: &str, to: &Path) -> Result<(), FetchError> {
        let stalled = |why| FetchError::Stalled { uri: uri.to_owned(), why };
        let whole = async {
            let answer = self.answer(uri).await?;
            let too_large = || FetchError::TooLarge { uri: uri.to_owned() };
            let length = answer.headers().get(header::CONTENT_LENGTH);
            let length = length.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
            if length.is_some_and(|n| n > limit::ARTIFACT_BYTES_MAX) {
                return Err(too_large());
            }
            let disk = |source| FetchError::Disk { uri: uri.to_owned(), source };
            let mut file = tokio::fs::File::create(to).await.map_err(disk)?;
            let mut body = answer.into_body();
            let mut n_bytes = 0;
            loop {
                let frame = tokio::time::timeout(SILENCE_MAX, body.frame()).await;
                let Some(frame) = frame.map_err(|_| stalled("the server stopped sending"))? else {
                    break;
                };
                let frame = frame.map_err(|e| FetchError::Web {
                    uri: uri.to_owned(),
                    source: WebError::Http(e),
                })?;
                let Some(data) = frame.data_ref() else { continue };
                n_bytes += data.len() as u64;
                if n_bytes > limit::ARTIFACT_BYTES_MAX {
                    return Err(too_large());
                }
                file.write_all(data).await.map_err(disk)?;
            }
            file.flush().await.map_err(disk)
        };
        tokio::time::timeout(WHOLE_MAX, whole)
            .await
            .unwrap_or_else(|_| Err(stalled("it took too long")))
    }

    /// The final answer after redirects.
    async fn answer(&self, uri: &str) -> Result<Response<Incoming>, FetchError> {
        let parse =
            |text: &str| text.parse::<Uri>().map_err(|_| FetchError::Scheme(text.to_owned()));
        let mut at = parse(uri)?;
        for _ in 0..=REDIRECTS_MAX {
            let get = web::get(&at, &self.trust, &self.tasks);
            let answer = match tokio::time::timeout(SILENCE_MAX, get).await {
                Ok(outcome) => {
                    outcome.map_err(|source| FetchError::Web { uri: uri.to_owned(), source })?
                }
                Err(_) => {
                    return Err(FetchError::Stalled { uri: uri.to_owned(), why: "no answer" });
                }
            };
            let status = answer.status();
            if status.is_success() {
                return Ok(answer);
            }
            let next = answer.headers().get(header::LOCATION).and_then(|v| v.to_str().ok());
            match next {
                Some(next) if status.is_redirection() => at = parse(&absolute(&at, next))?,
                _ => return Err(FetchError::Status { uri: uri.to_owned(), status }),
            }
        }
        Err(FetchError::Stalled { uri: uri.to_owned(), why: "too many redirects" })
    }
}

/// `next` as seen from `at`.
fn absolute(at: &Uri, next: &str) -> String {
    if next.contains("://") {
        return next.to_owned();
    }
    let scheme = at.scheme_str().unwrap_or("http");
    let authority = at.authority().map_or("", |a| a.as_str());
    if let Some(rest) = next.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    if next.starts_with('/') {
        return format!("{scheme}://{authority}{next}");
    }
    let folder = at.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{scheme}://{authority}{folder}/{next}")
}

/// The node's file that `uri` names, if it names one.
fn local_path(uri: &str) -> Option<&Path> {
    let path = uri.strip_prefix("file://").unwrap_or(uri);
    path.starts_with('/').then(|| Path::new(path))
}

/// Where in the sandbox an artifact goes: its `destPath` or the last segment of its URI.
fn target_name(artifact: &Artifact) -> Result<PathBuf, FetchError> {
    let uri = artifact.uri.trim();
    let is_web = uri.starts_with("http://") || uri.starts_with("https://");
    if !is_web && local_path(uri).is_none() {
        return Err(FetchError::Scheme(uri.to_owned()));
    }
    if let Some(dest) = &artifact.dest_path {
        let path = PathBuf::from(dest);
        let stays =
            path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        return if stays { Ok(path) } else { Err(FetchError::Outside(dest.clone())) };
    }
    let path = match is_web {
        true => uri.split(['?', '#']).next().unwrap_or(uri),
        false => uri,
    };
    let after_host = path.split_once("://").map_or(path, |(_, rest)| rest);
    match after_host.rsplit_once('/') {
        Some((_, name)) if !name.is_empty() && name != "." && name != ".." => Ok(name.into()),
        _ => Err(FetchError::NoName(uri.to_owned())),
    }
}

#[cfg(test)]
mod tests;
