//! The fetcher: artifacts into a sandbox before its task starts.
//!
//! `http`, `https` and files of the node (`file:` or an absolute path), these as the task's user may
//! read them. Each has a bound on its size and on its length in time, a download also on its silence
//! and is tried a few times. Archives are unpacked by `unpack`; `cache` keeps what is marked for it.
//! An earlier archive may have put links in the way: everything is written by `beneath`.

pub mod cache;
pub mod unpack;

use std::{
    fs::{File, Permissions},
    io::{self, Read as _, Seek as _},
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http::{Response, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::{io::AsyncWriteExt as _, time::Instant};

use self::{cache::Cache, unpack::UnpackError};
use super::{
    machine::accounts::{self, Account},
    sandbox::beneath::{Dir, Owner},
};
use crate::{
    base::{limit, task::Tasks},
    http::client::{self as web, Trust, WebError},
    model::container::Artifact,
};

/// A download that brings nothing for this long has failed (Mesos' stall limit).
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Longest download.
const WHOLE_MAX: Duration = Duration::from_secs(30 * 60);
/// Tries of one download, and the wait before the second (doubling).
const TRIES: u32 = 3;
const RETRY: Duration = Duration::from_millis(500);
/// Bytes of a file copied between two looks at the time.
const COPY_BYTES: u64 = 64 << 20;
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
    #[error("cannot read '{uri}'{reader}")]
    Read { uri: String, reader: String, source: io::Error },
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
            | Self::Read { .. }
            | Self::Disk { .. }
            | Self::Unpack { .. } => false,
        }
    }
}

/// On whose behalf artifacts are fetched.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Who the files are given to.
    pub owner: Owner,
    /// Who reads files of the node; `None`: the agent.
    pub reader: Option<Account>,
    /// Separates the caches of users.
    pub who: String,
}

/// Where an artifact goes.
struct Place {
    sandbox: Arc<Dir>,
    path: PathBuf,
    owner: Owner,
}

impl Place {
    /// Makes the file, and the directories above it, in place of what is there.
    fn create(&self) -> io::Result<File> {
        let above = self.path.parent().unwrap_or(Path::new(""));
        self.sandbox.make_dirs(above, 0o755, self.owner)?;
        self.sandbox.create(&self.path, 0o644, self.owner)
    }
}

/// Makes the file that an artifact is written to; once per try.
type Create<'a> = &'a (dyn Fn() -> io::Result<File> + Send + Sync);

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

    /// Fetches `artifacts` into `sandbox` one after another.
    pub async fn fetch_all(
        &self,
        artifacts: &[Artifact],
        sandbox: &Path,
        client: &Client,
    ) -> Result<(), FetchError> {
        let opened = Dir::open(sandbox).map(Arc::new);
        for artifact in artifacts {
            let sandbox = match &opened {
                Ok(dir) => dir.clone(),
                Err(error) => {
                    let (uri, source) = (artifact.uri.clone(), error.kind().into());
                    return Err(FetchError::Disk { uri, source });
                }
            };
            let path = target_name(artifact)?;
            self.fetch(artifact, Place { sandbox, path, owner: client.owner }, client).await?;
        }
        Ok(())
    }

    async fn fetch(
        &self,
        artifact: &Artifact,
        place: Place,
        client: &Client,
    ) -> Result<(), FetchError> {
        let uri = artifact.uri.trim();
        let disk = |source| FetchError::Disk { uri: uri.to_owned(), source };
        let file = if artifact.cache {
            let slot = self.cache.lock(&client.who, uri).await;
            if !slot.is_filled() {
                drop(self.get(uri, &|| slot.fresh(), client).await?);
                slot.fill().map_err(disk)?;
            }
            let (cached, file) = (slot.open().map_err(disk)?, place.create().map_err(disk)?);
            copy(uri, cached, file).await?
        } else {
            self.get(uri, &|| place.create(), client).await?
        };
        finish(artifact, file, place).await
    }

    /// The content of `uri` in a new file.
    async fn get(
        &self,
        uri: &str,
        create: Create<'_>,
        client: &Client,
    ) -> Result<File, FetchError> {
        if let Some(path) = local_path(uri) {
            let source = open_local(uri, path, client.reader.clone()).await?;
            let file =
                create().map_err(|source| FetchError::Disk { uri: uri.to_owned(), source })?;
            return copy(uri, source, file).await;
        }
        let mut wait = RETRY;
        let mut n = 1;
        loop {
            match self.download(uri, create).await {
                Err(error) if n < TRIES && error.is_worth_a_retry() => {
                    tracing::debug!(uri, %error, "download failed, trying again");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                    n += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn download(&self, uri: &str, create: Create<'_>) -> Result<File, FetchError> {
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
            let mut file = tokio::fs::File::from_std(create().map_err(disk)?);
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
            file.flush().await.map_err(disk)?;
            Ok(file.into_std().await)
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

/// Unpacks what is an archive, or marks it executable.
async fn finish(artifact: &Artifact, file: File, place: Place) -> Result<(), FetchError> {
    let Artifact { uri, extract, executable, .. } = artifact.clone();
    let work = move || -> Result<(), FetchError> {
        if executable {
            let mode = Permissions::from_mode(0o755);
            file.set_permissions(mode).map_err(|source| FetchError::Disk { uri, source })
        } else if extract {
            let name = place.path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            unpack::unpack(&file, name, &place.sandbox, place.owner)
                .map_err(|source| FetchError::Unpack { uri, source })
        } else {
            Ok(())
        }
    };
    blocking(&artifact.uri, work).await
}

/// Opens a file of the node.
async fn open_local(uri: &str, path: &Path, reader: Option<Account>) -> Result<File, FetchError> {
    let (path, to) = (path.to_owned(), uri.to_owned());
    let work = move || {
        let opened = match &reader {
            Some(account) => accounts::open_as(account, &path),
            None => accounts::open(&path),
        };
        let reader = reader.map(|r| format!(" as user '{}'", r.name)).unwrap_or_default();
        opened.map_err(|source| FetchError::Read { uri: to, reader, source })
    };
    blocking(uri, work).await
}

/// Copies a file of any length that is allowed, and no longer than is allowed.
async fn copy(uri: &str, from: File, mut to: File) -> Result<File, FetchError> {
    let name = uri.to_owned();
    let work = move || {
        let deadline = Instant::now() + WHOLE_MAX;
        let disk = |source| FetchError::Disk { uri: name.clone(), source };
        let mut n_bytes = 0;
        loop {
            let n = io::copy(&mut (&from).take(COPY_BYTES), &mut to).map_err(disk)?;
            n_bytes += n;
            if n == 0 {
                to.rewind().map_err(disk)?;
                return Ok(to);
            }
            if n_bytes > limit::ARTIFACT_BYTES_MAX {
                return Err(FetchError::TooLarge { uri: name });
            }
            if Instant::now() > deadline {
                return Err(FetchError::Stalled { uri: name, why: "it took too long" });
            }
        }
    };
    blocking(uri, work).await
}

/// Runs disk work off the event loop.
async fn blocking<T: Send + 'static>(
    uri: &str,
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(FetchError::Disk { uri: uri.to_owned(), source: io::Error::other(error) })
    })
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
