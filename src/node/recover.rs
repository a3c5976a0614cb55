//! When most masters are lost for good: one that is left goes on alone, with what it has.
//!
//! Nobody can tell from one store whether the lost ones had acknowledged more. So what it holds and how
//! old that is comes first, for people to compare with the other survivors, and nothing is done while
//! another master answers.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use tokio::{net::TcpStream, time::timeout};

use super::{
    hold::{Held, hold, hold_to_look},
    member, peers,
};
use crate::{
    base::{clock::Timestamp, level::LEVEL},
    core::{ClusterCommand, Stamped, State},
    host::pki::node::As,
    log::{
        Disk,
        stopped::{Stopped, Whole},
    },
    model::{NodeId, master::Master},
};

/// How long another master may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// What a master's store holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Left {
    pub cluster: String,
    pub name: String,
    /// The master whose store it is.
    pub me: u64,
    /// Where others reach it; empty when it never said so.
    pub address: String,
    /// Those that decide, as far as this one knows.
    pub voters: Vec<u64>,
    /// The others, each with the address of its peer port.
    pub others: Vec<(u64, String)>,
    /// Of the last entry: whoever has the greatest pair of these has the newest data.
    pub term: u64,
    pub index: u64,
    /// When the last change was made, by the clock of the master that led.
    pub changed_at: Timestamp,
    pub n_apps: usize,
    pub n_nodes: usize,
}

/// Looks at the store in a data directory; nothing of it is changed.
///
/// # Errors
/// When it is in use, or no whole store of a master.
pub async fn look(data_dir: &Path) -> anyhow::Result<Left> {
    let _held = hold_to_look(data_dir)?;
    let stopped = Stopped::look(&disk(data_dir)?).await?;
    let read = whole(&stopped, data_dir);
    stopped.close().await;
    read.map(|(whole, me)| left(&whole, me))
}

/// The others that answer at their peer ports.
pub async fn answering(left: &Left) -> Vec<u64> {
    let ask = |(id, address): &(u64, String)| {
        let (id, address) = (*id, address.clone());
        async move {
            let opened = timeout(ANSWER, TcpStream::connect(address)).await;
            matches!(opened, Ok(Ok(_))).then_some(id)
        }
    };
    let asked = futures_util::future::join_all(left.others.iter().map(ask)).await;
    asked.into_iter().flatten().collect()
}

/// Makes the master of a data directory the cluster's only one: the others are given up and removed from
/// the state. What it has beyond what it knows as acknowledged is kept.
///
/// # Errors
/// When another master answers, it decides alone already, or its store cannot be written.
pub async fn make_sole(data_dir: &Path) -> anyhow::Result<Left> {
    let _held: Held = hold(data_dir)?;
    let disk = disk(data_dir)?;
    let stopped = Stopped::open(&disk).await?;
    let done = make(&stopped, data_dir).await;
    stopped.close().await;
    done
}

async fn make(stopped: &Stopped, data_dir: &Path) -> anyhow::Result<Left> {
    let (whole, me) = whole(stopped, data_dir)?;
    let left = left(&whole, me);
    ensure!(
        left.voters != [me] || !left.others.is_empty(),
        "master {me} is the only one already: start it"
    );
    let answering = answering(&left).await;
    if let Some(id) = answering.first() {
        let address = left.others.iter().find(|(other, _)| other == id).map(|(_, at)| at.as_str());
        bail!(
            "master {id} answers at {}: with {} of {} deciding masters a cluster goes on by itself; a \
             master that is to be given up has to be stopped, and its data directory deleted",
            address.unwrap_or_default(),
            left.voters.len() / 2 + 1,
            left.voters.len()
        );
    }
    let at = whole.machine.at;
    let remove = |id: &u64| Stamped {
        at,
        request: None,
        by: None,
        command: ClusterCommand::RemoveMaster(*id).into(),
    };
    let known = whole.machine.masters.keys().filter(|id| **id != me);
    let commands: Vec<_> = known.map(remove).collect();
    stopped.make_sole(&whole, me, &left.address, &commands).await?;
    Ok(left)
}

fn disk(data_dir: &Path) -> anyhow::Result<Disk> {
    let dir = data_dir.join("log");
    ensure!(dir.is_dir(), "{} is no data directory of a master: it has no log", data_dir.display());
    Ok(Disk::at(dir))
}

fn whole(stopped: &Stopped, data_dir: &Path) -> anyhow::Result<(Whole<State>, u64)> {
    let (me, node) = read_id(data_dir)?;
    let whole: Whole<State> = stopped.read(LEVEL).context("reading the store")?;
    let known = whole.machine.masters.get(&me);
    ensure!(
        known.is_none_or(|known| known.node.as_ref().is_none_or(|its| *its == node)),
        "the certificate in {} is of {node}, the store knows master {me} by another",
        data_dir.display()
    );
    Ok((whole, me))
}

/// Whom the certificate in a data directory is of.
fn read_id(data_dir: &Path) -> anyhow::Result<(u64, NodeId)> {
    let dir = peers::pki_dir(data_dir);
    let kept =
        member::kept(&dir)?.with_context(|| format!("{} has no certificate", dir.display()))?;
    let facts = kept.facts()?;
    match facts.is {
        As::Master(id) => Ok((id, facts.node)),
        As::Agent | As::PublicAgent => bail!("{} is of an agent", data_dir.display()),
    }
}

fn left(whole: &Whole<State>, me: u64) -> Left {
    let state = &whole.machine;
    let cluster = state.cluster.as_deref();
    let address = |master: &Master| master.addresses.peers.clone();
    Left {
        cluster: cluster.map(|cluster| cluster.id.clone()).unwrap_or_default(),
        name: cluster.map(|cluster| cluster.name.clone()).unwrap_or_default(),
        me,
        address: state.masters.get(&me).map(|master| address(master)).unwrap_or_default(),
        voters: whole.members.membership().voter_ids().collect(),
        others: state
            .masters
            .values()
            .filter(|master| master.id != me)
            .map(|master| (master.id, address(master)))
            .collect(),
        term: whole.last.map_or(0, |last| last.leader_id.term),
        index: whole.last_index(),
        changed_at: state.at,
        n_apps: state.apps.len(),
        n_nodes: state.nodes.len(),
    }
}
