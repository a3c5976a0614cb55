//! Garbage: containers and sandboxes of incarnations that ended and that the leader let go, and
//! persistent volumes of instances that nobody wants any more.
//!
//! `plan` decides from ages and the fill of the disk, as Mesos does: the time a sandbox may stay
//! shrinks as the disk fills up. The newest few are always kept, for people who look for the cause
//! of a failure, and so is what gives no room worth having.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::sys::statvfs::statvfs;

use crate::{
    agent::{
        desired::Key,
        record::Record,
        runtime::Runtime,
        sandbox::{
            Sandboxes,
            beneath::{Dir, bytes_below},
        },
        volumes::{self, OWNER},
    },
    base::{clock::Timestamp, limit::VOLUMES_KEEP},
    model::{AppId, InstanceId, link::VolumeUsage},
};

/// Dead containers are removed after this (their output is in the sandbox).
const CONTAINER_KEEP: Duration = Duration::from_secs(3600);
/// At most this many dead containers stay.
const CONTAINERS_MAX: usize = 50;
/// Sandboxes kept whatever the disk says.
const SANDBOXES_MIN: usize = 10;
/// At most this many sandboxes of ended incarnations stay, and of one instance: a crash loop must not
/// push out the last output of everything else.
const SANDBOXES_MAX: usize = 1_000;
const SANDBOXES_PER_INSTANCE_MAX: usize = 200;
/// What the newest take together up to this is no help to a full disk: it stays for its whole time.
const SANDBOX_BYTES_MIN: u64 = 64 << 20;
/// What they may take together; the newest few may take more.
const SANDBOX_BYTES_MAX: u64 = 4 << 30;
/// Files of one sandbox that are measured; one with more counts as what these take.
const MEASURED_MAX: usize = 2_000;
/// Directories held open while one is measured.
const OPEN_DIRS_MAX: usize = 32;
/// End of the name of the file that counts that time, in seconds, beside an instance's volumes.
const UNWANTED: &str = ".unwanted";
/// Share of the disk that is to stay free.
const HEADROOM: f64 = 0.1;

/// What is left of an incarnation.
#[derive(Clone, Debug)]
pub struct Grave {
    pub key: Key,
    pub app: AppId,
    pub containers: Vec<String>,
    pub at: Timestamp,
}

impl Grave {
    pub fn of(record: &Record) -> Self {
        Self {
            key: record.key(),
            app: record.app.clone(),
            containers: record.members.iter().map(|m| m.id.clone()).collect(),
            at: record.forgotten_at.unwrap_or_default(),
        }
    }
}

/// What is to go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Garbage {
    pub containers: Vec<String>,
    pub sandboxes: Vec<Key>,
}

/// Decides what goes. `used` is the fill of the disk, 0 to 1; `measure` tells the bytes of a sandbox.
pub fn plan(
    graves: &[Grave],
    now: Timestamp,
    keep: Duration,
    used: f64,
    measure: impl Fn(&Grave) -> u64,
) -> Garbage {
    let mut newest: Vec<&Grave> = graves.iter().collect();
    newest.sort_by_key(|g| std::cmp::Reverse(g.at));
    let allowed = keep.mul_f64((1.0 - HEADROOM - used).clamp(0.0, 1.0));
    let mut garbage = Garbage::default();
    let (mut n_kept, mut n_bytes) = (0, 0);
    let mut of_instance: BTreeMap<&InstanceId, usize> = BTreeMap::new();
    for (rank, grave) in newest.into_iter().enumerate() {
        let age = now.since(grave.at);
        let n_of_instance = of_instance.entry(&grave.key.0).or_default();
        let is_over = n_kept >= SANDBOXES_MAX
            || *n_of_instance >= SANDBOXES_PER_INSTANCE_MAX
            || n_bytes > SANDBOX_BYTES_MAX;
        let allowed = if n_bytes < SANDBOX_BYTES_MIN { keep } else { allowed };
        let sandbox_goes = rank >= SANDBOXES_MIN && (age > allowed || is_over);
        if sandbox_goes || rank >= CONTAINERS_MAX || age > CONTAINER_KEEP {
            garbage.containers.extend(grave.containers.iter().cloned());
        }
        if sandbox_goes {
            garbage.sandboxes.push(grave.key.clone());
        } else {
            (n_kept, n_bytes) = (n_kept + 1, n_bytes + measure(grave));
            *n_of_instance += 1;
        }
    }
    garbage
}

/// The bytes of an incarnation's output and of what lies in its sandbox.
fn measure(sandboxes: &Sandboxes, grave: &Grave) -> u64 {
    let tops = [sandboxes.output(&grave.app, &grave.key), sandboxes.dir(&grave.app, &grave.key)];
    let dirs = tops.iter().filter_map(|dir| Dir::open(dir).ok()).collect();
    bytes_below(dirs, MEASURED_MAX, OPEN_DIRS_MAX, Metadata::len)
}

