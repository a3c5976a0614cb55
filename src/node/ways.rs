//! The ways to the masters: where a node finds the one that leads.
//!
//! What stands in the settings is where a node begins. Masters tell it who they are, which is kept: a
//! cluster may have none of its first masters left.

use std::{
    fs,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use super::bootstrap::write_private;
use crate::model::link::Masters;

/// Where the masters are kept that the cluster told of, one to a line.
const FILE: &str = "masters";
/// A list longer than this is no list of masters.
const MASTERS_MAX: usize = 64;

/// The ways.
pub struct Ways {
    file: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    /// Of the settings.
    given: Vec<String>,
    /// Of the cluster.
    told: Vec<String>,
    /// Who is said to lead, until it was tried.
    leader: Option<String>,
    /// Of the next in turn.
    next: usize,
}

impl Ways {
    /// Those of the settings, and those told before by what is kept in `dir`.
    pub fn open(given: Vec<String>, dir: &Path) -> Self {
        let file = dir.join(FILE);
        let kept = fs::read_to_string(&file).unwrap_or_default();
        let told = kept.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect();
        Self { file, inner: Mutex::new(Inner { given, told, leader: None, next: 0 }) }
    }

    /// All of them; the cluster's own word first.
    pub fn all(&self) -> Vec<String> {
        self.inner.lock().all()
    }

    /// Where to go now: to the one that is said to lead, else to the next in turn.
    pub fn next(&self) -> String {
        let mut inner = self.inner.lock();
        if let Some(leader) = inner.leader.take() {
            return leader;
        }
        let all = inner.all();
        let next = inner.next % all.len().max(1);
        inner.next = next + 1;
        all.into_iter().nth(next).unwrap_or_default()
    }

    /// Whether somebody has said who leads, and that one was not tried since.
    pub fn knows_leader(&self) -> bool {
        self.inner.lock().leader.is_some()
    }

    /// Takes a master's word.
    pub fn told(&self, masters: &Masters) {
        let mut inner = self.inner.lock();
        inner.leader.clone_from(&masters.leader);
        if masters.all.is_empty() || masters.all.len() > MASTERS_MAX || masters.all == inner.told {
            return;
        }
        inner.told.clone_from(&masters.all);
        let text: String = masters.all.iter().map(|master| format!("{master}\n")).collect();
        if let Err(error) = write_private(&self.file, text) {
            tracing::warn!(error = format!("{error:#}"), "the list of masters is not kept");
        }
    }
}

impl Inner {
    fn all(&self) -> Vec<String> {
        let mut all = self.told.clone();
        all.extend(self.given.iter().filter(|given| !self.told.contains(given)).cloned());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masters(leader: Option<&str>, all: &[&str]) -> Masters {
        let all = all.iter().map(|&m| m.to_owned()).collect();
        Masters { leader: leader.map(str::to_owned), all }
    }

    #[test]
    fn the_leader_is_tried_once_and_then_all_in_turn() {
        let dir = tempfile::tempdir().unwrap();
        let ways = Ways::open(vec!["a".into(), "b".into()], dir.path());
        let next = |n: usize| (0..n).map(|_| ways.next()).collect::<Vec<_>>();
        assert_eq!(next(3), ["a", "b", "a"]);
        ways.told(&masters(Some("c"), &["b", "c"]));
        assert!(ways.knows_leader());
        assert_eq!(next(1), ["c"]);
        assert!(!ways.knows_leader());
        assert_eq!(next(4), ["c", "a", "b", "c"], "the settings' own come last");
        ways.told(&masters(None, &[]));
        assert!(!ways.knows_leader());
        assert_eq!(ways.all(), ["b", "c", "a"], "an empty list says nothing");
    }

    #[test]
    fn what_the_cluster_told_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        Ways::open(vec!["a".into()], dir.path()).told(&masters(Some("c"), &["b", "c"]));
        let again = Ways::open(vec!["a".into()], dir.path());
        assert_eq!(again.all(), ["b", "c", "a"]);
        assert!(!again.knows_leader(), "who led is old by then");
        let many = vec!["m"; MASTERS_MAX + 1];
        again.told(&masters(None, &many));
        assert_eq!(again.all().len(), 3);
    }
}
