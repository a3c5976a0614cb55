//! Makes the backups of one master: those that somebody takes with him, those that are kept, and by schedule
//! while it leads.
//!
//! What is due follows from what is kept: a new leader looks there and knows. All masters are told the same
//! place. What failed is tried again soon, and told in the status of this master until one succeeds.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, sleep},
};

use super::{error::ArchiveError, lock, make, place::Place};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        level,
        rng::Rng,
        task::Tasks,
    },
    control::{
        backup::{self, Archive, BackupError, Kept, Lock, Overview, Try},
        cluster::Trouble,
    },
    core::{State, apply::gate},
    log::Log,
    node::{config::Backups, seat::Seat},
};

/// How often it is looked whether this master leads and one is due.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After one that failed; doubled with each more.
const AGAIN_MIN: Duration = Duration::from_secs(60);
const AGAIN_MAX: Duration = Duration::from_secs(3_600);

/// What a keeper is made of.
pub struct KeeperParts {
    pub log: Log<State>,
    pub seat: Arc<Seat>,
    pub settings: Option<Backups>,
    pub clock: Arc<dyn Clock>,
    pub tasks: Tasks,
}

/// The keeper.
pub struct Keeper {
    log: Log<State>,
    seat: Arc<Seat>,
    settings: Option<Backups>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    /// One is made at a time: each holds a state.
    slot: Arc<Semaphore>,
    last: Mutex<Option<Try>>,
}

impl Keeper {
    pub fn new(parts: KeeperParts) -> Arc<Self> {
        let KeeperParts { log, seat, settings, clock, tasks } = parts;
        let (slot, last) = (Arc::new(Semaphore::new(1)), Mutex::default());
        Arc::new(Self { log, seat, settings, clock, tasks, slot, last })
    }

    /// A backup of what this master has, for whoever takes it.
    ///
    /// # Errors
    /// When there can be none now, or none for that lock.
    pub async fn archive(&self, lock: Lock) -> Result<Archive, BackupError> {
        let slot = self.slot.clone().try_acquire_owned().map_err(|_| BackupError::Busy)?;
        self.make(lock, slot).await
    }

    async fn make(&self, lock: Lock, slot: OwnedSemaphorePermit) -> Result<Archive, BackupError> {
        lock::check(&lock).map_err(|error| match error {
            ArchiveError::Lock(why) => BackupError::Lock(why),
            other => BackupError::NotYet(other.to_string()),
        })?;
        if let Err(error) = self.log.read_barrier().await {
            // What is here may be all that is left.
            tracing::warn!(%error, "a backup may lack what was decided last");
        }
        let not_yet = |why: &dyn std::fmt::Display| BackupError::NotYet(why.to_string());
        let state = self.log.state();
        let known = gate::need_level(&state, level::MASTERS, "no backup is made");
        known.map_err(|rejected| not_yet(&rejected))?;
        let cluster = self.cluster()?;
        if !state.masters.contains_key(&self.seat.id) {
            return Err(not_yet(&"this master has not said yet that it is one; try again"));
        }
        let Some(authority) = self.seat.authority().cloned() else {
            return Err(not_yet(&"this master has not been given the cluster's authority yet"));
        };
        let copied = self.log.copy().await.map_err(|error| not_yet(&error))?;
        let made_at = self.clock.now();
        let (master, node) = (self.seat.id, self.seat.node.clone());
        let source = make::Source { copied, authority, master, node, made_at };
        let name = make::name(&cluster, made_at);
        Ok(Archive { name, pieces: make::stream(source, lock, slot) })
    }

    /// Makes one and keeps it; without a lock, for the keys of the settings. More than are to be kept go. It is
    /// brought to its end whether or not somebody waits for it.
    ///
    /// # Errors
    /// As `archive`, and when it cannot be kept.
    pub async fn keep(self: Arc<Self>, lock: Option<Lock>) -> Result<Kept, BackupError> {
        let settings = self.settings.clone().ok_or(BackupError::NoPlace)?;
        let slot = self.slot.clone().try_acquire_owned().map_err(|_| BackupError::Busy)?;
        let (tell, told) = oneshot::channel();
        let tasks = self.tasks.clone();
        tasks.connection("backup", async move {
            // Whoever asked may have gone.
            let _ = tell.send(self.try_keep(&settings, lock, slot).await);
        });
        let stops = || Err(BackupError::NotYet("this master stops".to_owned()));
        told.await.unwrap_or_else(|_| stops())
    }

    async fn try_keep(
        &self,
        settings: &Backups,
        lock: Option<Lock>,
        slot: OwnedSemaphorePermit,
    ) -> Result<Kept, BackupError> {
        let (at, began) = (self.clock.now(), Instant::now());
        let mut name = String::new();
        let kept = self.make_and_put(settings, lock, slot, &mut name).await;
        let took = began.elapsed();
        backup::tried(&name, took, &kept);
        let error = kept.as_ref().err().map(ToString::to_string);
        *self.last.lock() = Some(Try { at, took, error });
        kept
    }

