//! A cluster made of a backup: a data directory from which a single master starts.
//!
//! The state is the one that was backed up, its log goes on behind the entry it was at. What a master has of
//! its own is made anew: its number, as none is given twice; its certificate; its key for envelopes. It takes
//! the place of one master that was lost, by default of the one that made the backup: it is the same node, so
//! on that machine its agent adopts the containers that still run. All other masters are removed, by commands
//! that its log applies first of all.
//!
//! Everything is made in a directory below the one that is wanted and moved when it is whole. A restore that
//! was broken off leaves that directory behind, and no node starts beside it.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use tokio::runtime::Handle;

use super::{
    archive::Head,
    check::{self, Content},
    error::ArchiveError,
    lock::Key,
};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        level::LEVEL,
        rng::Rng,
    },
    core::{
        self, AdmissionCommand, ClusterCommand, Command, Stamped, State, command::Seat, invariant,
    },
    host::pki::{Identity, node::As, seal::SealKey},
    log::{Disk, stopped::Stopped, types::LogId},
    model::{NodeId, master::Master},
    node::{hold, seat},
};

/// What is not whole yet.
const UNFINISHED: &str = "restoring";
/// What an empty disk has.
const EMPTY_DISK: &str = "lost+found";
/// The parts of a master's directory that come from a backup, in the order they are put in place.
const PARTS: [&str; 2] = ["log", "pki"];

/// Where to restore to, and as what.
pub struct Target {
    pub data_dir: PathBuf,
    /// The master whose place the new one takes; the one that made the backup unless said.
    pub in_place_of: Option<u64>,
    /// This machine, for people who read certificates.
    pub host: String,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    pub head: Head,
    /// The number of the only master.
    pub master: u64,
    /// The node that it is.
    pub node: NodeId,
    /// Of the masters that are not any more: number and address.
    pub gone: Vec<(u64, String)>,
    pub n_rows: u64,
    pub n_records: u64,
    pub n_apps: usize,
    pub n_users: usize,
}

/// Why no node starts in a directory in which a restore was broken off.
pub fn unfinished(data_dir: &Path) -> Option<String> {
    let left = data_dir.join(UNFINISHED);
    left.exists().then(|| {
        format!(
            "a restore into {} was broken off: empty the directory and restore again",
            data_dir.display()
        )
    })
}

/// Makes a data directory of a backup.
///
/// # Errors
/// When the directory is not empty, or the backup is not good. Nothing is left behind then.
pub async fn restore(
    source: impl Read + Send + 'static,
    key: Key,
    target: Target,
    (clock, rng): (Arc<dyn Clock>, &mut Rng),
) -> anyhow::Result<Restored> {
    let Target { data_dir, .. } = &target;
    let was_there = data_dir.exists();
    fs::create_dir_all(data_dir).with_context(|| format!("making {}", data_dir.display()))?;
    check_empty(data_dir)?;
    let held = hold::hold(data_dir)?;
    let made = make(source, key, &target, (clock, rng)).await;
    drop(held);
    if made.is_err() {
        // Whatever of it stays is told by who finds it.
        let _ = fs::remove_dir_all(data_dir.join(UNFINISHED));
        let _ = fs::remove_file(data_dir.join("lock"));
        if !was_there {
            let _ = fs::remove_dir(data_dir);
        }
    }
    made
}

fn check_empty(data_dir: &Path) -> anyhow::Result<()> {
    let entries = fs::read_dir(data_dir);
    let entries = entries.with_context(|| format!("reading {}", data_dir.display()))?;
    for entry in entries {
        let name = entry.with_context(|| format!("reading {}", data_dir.display()))?.file_name();
        if name != EMPTY_DISK {
            bail!(
                "{} is not empty, it holds {}: nothing is restored over what is there; name an \
                 empty directory",
                data_dir.display(),
                name.display()
            );
        }
    }
    Ok(())
}

async fn make(
    source: impl Read + Send + 'static,
    key: Key,
    target: &Target,
    (clock, rng): (Arc<dyn Clock>, &mut Rng),
) -> anyhow::Result<Restored> {
    let work = target.data_dir.join(UNFINISHED);
    fs::create_dir(&work).with_context(|| format!("making {}", work.display()))?;
    let stopped = Stopped::open(&Disk::at(work.join("log"))).await?;
    stopped.begin_fill().await?;
    let (content, stopped) = fill(source, key, stopped).await?;
    let Head { term, index, .. } = content.head;
    let leader = openraft::LeaderId::new(term, content.head.master);
    stopped.install(LogId::new(leader, index)).await?;
    let whole = stopped.read::<State>(LEVEL)?;
    let place = Place::of(&content, target.in_place_of)?;
    let made = place.seat(&content, &work.join("pki"), &target.host, (&clock, rng))?;
    stopped.make_sole(&whole, made.master.id, &made.master.addresses.peers, &made.commands).await?;
    stopped.close().await;
    for part in PARTS {
        let (from, to) = (work.join(part), target.data_dir.join(part));
        fs::rename(&from, &to).with_context(|| format!("putting {} in place", to.display()))?;
    }
    fs::remove_dir(&work).with_context(|| format!("removing {}", work.display()))?;
    sync(&target.data_dir)?;
    let masters = content.state.masters.values();
    Ok(Restored {
        master: made.master.id,
        node: place.node,
        gone: masters.map(|m| (m.id, m.addresses.peers.clone())).collect(),
        n_rows: content.n_rows,
        n_records: content.n_records,
        n_apps: content.state.apps.len(),
        n_users: content.state.users.len(),
        head: content.head,
    })
}