/// What a collection has found and done.
#[derive(Debug, Default)]
pub struct Collected {
    /// Incarnations of which nothing is left.
    pub gone: Vec<Key>,
    /// What volumes take, where they were looked at.
    pub volumes: Option<Vec<VolumeUsage>>,
}

/// One collection.
pub struct Job {
    pub runtime: Arc<dyn Runtime>,
    pub sandboxes: Sandboxes,
    pub data_dir: PathBuf,
    pub keep: Duration,
    pub now: Timestamp,
    /// Instances whose volumes stay; `None` as long as the leader has not been heard.
    pub wanted: Option<BTreeSet<InstanceId>>,
    /// Time since the last collection.
    pub round: Duration,
}

impl Job {
    /// Removes what has to go; returns the incarnations of which nothing is left, and what volumes take.
    pub async fn run(self, graves: Vec<Grave>) -> Collected {
        let used = used(&self.data_dir).unwrap_or(0.0);
        let (now, keep, sandboxes) = (self.now, self.keep, self.sandboxes.clone());
        let planned = tokio::task::spawn_blocking(move || {
            let garbage = plan(&graves, now, keep, used, |grave| measure(&sandboxes, grave));
            (graves, garbage)
        });
        let Ok((graves, garbage)) = planned.await else { return Collected::default() };
        for id in &garbage.containers {
            if let Err(error) = self.runtime.remove(id).await {
                tracing::debug!(container = id, %error, "dead container not removed");
                return Collected::default(); // the engine is away; the next round tries again
            }
        }
        if let Err(error) = self.runtime.tidy(self.now).await {
            tracing::debug!(%error, "the engine is not tidied"); // the next round tries again
        }
        let sandboxes = self.sandboxes.clone();
        let doomed: Vec<(Key, AppId)> = graves
            .into_iter()
            .filter(|g| garbage.sandboxes.contains(&g.key))
            .map(|g| (g.key, g.app))
            .collect();
        let work = move || {
            let mut gone = Vec::new();
            for (key, app) in doomed {
                match bury(&sandboxes, &app, &key) {
                    Ok(()) => gone.push(key),
                    Err(error) => tracing::warn!(instance = %key.0, %error, "sandbox not removed"),
                }
            }
            let measure = |instance| volumes::measure(&sandboxes, instance);
            let volumes = self.wanted.as_ref().map(|wanted| {
                drop_volumes(sandboxes.volumes_root(), wanted, self.round);
                wanted.iter().flat_map(measure).collect()
            });
            Collected { gone, volumes }
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_default()
    }
}

fn bury(sandboxes: &Sandboxes, app: &AppId, key: &Key) -> io::Result<()> {
    // The record goes last: while it is there, the rest is found again.
    for dir in [sandboxes.output(app, key), sandboxes.dir(app, key), sandboxes.records(key)] {
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The instance's and the app's directories go with their last entry.
        for parent in dir.ancestors().skip(1).take(2) {
            if fs::remove_dir(parent).is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// Removes the volumes of instances that have been unwanted for long enough, which is counted in rounds of
/// collection: no step of the clock ends it.
fn drop_volumes(root: &Path, wanted: &BTreeSet<InstanceId>, round: Duration) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.ends_with(UNWANTED) || name.contains(OWNER) {
            continue;
        }
        let counter = root.join(format!("{name}{UNWANTED}"));
        let outcome = if wanted.contains(&InstanceId::from(name.as_str())) {
            fs::remove_file(&counter)
        } else {
            let seconds = fs::read_to_string(&counter).ok().and_then(|text| text.parse().ok());
            let unwanted = Duration::from_secs(seconds.unwrap_or(0)) + round;
            if unwanted < VOLUMES_KEEP {
                fs::write(&counter, unwanted.as_secs().to_string())
            } else {
                tracing::info!(instance = name, "removing the volumes of an instance that is gone");
                volumes::remove(root, &name).and_then(|()| fs::remove_file(&counter))
            }
        };
        if let Err(error) = outcome
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(instance = name, %error, "volumes of an instance that is gone");
        }
    }
}

/// The fill of the disk below `path`, 0 to 1.
fn used(path: &Path) -> Option<f64> {
    let stat = statvfs(path).ok()?;
    let (free, all) = (stat.blocks_available() as f64, stat.blocks() as f64);
    (all > 0.0).then(|| 1.0 - free / all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::sandbox::Shape;

    #[test]
    fn age_and_disk_decide_but_the_newest_stay() {
        let day = Duration::from_secs(86_400);
        let now = Timestamp::EPOCH + day * 100;
        let graves: Vec<Grave> = (0..20)
            .map(|i| Grave {
                key: (InstanceId::from(format!("i{i:02}")), 1),
                app: AppId::parse("/a"),
                containers: vec![format!("c{i:02}")],
                at: now - Duration::from_secs(3600) * i,
            })
            .collect();
        let gone = |keep, used| plan(&graves, now, keep, used, |_| 100 << 20).sandboxes.len();
        assert_eq!(gone(day * 2, 0.1), 0);
        assert_eq!(gone(day * 2, 0.95), 10, "a full disk leaves the newest ten");
        assert_eq!(gone(Duration::from_secs(15 * 3600), 0.0), 6, "14.. h with 10 % headroom");
        let of_little = |keep, used| plan(&graves, now, keep, used, |_| 5 << 20).sandboxes.len();
        assert_eq!(of_little(day * 2, 0.95), 7, "but 64 MiB are no help to it");
        assert_eq!(of_little(day / 2, 0.95), 7, "for as long as they are kept at all");
        let containers = plan(&graves, now, day * 2, 0.1, |_| 0).containers;
        assert_eq!(containers.len(), 18, "containers go after an hour");
    }

    #[test]
    fn a_crash_loop_leaves_room_for_the_last_output_of_others() {
        let day = Duration::from_secs(86_400);
        let now = Timestamp::EPOCH + day * 100;
        let grave = |instance: &str, n: u32, s: u32| Grave {
            key: (InstanceId::from(instance), n),
            app: AppId::parse("/a"),
            containers: Vec::new(),
            at: now - Duration::from_secs(1) * s,
        };
        let mut graves: Vec<Grave> = (0..1_500).map(|n| grave("loop", n, n)).collect();
        graves.push(grave("other", 1, 2_000));
        let gone = plan(&graves, now, day * 7, 0.1, |_| 1 << 10).sandboxes;
        assert_eq!(gone.len(), 1_300, "its newest 200 stay");
        assert!(!gone.contains(&(InstanceId::from("other"), 1)));
        let gone = plan(&graves, now, day * 7, 0.1, |_| 1 << 30).sandboxes;
        assert_eq!(graves.len() - gone.len(), 10, "the newest ten stay whatever they take");
        let many: Vec<Grave> = (0..1_200).map(|n| grave(&format!("i{n}"), 1, n)).collect();
        assert_eq!(plan(&many, now, day * 7, 0.1, |_| 0).sandboxes.len(), 200);
    }

    #[test]
    fn a_sandbox_is_measured_without_following_links() {
        let temp = tempfile::tempdir().unwrap();
        let sandboxes = Sandboxes::new(temp.path());
        let (app, key) = (AppId::parse("/a"), (InstanceId::from("i"), 1));
        let dir = sandboxes.create(&app, &key, &Shape::default()).unwrap();
        fs::create_dir(dir.join("data")).unwrap();
        fs::write(dir.join("data/x"), vec![0; 1_000]).unwrap();
        fs::write(sandboxes.output(&app, &key).join("stdout"), vec![0; 500]).unwrap();
        fs::write(temp.path().join("large"), vec![0; 9_000]).unwrap();
        std::os::unix::fs::symlink(temp.path().join("large"), dir.join("link")).unwrap();
        std::os::unix::fs::symlink("/usr", dir.join("usr")).unwrap();
        let grave = Grave { key, app, containers: Vec::new(), at: Timestamp::EPOCH };
        assert_eq!(measure(&sandboxes, &grave), 1_500);
    }

    #[test]
    fn volumes_go_once_their_instance_has_been_gone_for_long() {
        let temp = tempfile::tempdir().unwrap();
        let round = Duration::from_secs(3600);
        for name in ["stays", "goes", "returns"] {
            fs::create_dir_all(temp.path().join(name).join("data")).unwrap();
        }
        let there = || {
            let names = fs::read_dir(temp.path()).unwrap().flatten();
            let names = names.map(|e| e.file_name().into_string().unwrap());
            names.filter(|n| !n.ends_with(UNWANTED)).collect::<BTreeSet<_>>()
        };
        let wanted = |names: &[&str]| names.iter().map(|n| InstanceId::from(*n)).collect();
        for n in 0..7 * 24 {
            assert_eq!(there().len(), 3, "{n} hours");
            let returns = if n == 5 { &["stays", "returns"][..] } else { &["stays"] };
            drop_volumes(temp.path(), &wanted(returns), round);
        }
        assert_eq!(there(), ["returns", "stays"].map(str::to_owned).into());
        drop_volumes(temp.path(), &wanted(&["stays", "returns"]), round);
        let left = fs::read_dir(temp.path()).unwrap().count();
        assert_eq!(left, 2, "no counters are left behind");
    }
}
