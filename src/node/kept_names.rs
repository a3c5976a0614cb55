//! The names an agent was told last, in a file of its own: a node that starts while no master does
//! answers its containers all the same.
//!
//! The file is a byte for its version and then `model::names::Names`, the whole set.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::bootstrap::write_private;
use crate::{
    base::{
        task::Tasks,
        wire::{self, Message as _},
    },
    core::naming::known::Known,
    model::names::Names,
};

const VERSION: u8 = 1;
/// Some hundred thousand tasks.
const BYTES_MAX: u64 = 256 << 20;
/// Shortest time between two writes: what is missed meanwhile is missed only by a node that starts
/// while no master does.
const PAUSE: Duration = Duration::from_secs(1);
/// Writing may take this share of the time at most (one part in ...).
const SHARE: u32 = 50;

/// The file below an agent's data directory.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("agent").join("names")
}

/// What the file holds; nothing when there is none or it is of no use, which is said.
pub fn load(path: &Path) -> Option<Known> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(%error, file = %path.display(), "the names of last time are not read");
            return None;
        }
    }
    let known = match bytes.split_first() {
        Some((&VERSION, message)) => Names::read(message).map(|news| Known::of(&news)),
        // Of another release: the leader tells them anew.
        Some(_) | None => return None,
    };
    known.unwrap_or_else(|error| {
        tracing::warn!(%error, file = %path.display(), "the names of last time are not read");
        None
    })
}

/// Writes what the agent is told, and again after changes, until `tasks` is stopped.
pub fn keep(mut news: watch::Receiver<Option<Known>>, path: PathBuf, tasks: &Tasks) {
    tasks.connection("kept-names", async move {
        while news.changed().await.is_ok() {
            let Some(known) = news.borrow_and_update().clone() else { continue };
            let (file, began) = (path.clone(), Instant::now());
            let write =
                move || write_private(&file, wire::encode_versioned(VERSION, &known.news()));
            match tokio::task::spawn_blocking(write).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(error = format!("{error:#}"), "the names are not kept");
                }
                Err(_) => return, // the runtime ends
            }
            tokio::time::sleep(PAUSE.max(began.elapsed() * SHARE)).await;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::clock::Timestamp,
        model::names::{Part, Realm},
    };

    fn known() -> Known {
        let realm = Realm { masters: vec![[10, 0, 0, 1].into()], ttl_secs: 7, ..Realm::default() };
        let (put, gone, at) = (Vec::new(), Vec::new(), Timestamp::from_ms(5));
        let news = Names { part: Part::Whole, realm: Some(Box::new(realm)), put, gone, at };
        Known::of(&news).expect("a whole set")
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_told_is_there_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("agent")).unwrap();
        let path = path(dir.path());
        assert_eq!(load(&path), None, "nothing yet, and nothing said");
        let (tasks, tell) = (Tasks::new("test"), watch::Sender::default());
        keep(tell.subscribe(), path.clone(), &tasks);
        tell.send_replace(Some(known()));
        while load(&path).is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(load(&path), Some(known()));
        tasks.stop(Duration::from_secs(1)).await;
    }

    #[test]
    fn a_file_of_no_use_is_no_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("names");
        let good = wire::encode_versioned(VERSION, &known().news());
        let other_version = [&[VERSION + 1], &good[1..]].concat();
        for content in [Vec::new(), other_version, good[..good.len() - 1].to_vec()] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(load(&path), None);
        }
        std::fs::write(&path, good).unwrap();
        assert_eq!(load(&path), Some(known()));
    }
}