    async fn make_and_put(
        &self,
        settings: &Backups,
        lock: Option<Lock>,
        slot: OwnedSemaphorePermit,
        name: &mut String,
    ) -> Result<Kept, BackupError> {
        let place = Place::open(&settings.to, &self.tasks)?;
        let lock = lock.unwrap_or_else(|| Lock::Keys(settings.keys.clone()));
        let archive = self.make(lock, slot).await?;
        name.clone_from(&archive.name);
        let n_bytes = place.put(archive).await?;
        let cluster = self.cluster()?;
        let made_at = make::made_at(&cluster, name).unwrap_or_default();
        for over in place.list(&cluster).await?.iter().skip(settings.keep as usize) {
            // The next one is followed by another try.
            match place.remove(&over.name).await {
                Ok(()) => tracing::info!(backup = over.name, "the oldest backup was dropped"),
                Err(error) => {
                    tracing::warn!(backup = over.name, %error, "an old backup was not dropped");
                }
            }
        }
        Ok(Kept { name: name.clone(), made_at, n_bytes })
    }

    /// What is set and kept.
    ///
    /// # Errors
    /// When the place does not tell.
    pub async fn overview(&self) -> Result<Overview, BackupError> {
        let Some(settings) = &self.settings else { return Ok(Overview::default()) };
        let place = Place::open(&settings.to, &self.tasks)?;
        Ok(Overview {
            to: Some(settings.to.to_string()),
            every: settings.every,
            keep: settings.keep,
            kept: place.list(&self.cluster()?).await?,
            last: self.last.lock().clone(),
        })
    }

    /// That the last one failed.
    pub fn trouble(&self) -> Option<Trouble> {
        let last = self.last.lock().clone()?;
        Some(Trouble {
            code: "backup_failed",
            message: format!("no backup was made at {}: {}", last.at, last.error?),
            hint: "it is tried again; tepui backup create --keep tries at once",
        })
    }

    /// Makes them by schedule, while this master leads. Runs for ever.
    pub async fn run(self: Arc<Self>, mut rng: Rng) {
        let every = self.settings.as_ref().and_then(|settings| settings.every);
        let Some(every) = every else { return };
        let (mut next, mut again): (Option<Instant>, _) = (None, AGAIN_MIN);
        loop {
            sleep(LOOK_EVERY).await;
            if !self.log.is_leader() {
                // Another leader makes them, and tells what became of its own.
                next = None;
                *self.last.lock() = None;
                continue;
            }
            let is_due = match next {
                Some(at) => Instant::now() >= at,
                None => match self.due_in(every).await {
                    Ok(wait) => {
                        next = Some(Instant::now() + wait);
                        wait.is_zero()
                    }
                    Err(error) => {
                        self.failed(&error);
                        next = Some(Instant::now() + rng.jitter(again));
                        again = (again * 2).min(AGAIN_MAX);
                        false
                    }
                },
            };
            if !is_due {
                continue;
            }
            next = match self.clone().keep(None).await {
                Ok(_) => {
                    again = AGAIN_MIN;
                    Some(Instant::now() + every)
                }
                Err(BackupError::Busy) => None,
                Err(_) => {
                    let wait = rng.jitter(again).min(every);
                    again = (again * 2).min(AGAIN_MAX);
                    Some(Instant::now() + wait)
                }
            };
        }
    }

    fn failed(&self, error: &BackupError) {
        let (at, took) = (self.clock.now(), Duration::ZERO);
        tracing::warn!(%error, "what backups are kept is not known");
        *self.last.lock() = Some(Try { at, took, error: Some(error.to_string()) });
    }

    /// How long until the newest that is kept is as old as it may be.
    async fn due_in(&self, every: Duration) -> Result<Duration, BackupError> {
        let settings = self.settings.as_ref().ok_or(BackupError::NoPlace)?;
        let place = Place::open(&settings.to, &self.tasks)?;
        let kept = place.list(&self.cluster()?).await?;
        backup::newest(kept.first());
        Ok(wait(kept.first().map(|kept| kept.made_at), self.clock.now(), every))
    }

    fn cluster(&self) -> Result<String, BackupError> {
        let state = self.log.state();
        let id = state.cluster.as_ref().map(|cluster| cluster.id.clone());
        id.ok_or_else(|| BackupError::NotYet("there is no cluster yet".to_owned()))
    }
}

/// How long until the next one is due. One from a time to come, by a clock that was put back since, counts as
/// of now.
fn wait(newest: Option<Timestamp>, now: Timestamp, every: Duration) -> Duration {
    newest.map_or(Duration::ZERO, |made_at| every.saturating_sub(now.since(made_at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_follows_from_what_is_kept() {
        let (hour, now) = (Duration::from_secs(3_600), Timestamp::from_ms(1_800_000_000_000));
        assert_eq!(wait(None, now, hour), Duration::ZERO);
        assert_eq!(wait(Some(now - hour / 4), now, hour), hour * 3 / 4);
        assert_eq!(wait(Some(now - hour * 9), now, hour), Duration::ZERO);
        assert_eq!(wait(Some(now + hour * 9), now, hour), hour);
    }
}
