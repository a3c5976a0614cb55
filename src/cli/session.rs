//! Where the cluster is and who we are: flags, environment, or a remembered login.
//!
//! Looked at in this order; the first that names an address decides, and its token goes with it:
//! flags, `TEPUI_URL`/`TEPUI_TOKEN`, `tepui-dev/client.env` in the working directory (a `tepui
//! dev` started here), the remembered login, `/var/lib/tepui/client.env` (this machine is a node).
//! A token given by flag or environment wins over the one beside the address.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{
    args::Global,
    error::{CliError, Exit, Outcome},
    run::Io,
};

/// Largest file of settings that is read; a real one holds three lines.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// How to reach the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Without trailing slash.
    pub url: String,
    pub token: Option<String>,
    /// Where the address was found, for people.
    pub source: String,
}

impl Session {
    /// Finds the session; an error names the ways to have one.
    pub fn find(global: &Global, io: &Io) -> Outcome<Self> {
        let token = global.token.clone().or_else(|| io.var("TEPUI_TOKEN"));
        let given = [(&global.url, "--url"), (&io.var("TEPUI_URL"), "TEPUI_URL")]
            .into_iter()
            .find_map(|(url, source)| url.clone().map(|url| (url, source.to_owned())));
        if let Some((url, source)) = given {
            let token = token.or_else(|| remembered_token(io, &url));
            return Ok(Self { url: canonical(&url)?, token, source });
        }
        let files = [
            Some(io.cwd.join("tepui-dev/client.env")),
            login_file(io),
            Some(PathBuf::from("/var/lib/tepui/client.env")).filter(|_| io.system_files),
        ];
        for file in files.into_iter().flatten() {
            if let Some((Some(url), beside)) = read(&file) {
                let source = file.display().to_string();
                return Ok(Self { url: canonical(&url)?, token: token.or(beside), source });
            }
        }
        Err(CliError::new(Exit::Unreachable, "no cluster is known")
            .hint("start one with: tepui dev   or sign in to one with: tepui login URL"))
    }
}

/// An address as the client uses it: with scheme, without trailing slash.
pub fn canonical(url: &str) -> Outcome<String> {
    let url = url.trim().trim_end_matches('/');
    let url = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
    let parsed: Result<http::Uri, _> = url.parse();
    match parsed {
        Ok(uri)
            if uri.host().is_some_and(|h| !h.is_empty())
                && matches!(uri.scheme_str(), Some("http" | "https")) =>
        {
            Ok(url)
        }
        Ok(_) | Err(_) => Err(CliError::usage(format!("{url:?} is not an address"))
            .hint("write it as http://host:8000 or https://host")),
    }
}

/// Where a login is remembered.
pub fn login_file(io: &Io) -> Option<PathBuf> {
    let base = io.var("XDG_CONFIG_HOME").map(PathBuf::from);
    let base = base.or_else(|| io.var("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(base.join("tepui/client.env"))
}

/// Remembers a login, readable by its owner only.
pub fn remember(io: &Io, url: &str, token: &str) -> Outcome<PathBuf> {
    let file = login_file(io).ok_or_else(|| {
        CliError::failure("there is no place to remember the login")
            .hint("set HOME, or pass TEPUI_URL and TEPUI_TOKEN yourself")
    })?;
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Written beside and renamed: a crash leaves the old login, never half of a new one.
    let beside = file.with_extension("new");
    fs::remove_file(&beside).ok();
    let mut to = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    to.write_all(format!("TEPUI_URL={url}\nTEPUI_TOKEN={token}\n").as_bytes())?;
    to.sync_all()?;
    fs::rename(&beside, &file)?;
    Ok(file)
}

/// Forgets the login; false when there was none.
pub fn forget(io: &Io) -> Outcome<bool> {
    match login_file(io).map(fs::remove_file) {
        None => Ok(false),
        Some(Ok(())) => Ok(true),
        Some(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Some(Err(error)) => Err(error.into()),
    }
}

/// The remembered token, when it belongs to this address.
fn remembered_token(io: &Io, url: &str) -> Option<String> {
    let (known, token) = read(&login_file(io)?)?;
    (canonical(&known?).ok()? == canonical(url).ok()?).then_some(token).flatten()
}

/// Address and token of a `client.env`.
fn read(file: &Path) -> Option<(Option<String>, Option<String>)> {
    if fs::metadata(file).ok()?.len() > FILE_BYTES_MAX {
        return None;
    }
    let text = fs::read_to_string(file).ok()?;
    let value = |key: &str| {
        let lines = text.lines().filter_map(|line| line.trim().split_once('='));
        let found = lines.filter(|(k, _)| *k == key).map(|(_, v)| v.trim().to_owned()).next_back();
        found.filter(|v| !v.is_empty())
    };
    Some((value("TEPUI_URL"), value("TEPUI_TOKEN")))
}
