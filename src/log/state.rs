//! The product's machine: `core::State` behind the log's seam.

use super::{
    codec::CodecError,
    machine::{Applied, Machine, Revision, RowKey, Stamped},
};
use crate::{
    base::clock::Timestamp,
    core::{self, Change, Command, Outcome, State},
};

impl Machine for State {
    type Command = Command;
    type Outcome = Outcome;
    type Change = Change;

    const COMMAND_VERSION: u8 = 2;

    fn apply(&mut self, entry: Stamped<Command>) -> Applied<Self> {
        let (outcome, changes) = core::apply(self, &entry);
        let mut rows = self.head_rows();
        rows.extend(core::history::rows(self, &entry, &outcome, &changes));
        Applied { outcome, changes, rows }
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn at(&self) -> Timestamp {
        self.at
    }

    fn key(change: &Change) -> RowKey {
        change.row()
    }

    fn value(change: &Change) -> Option<Vec<u8>> {
        change.value()
    }

    fn rows(&self) -> Box<dyn Iterator<Item = (RowKey, Vec<u8>)> + Send + '_> {
        Box::new(self.rows())
    }

    fn load_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), CodecError> {
        self.load_row(key, value)
            .map_err(|error| CodecError::Invalid(crate::base::error::chain(&error)))
    }

    fn finish_load(&mut self) -> Result<(), CodecError> {
        self.finish_load();
        let findings = core::invariant::check(self);
        match findings.first() {
            None => Ok(()),
            Some(first) => Err(CodecError::Invalid(format!("{first:?}"))),
        }
    }

    fn level(&self) -> u32 {
        Self::level(self)
    }

    fn fingerprint(&self) -> u64 {
        self.fingerprint()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        base::{clock::SystemClock, level::LEVEL, rng::Rng, task::Tasks},
        core::{ClusterCommand, Rejected, Thing, command::Init},
        log::{Disk, Log, LogConfig, memory::MemoryDisk},
        model::master::{Addresses, Master},
    };

    fn init() -> Command {
        let (cluster, name) = ("c-1".to_owned(), "test".to_owned());
        ClusterCommand::Init(Init {
            cluster,
            name,
            secret: [7; 32],
            users: Vec::new(),
            level: LEVEL,
        })
        .into()
    }

    #[tokio::test]
    async fn the_real_state_goes_through_the_log_and_survives_a_restart() {
        let disk = Disk::Memory(MemoryDisk::default());
        let open = async |tasks: &Tasks| -> Log<State> {
            let config = LogConfig::single("test", disk.clone(), Rng::from_os());
            let clock = SystemClock::shared();
            let log = Log::open(config, None, clock, tasks.clone()).await.unwrap();
            log.ready(Duration::from_secs(10)).await.unwrap();
            log
        };
        let tasks = Tasks::new("first");
        let log = open(&tasks).await;
        assert!(log.propose(init()).await.unwrap().is_ok());
        assert_eq!(
            log.propose(init()).await.unwrap(),
            Err(Rejected::Exists(Thing::Cluster.itself()))
        );
        let before: Arc<State> = log.state();
        assert_eq!(before.revision, 2);
        log.stop().await;
        tasks.stop(Duration::from_secs(5)).await;

        let tasks = Tasks::new("second");
        let log = open(&tasks).await;
        assert_eq!(log.state().fingerprint(), before.fingerprint());
        assert_eq!(log.state().cluster, before.cluster);
        log.stop().await;
        tasks.stop(Duration::from_secs(5)).await;
    }

    fn master(level: u32) -> Command {
        let release = "0.2.0".to_owned();
        let master = Master::new(1, &release, level, Addresses::default());
        ClusterCommand::RegisterMaster(Box::new(master)).into()
    }

    #[tokio::test]
    async fn an_older_release_does_not_work_on_what_a_newer_one_raised() {
        const NEXT: u32 = LEVEL + 1;
        let disk = Disk::Memory(MemoryDisk::default());
        let open = async |level: u32, tasks: &Tasks| {
            let config = LogConfig::single("test", disk.clone(), Rng::from_os());
            let config = LogConfig { level, ..config };
            Log::<State>::open(config, None, SystemClock::shared(), tasks.clone()).await
        };
        let tasks = Tasks::new("newer");
        let log = open(NEXT, &tasks).await.unwrap();
        log.ready(Duration::from_secs(10)).await.unwrap();
        log.propose(init()).await.unwrap().unwrap();
        log.propose(master(LEVEL)).await.unwrap().unwrap();
        let held_back =
            log.propose(ClusterCommand::RaiseLevel(NEXT).into()).await.unwrap().unwrap_err();
        assert!(matches!(held_back, Rejected::HeldBack { .. }), "{held_back}");
        log.propose(master(NEXT)).await.unwrap().unwrap();
        log.stop().await;
        tasks.stop(Duration::from_secs(5)).await;

        // Not raised yet: the older release takes the store over, newer fields and all.
        let tasks = Tasks::new("older");
        let log = open(LEVEL, &tasks).await.unwrap();
        log.ready(Duration::from_secs(10)).await.unwrap();
        assert_eq!(log.state().masters[&1].level, NEXT);
        // Somebody raises it meanwhile: it stops rather than guess.
        let raised = log.propose(ClusterCommand::RaiseLevel(NEXT).into()).await;
        assert!(raised.is_err(), "{raised:?}");
        let failure = log.failure().expect("it has stopped");
        let wanted = format!("the cluster is at level {NEXT}, this release");
        assert!(failure.contains(&wanted), "{failure}");
        log.stop().await;
        tasks.stop(Duration::from_secs(5)).await;

        let tasks = Tasks::new("newer again");
        let log = open(NEXT, &tasks).await.unwrap();
        log.ready(Duration::from_secs(10)).await.unwrap();
        assert_eq!(log.state().level(), NEXT, "the command stands in the log");
        log.stop().await;
        tasks.stop(Duration::from_secs(5)).await;

        let tasks = Tasks::new("older again");
        let Err(refused) = open(LEVEL, &tasks).await else { panic!("opened") };
        let text = crate::base::error::chain(&refused);
        assert!(text.contains("start the release that raised it, or a later one"), "{text}");
        tasks.stop(Duration::from_secs(5)).await;
    }
}
