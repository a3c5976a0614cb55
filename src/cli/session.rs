//! Where the cluster is and who we are: flags, environment, or a remembered login.
//!
//! Looked at in this order; the first that names an address decides, and its token goes with it:
//! flags, `TEPUI_URL`/`TEPUI_TOKEN`, `tepui-dev/client.env` in the working directory (a `tepui
//! dev` started here), the remembered login, `/var/lib/tepui/client.env` (this machine is a node).
//! A token given by flag or environment wins over the one beside the address.
//!
//! The working directory may be anybody's work, a cloned repository say. What lies there is
//! believed only as what `tepui dev` writes: an address of this machine, with its own token. A token
//! or a password given for somewhere else is never sent to it.

use std::{
    fs,
    io::Write as _,
    net::IpAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{
    args::Global,
    error::{CliError, Exit, Outcome},
    io::Io,
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
    /// Authorities to trust there instead of this machine's.
    pub ca: Option<PathBuf>,
}

/// What a `client.env` says.
#[derive(Debug, Default)]
struct Saved {
    url: Option<String>,
    token: Option<String>,
    ca: Option<PathBuf>,
}

impl Session {
    /// Finds the session; an error names the ways to have one.
    pub fn find(global: &Global, io: &Io) -> Outcome<Self> {
        let token = given_token(global, io);
        // A token given by hand was given for another place.
        let is_free = given_url(global, io).is_none() && token.is_none();
        if is_free && let Some(here) = started_here(io) {
            return Ok(here);
        }
        Self::find_remembered(global, io)
    }

    /// As `find`, but whatever lies in the working directory is not looked at.
    pub fn find_remembered(global: &Global, io: &Io) -> Outcome<Self> {
        let (token, ca) = (given_token(global, io), io.var("TEPUI_CA").map(PathBuf::from));
        if let Some((url, source)) = given_url(global, io) {
            let saved = remembered(io, &url).unwrap_or_default();
            let (token, ca) = (token.or(saved.token), ca.or(saved.ca));
            return Ok(Self { url: canonical(&url)?, token, source, ca });
        }
        let files = [
            login_file(io),
            Some(PathBuf::from("/var/lib/tepui/client.env")).filter(|_| io.system_files),
        ];
        for file in files.into_iter().flatten() {
            if let Some(saved) = read(&file)
                && let Some(url) = &saved.url
            {
                let source = file.display().to_string();
                let (token, ca) = (token.or(saved.token), ca.or(saved.ca));
                return Ok(Self { url: canonical(url)?, token, source, ca });
            }
        }
        Err(CliError::new(Exit::Unreachable, "no cluster is known")
            .hint("start one with: tepui dev   or sign in to one with: tepui login URL"))
    }
}

fn given_token(global: &Global, io: &Io) -> Option<String> {
    global.token.clone().or_else(|| io.var("TEPUI_TOKEN"))
}

fn given_url(global: &Global, io: &Io) -> Option<(String, String)> {
    [(&global.url, "--url"), (&io.var("TEPUI_URL"), "TEPUI_URL")]
        .into_iter()
        .find_map(|(url, source)| url.clone().map(|url| (url, source.to_owned())))
}

/// The `tepui dev` of the working directory: on this machine only.
fn started_here(io: &Io) -> Option<Session> {
    let file = io.cwd.join("tepui-dev/client.env");
    let saved = read(&file)?;
    let url = canonical(&saved.url?).ok()?;
    let uri: http::Uri = url.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']);
    let is_here = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let source = file.display().to_string();
    is_here.then_some(Session { url, token: saved.token, source, ca: None })
}

/// An address as the client uses it: with scheme in small letters, without trailing slash.
pub fn canonical(url: &str) -> Outcome<String> {
    let url = url.trim().trim_end_matches('/');
    let url = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
    let parsed: Option<http::Uri> = url.parse().ok();
    let is_web = |uri: &http::Uri| matches!(uri.scheme_str(), Some("http" | "https"));
    match (parsed.filter(|uri| is_web(uri) && names_a_host(uri)), url.split_once("://")) {
        // Everybody who asks whether it is TLS looks at this text.
        (Some(_), Some((scheme, rest))) => Ok(format!("{}://{rest}", scheme.to_ascii_lowercase())),
        _ => Err(CliError::usage(format!("{url:?} is not an address"))
            .hint("write it as http://host:8000 or https://host")),
    }
}

/// Whether an address has a host and, where there is a colon, a port: one that is none would be
/// taken for the usual one, and somebody else might listen there.
fn names_a_host(uri: &http::Uri) -> bool {
    let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else { return false };
    let behind = authority.as_str().rsplit('@').next().and_then(|text| text.strip_prefix(host));
    let port = behind.and_then(|text| text.strip_prefix(':'));
    !host.is_empty() && (behind == Some("") || port.is_some_and(|p| p.parse::<u16>().is_ok()))
}

/// Where a login is remembered.
pub fn login_file(io: &Io) -> Option<PathBuf> {
    let base = io.var("XDG_CONFIG_HOME").map(PathBuf::from);
    let base = base.or_else(|| io.var("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(base.join("tepui/client.env"))
}

/// Remembers a login, readable by its owner only.
pub fn remember(io: &Io, url: &str, token: &str, ca: Option<&Path>) -> Outcome<PathBuf> {
    let file = place(io)?;
    let mut text = format!("TEPUI_URL={url}\nTEPUI_TOKEN={token}\n");
    if let Some(ca) = ca {
        let ca = std::path::absolute(ca)?;
        text += &format!("TEPUI_CA={}\n", ca.display());
    }
    write_private(&file, &text)?;
    Ok(file)
}

/// Keeps the certificate of an authority to be trusted with the login.
pub fn remember_ca(io: &Io, pem: &str) -> Outcome<PathBuf> {
    let file = place(io)?.with_file_name("ca.pem");
    write_private(&file, pem)?;
    Ok(file)
}

/// The authority that was trusted for this address before.
pub fn remembered_ca(io: &Io, url: &str) -> Option<PathBuf> {
    remembered(io, url)?.ca
}

fn place(io: &Io) -> Outcome<PathBuf> {
    login_file(io).ok_or_else(|| {
        CliError::failure("there is no place to remember the login")
            .hint("set HOME, or pass TEPUI_URL and TEPUI_TOKEN yourself")
    })
}

/// Written beside and renamed: a crash leaves the old file, never half of a new one.
fn write_private(file: &Path, text: &str) -> Outcome {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let beside = file.with_extension("new");
    fs::remove_file(&beside).ok();
    let mut to = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    to.write_all(text.as_bytes())?;
    to.sync_all()?;
    Ok(fs::rename(&beside, file)?)
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

/// The remembered login, when it belongs to this address.
fn remembered(io: &Io, url: &str) -> Option<Saved> {
    let saved = read(&login_file(io)?)?;
    (canonical(saved.url.as_deref()?).ok()? == canonical(url).ok()?).then_some(saved)
}

/// What a `client.env` says.
fn read(file: &Path) -> Option<Saved> {
    if fs::metadata(file).ok()?.len() > FILE_BYTES_MAX {
        return None;
    }
    let text = fs::read_to_string(file).ok()?;
    let value = |key: &str| {
        let lines = text.lines().filter_map(|line| line.trim().split_once('='));
        let found = lines.filter(|(k, _)| *k == key).map(|(_, v)| v.trim().to_owned()).next_back();
        found.filter(|v| !v.is_empty())
    };
    let (url, token) = (value("TEPUI_URL"), value("TEPUI_TOKEN"));
    Some(Saved { url, token, ca: value("TEPUI_CA").map(PathBuf::from) })
}
