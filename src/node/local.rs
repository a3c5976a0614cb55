//! The files on this machine that speak of the cluster's users, kept true while the node runs.
//!
//! `client.env` is what the command line, tests and scripts of this machine's owner need: address and
//! a token of the first user. Whoever can read the data directory could make such a token anyway, so
//! it is made again when the password was changed or tokens were taken back, and left out when the
//! first user is gone. It lives for a day and is renewed well before: a copy that got lost dies.
//! `initial-password` goes away as soon as the password in it is good for nothing.

use std::{fs, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use parking_lot::Mutex;

use super::bootstrap::{self, ADMIN, PASSWORD_FILE};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        task::Tasks,
    },
    core::State,
    http::auth::{Passwords, Tokens},
    log::Log,
};

/// Life of the token in `client.env`.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Its age at which it is replaced.
const RENEW_AFTER: Duration = Duration::from_secs(8 * 3600);
/// Of the first user's login while the cluster's first command is all that was said of it.
const FIRST_GENERATION: u64 = 1;
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Keeps the files.
#[derive(Clone)]
pub struct Local {
    pub data_dir: PathBuf,
    pub url: String,
    pub dns: SocketAddr,
    /// The authority behind the address, where the machine's own do not vouch for it.
    pub ca: Option<PathBuf>,
    pub log: Log<State>,
    pub tokens: Arc<Tokens>,
    pub passwords: Arc<Passwords>,
    pub clock: Arc<dyn Clock>,
}

/// What the token in the file depends on.
#[derive(PartialEq, Eq)]
struct MadeFor {
    secret: Option<[u8; 32]>,
    generation: Option<u64>,
}

/// What the file holds a token for, and since when.
type Written = Arc<Mutex<Option<(MadeFor, Timestamp)>>>;

impl Local {
    /// Writes `client.env` once and keeps both files true from then on.
    ///
    /// # Errors
    /// When the data directory cannot be written.
    pub fn start(self, tasks: &Tasks) -> anyhow::Result<()> {
        let written = Arc::new(Mutex::default());
        self.renew(&written)?;
        tasks.restart("local-files", move || self.clone().keep(written.clone()));
        Ok(())
    }

    async fn keep(self, written: Written) -> anyhow::Result<()> {
        let mut changed = self.log.feed().changed();
        let mut seen_hash = None;
        loop {
            self.renew(&written)?;
            let hash = self.tokens.accounts().password_hash(ADMIN);
            if seen_hash.as_ref() != Some(&hash) {
                // Nobody has set another since the cluster was made: a try would only take time.
                if self.tokens.accounts().generation(ADMIN) != Some(FIRST_GENERATION) {
                    self.drop_old_password(hash.clone()).await?;
                }
                seen_hash = Some(hash);
            }
            tokio::select! {
                change = changed.changed() => if change.is_err() {
                    return Ok(()); // the log is gone, and the process with it
                },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Writes `client.env` unless what is there is good for a while.
    fn renew(&self, written: &Written) -> anyhow::Result<()> {
        let accounts = self.tokens.accounts();
        let wanted = MadeFor { secret: accounts.secret(), generation: accounts.generation(ADMIN) };
        let now = self.clock.now();
        let mut written = written.lock();
        // A clock that was put back makes a new one too.
        let is_good = written.as_ref().is_some_and(|(made_for, at)| {
            *made_for == wanted && *at <= now && now < *at + RENEW_AFTER
        });
        if !is_good {
            self.write(now)?;
            *written = Some((wanted, now));
        }
        Ok(())
    }

    fn write(&self, now: Timestamp) -> anyhow::Result<()> {
        let mut text = format!("TEPUI_URL={}\n", self.url);
        if let Some(token) = self.tokens.issue(ADMIN, now, TOKEN_LIFE) {
            text += &format!("TEPUI_TOKEN={token}\n");
        }
        text += &format!("TEPUI_DNS={}\n", self.dns);
        if let Some(ca) = &self.ca {
            text += &format!("TEPUI_CA={}\n", ca.display());
        }
        bootstrap::write_private(&self.data_dir.join("client.env"), &text)
    }

    /// Removes the first password's file when that password signs nobody in any more.
    async fn drop_old_password(&self, hash: Option<String>) -> anyhow::Result<()> {
        let path = self.data_dir.join(PASSWORD_FILE);
        let Ok(password) = fs::read_to_string(&path) else { return Ok(()) };
        if self.passwords.verify(password.trim().to_owned(), hash).await {
            return Ok(());
        }
        tracing::info!("the first password was changed, its file is removed");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", path.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
