//! Which user a container's first process will be, by number.
//!
//! A name is looked up where the engine looks it up: in the image's own `/etc/passwd` and
//! `/etc/group`.

use std::io::Read as _;

use bollard::query_parameters::{DownloadFromContainerOptions, InspectContainerOptions};
use futures_util::StreamExt as _;

use super::engine::{Engine, EngineError};

/// Largest list of users that is read; the largest seen in images have some kB.
const LIST_BYTES_MAX: usize = 1 << 20;

impl Engine {
    /// User and group of the first process of the created container `id`; `None` when the image
    /// does not know the user, which the engine will refuse to start.
    pub async fn user_of(&self, id: &str) -> Result<Option<(u32, u32)>, EngineError> {
        let client = self.client().await?;
        let options = None::<InspectContainerOptions>;
        let answer = client.inspect_container(id, options).await.map_err(|e| self.error(&e))?;
        let user = answer.config.and_then(|c| c.user).unwrap_or_default();
        if let Some(known) = resolve(&user, None, None) {
            return Ok(Some(known));
        }
        let passwd = self.text_of(id, "/etc/passwd").await?;
        let group = match user.contains(':') {
            true => self.text_of(id, "/etc/group").await?,
            false => String::new(),
        };
        Ok(resolve(&user, Some(&passwd), Some(&group)))
    }

    /// A small text file of a container; empty when there is none.
    async fn text_of(&self, id: &str, path: &str) -> Result<String, EngineError> {
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let client = self.client().await?;
        let mut stream = Box::pin(client.download_from_container(id, Some(options)));
        let mut packed = Vec::new();
        while let Some(chunk) = stream.next().await {
            match chunk.map_err(|e| self.error(&e)) {
                Ok(chunk) if packed.len() + chunk.len() <= LIST_BYTES_MAX => {
                    packed.extend_from_slice(&chunk);
                }
                Ok(_) | Err(EngineError::NoSuch(_)) => return Ok(String::new()),
                Err(error) => return Err(error),
            }
        }
        let mut text = String::new();
        let mut archive = tar::Archive::new(&packed[..]);
        if let Some(Ok(mut file)) = archive.entries().ok().and_then(|mut e| e.next())
            && let Err(error) = file.read_to_string(&mut text)
        {
            tracing::debug!(container = id, path, %error, "unreadable list of users");
        }
        Ok(text)
    }
}

/// The numbers of `user`, which is written as docker run's `--user`. Without the lists: only if it
/// needs none of them.
fn resolve(user: &str, passwd: Option<&str>, group: Option<&str>) -> Option<(u32, u32)> {
    let (user, group_name) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|g| !g.is_empty())),
        None => (user, None),
    };
    if user.is_empty() && group_name.is_none() {
        return Some((0, 0));
    }
    let user = if user.is_empty() { "0" } else { user };
    let line = |list: &str, key: &str, n_key: usize| -> Option<Vec<String>> {
        let mut lines = list.lines().map(|l| l.split(':').map(str::to_owned).collect::<Vec<_>>());
        lines
            .find(|l| l.first().is_some_and(|n| n == key) || l.get(n_key).is_some_and(|n| n == key))
    };
    let number = |line: &Option<Vec<String>>, n: usize| -> Option<u32> {
        line.as_ref().and_then(|l| l.get(n)?.parse().ok())
    };
    let entry = passwd.and_then(|list| line(list, user, 2));
    let uid = user.parse().ok().or_else(|| number(&entry, 2))?;
    let gid = match group_name {
        Some(name) => name.parse().ok().or_else(|| {
            let entry = group.and_then(|list| line(list, name, 2));
            number(&entry, 2)
        })?,
        // A number without an entry is in group 0.
        None => {
            passwd?;
            number(&entry, 3).unwrap_or(0)
        }
    };
    Some((uid, gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_as_docker_writes_them() {
        let passwd = "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\n77:x:1:1::/:\n";
        let group = "root:x:0:\nwww:x:35:web\n";
        for (user, without, with) in [
            ("", Some((0, 0)), Some((0, 0))),
            ("0:0", Some((0, 0)), Some((0, 0))),
            ("1000:1001", Some((1000, 1001)), Some((1000, 1001))),
            ("1000", None, Some((1000, 0))),
            ("33", None, Some((33, 34))),
            ("web", None, Some((33, 34))),
            ("web:www", None, Some((33, 35))),
            ("web:9", None, Some((33, 9))),
            ("nobody", None, None),
            ("web:none", None, None),
        ] {
            assert_eq!(resolve(user, None, None), without, "{user}");
            assert_eq!(resolve(user, Some(passwd), Some(group)), with, "{user}");
        }
    }
}