/// Reads the backup on a blocking thread and puts its rows into the store as they come.
async fn fill(
    source: impl Read + Send + 'static,
    key: Key,
    stopped: Stopped,
) -> anyhow::Result<(Content, Stopped)> {
    let filling = tokio::task::spawn_blocking(move || {
        let content = check::take(source, &key, |rows| {
            let put = Handle::current().block_on(stopped.put(rows));
            put.map_err(|error| ArchiveError::Io(io::Error::from(error)))
        });
        content.map(|content| (content, stopped))
    });
    Ok(filling.await.context("reading the backup")??)
}

/// Names what was renamed into a directory on the disk.
fn sync(dir: &Path) -> anyhow::Result<()> {
    let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.with_context(|| format!("syncing {}", dir.display()))
}

/// The place among the masters that the new one takes.
struct Place {
    /// Its number, which no master had before.
    id: u64,
    /// The master that was there.
    before: Arc<Master>,
    node: NodeId,
}

/// What makes a master of a directory.
struct Made {
    master: Master,
    commands: Vec<Stamped>,
}

impl Place {
    fn of(content: &Content, in_place_of: Option<u64>) -> anyhow::Result<Self> {
        let Content { state, head, .. } = content;
        let before = in_place_of.unwrap_or(head.master);
        let Some(before) = state.masters.get(&before).cloned() else {
            let known: Vec<String> = state.masters.keys().map(ToString::to_string).collect();
            bail!("the backup knows no master {before}; it knows {}", known.join(", "));
        };
        let node = match (&before.node, before.id == head.master) {
            (Some(node), _) => node.clone(),
            // The first one has not said yet what it is known by.
            (None, true) => head.node.clone(),
            (None, false) => bail!("the backup does not know which node master {} is", before.id),
        };
        let given = state.cluster.as_ref().map_or(0, |cluster| cluster.n_masters);
        let highest = state.masters.get_max().map_or(0, |(id, _)| *id);
        Ok(Self { id: given.max(highest) + 1, before, node })
    }

    /// Makes what the master keeps in `pki`, and the commands that make it known and forget the others.
    fn seat(
        &self,
        content: &Content,
        pki: &Path,
        host: &str,
        (clock, rng): (&Arc<dyn Clock>, &mut Rng),
    ) -> anyhow::Result<Made> {
        let Content { authority, state, .. } = content;
        authority.save(pki)?;
        let seal = SealKey::load_or_create(pki)?;
        let is = As::Master(self.id);
        let identity: Identity = seat::issue(authority, is, &self.node, host, (clock, rng))?;
        identity.save(pki)?;
        let facts = identity.facts()?;
        let addresses = self.before.addresses.clone();
        let told = Master::new(self.id, env!("CARGO_PKG_VERSION"), LEVEL, addresses);
        let master = Master {
            node: Some(self.node.clone()),
            seal: seal.public().to_vec(),
            sealed: Some(authority.seal_for(seal.public())?),
            ..told.clone()
        };
        let (key, serial, expires_at) = (facts.key, facts.serial, facts.expires_at);
        let seat = Seat { invitation: None, key, serial, expires_at, master: master.clone() };
        // First another one, then the old ones go with their certificates, then the new one's is known.
        let register: Command = ClusterCommand::RegisterMaster(Box::new(told)).into();
        let remove = state.masters.keys().map(|id| ClusterCommand::RemoveMaster(*id).into());
        let seat: Command = AdmissionCommand::SeatMaster(Box::new(seat)).into();
        let commands = [register].into_iter().chain(remove).chain([seat]);
        let at = clock.now();
        let stamped = |command| Stamped { at, request: None, by: None, command };
        let commands: Vec<Stamped> = commands.map(stamped).collect();
        self.try_out(state, &commands, at)?;
        Ok(Made { master, commands })
    }

    /// Applies the commands to a copy: what they lead to is known before anything is kept.
    fn try_out(&self, state: &State, commands: &[Stamped], at: Timestamp) -> anyhow::Result<()> {
        let mut after = state.clone();
        for command in commands {
            let (outcome, _) = core::apply(&mut after, command);
            outcome.with_context(|| format!("becoming the only master at {at}"))?;
        }
        if let Some(finding) = invariant::check(&after).first() {
            bail!("the only master would leave {} {}", finding.subject, finding.problem);
        }
        match after.masters.keys().collect::<Vec<_>>()[..] {
            [id] if *id == self.id => Ok(()),
            _ => bail!("others would stay beside the only master"),
        }
    }
}
