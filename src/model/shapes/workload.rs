//! A definition as it is stored and as an agent is told it: one flat message, in which what runs and the
//! rules for it stand side by side. What an agent is told has the same numbers and lacks the rules.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use crate::{
    base::{
        clock::Timestamp,
        wire::{self, Message, WireError, put_field},
    },
    message,
    model::{
        access::Role,
        container::{ContainerSpec, Shared},
        path::{AppId, PathId},
        resource::Scalars,
        workload::{
            self as work, Backoff, Constraint, KillSelection, Kind, Network, Residency, RunSpec,
            UnreachableStrategy, UpgradeStrategy,
        },
    },
};

/// What stands in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkloadSpec {
    id: AppId,
    kind: Kind,
    instances: u32,
    containers: Vec<ContainerSpec>,
    networks: Vec<Network>,
    require_ports: bool,
    role: Role,
    accepted_roles: Option<BTreeSet<Role>>,
    constraints: Vec<Constraint>,
    dependencies: BTreeSet<PathId>,
    labels: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    backoff: Backoff,
    upgrade: UpgradeStrategy,
    unreachable: UnreachableStrategy,
    kill_selection: KillSelection,
    executor: String,
    executor_resources: Option<Scalars>,
    residency: Option<Residency>,
    version: Timestamp,
    last_scaling_at: Timestamp,
    last_config_change_at: Timestamp,
    shared: Option<Shared>,
}

message!(WorkloadSpec {
    1: id,
    2: kind,
    3: instances,
    4: containers,
    5: networks,
    6: require_ports,
    7: role,
    8: accepted_roles,
    9: constraints,
    10: dependencies,
    11: labels,
    12: secrets,
    13: backoff,
    14: upgrade,
    15: unreachable,
    16: kill_selection,
    17: executor,
    18: executor_resources,
    19: residency,
    20: version,
    21: last_scaling_at,
    22: last_config_change_at,
    23: shared,
});

/// What an agent reads of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSpec {
    id: PathId,
    kind: Kind,
    containers: Vec<ContainerSpec>,
    networks: Vec<Network>,
    role: Role,
    labels: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    executor: String,
    executor_resources: Option<Scalars>,
    version: Timestamp,
    shared: Option<Shared>,
}

message!(TaskSpec {
    1: id,
    2: kind,
    4: containers,
    5: networks,
    7: role,
    11: labels,
    12: secrets,
    17: executor,
    18: executor_resources,
    20: version,
    23: shared,
});

/// Definitions are written often: without a copy of what they hold, so the numbers stand here again.
impl Message for work::WorkloadSpec {
    const NAME: &'static str = WorkloadSpec::NAME;
    const FIELDS: &'static [(u32, &'static str)] = WorkloadSpec::FIELDS;

    fn put_fields(&self, out: &mut Vec<u8>) {
        let run = &*self.run;
        put_field(1, &self.id, out);
        put_field(2, &run.kind, out);
        put_field(3, &self.instances, out);
        put_field(4, &run.containers, out);
        put_field(5, &run.networks, out);
        put_field(6, &self.require_ports, out);
        put_field(7, &run.role, out);
        put_field(8, &self.accepted_roles, out);
        put_field(9, &self.constraints, out);
        put_field(10, &self.dependencies, out);
        put_field(11, &run.labels, out);
        put_field(12, &run.secrets, out);
        put_field(13, &self.backoff, out);
        put_field(14, &self.upgrade, out);
        put_field(15, &self.unreachable, out);
        put_field(16, &self.kill_selection, out);
        put_field(17, &run.executor, out);
        put_field(18, &run.executor_resources, out);
        put_field(19, &self.residency, out);
        put_field(20, &self.version, out);
        put_field(21, &self.last_scaling_at, out);
        put_field(22, &self.last_config_change_at, out);
        put_shared(run, out);
    }

    fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let row = WorkloadSpec::read(bytes)?;
        Ok(Self {
            id: row.id,
            run: Arc::new(RunSpec {
                kind: row.kind,
                containers: row.containers,
                networks: row.networks,
                role: row.role,
                labels: row.labels,
                secrets: row.secrets,
                executor: row.executor,
                executor_resources: row.executor_resources,
                shared: row.shared.unwrap_or_default(),
            }),
            instances: row.instances,
            require_ports: row.require_ports,
            accepted_roles: row.accepted_roles,
            constraints: row.constraints,
            dependencies: row.dependencies,
            backoff: row.backoff,
            upgrade: row.upgrade,
            unreachable: row.unreachable,
            kill_selection: row.kill_selection,
            residency: row.residency,
            version: row.version,
            last_scaling_at: row.last_scaling_at,
            last_config_change_at: row.last_config_change_at,
        })
    }
}

/// Written so that an agent of before this release reads a whole definition: it looks for four
/// rules, whose values it does not use.
impl Message for work::TaskSpec {
    const NAME: &'static str = TaskSpec::NAME;
    const FIELDS: &'static [(u32, &'static str)] = TaskSpec::FIELDS;

    fn put_fields(&self, out: &mut Vec<u8>) {
        let run = &*self.run;
        put_field(1, &self.id, out);
        put_field(2, &run.kind, out);
        put_field(4, &run.containers, out);
        put_field(5, &run.networks, out);
        put_field(7, &run.role, out);
        put_field(11, &run.labels, out);
        put_field(12, &run.secrets, out);
        put_field(13, &Backoff { initial_ms: 0, factor: 1.0, ms_max: 0 }, out);
        let upgrade = UpgradeStrategy { minimum_health_capacity: 0.0, maximum_over_capacity: 0.0 };
        put_field(14, &upgrade, out);
        put_field(15, &UnreachableStrategy::Disabled, out);
        put_field(16, &KillSelection::YoungestFirst, out);
        put_field(17, &run.executor, out);
        put_field(18, &run.executor_resources, out);
        put_field(20, &self.version, out);
        put_shared(run, out);
    }

    fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let told = TaskSpec::read(bytes)?;
        Ok(Self {
            id: told.id,
            version: told.version,
            run: Arc::new(RunSpec {
                kind: told.kind,
                containers: told.containers,
                networks: told.networks,
                role: told.role,
                labels: told.labels,
                secrets: told.secrets,
                executor: told.executor,
                executor_resources: told.executor_resources,
                shared: told.shared.unwrap_or_default(),
            }),
        })
    }
}

/// Of an app there is nothing to say.
fn put_shared(run: &RunSpec, out: &mut Vec<u8>) {
    if run.shared != Shared::default() {
        put_field(23, &run.shared, out);
    }
}

message!(@value [] work::WorkloadSpec);
message!(@value [] work::TaskSpec);

/// Printed as they are written: one flat list of fields.
impl fmt::Debug for work::WorkloadSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        WorkloadSpec::read(&wire::encode(self)).map_err(|_| fmt::Error)?.fmt(f)
    }
}

impl fmt::Debug for work::TaskSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TaskSpec::read(&wire::encode(self)).map_err(|_| fmt::Error)?.fmt(f)
    }
}

#[cfg(test)]
mod sample {
    use super::{TaskSpec, WorkloadSpec, work};
    use crate::base::{
        rng::Rng,
        wire::{Message as _, encode, sample::Sample},
    };

    impl Sample for work::WorkloadSpec {
        fn sample(rng: &mut Rng) -> Self {
            Self::read(&encode(&WorkloadSpec::sample(rng))).unwrap()
        }
    }

    impl Sample for work::TaskSpec {
        fn sample(rng: &mut Rng) -> Self {
            Self::read(&encode(&TaskSpec::sample(rng))).unwrap()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{TaskSpec, WorkloadSpec, work};
    use crate::base::{
        rng::Rng,
        wire::{Message as _, encode, sample::Sample as _},
    };

    #[test]
    fn a_definition_and_its_row_have_the_same_bytes() {
        let mut rng = Rng::from_seed(1);
        for _ in 0..200 {
            let spec = work::WorkloadSpec::sample(&mut rng);
            let row = WorkloadSpec::read(&encode(&spec)).unwrap();
            assert_eq!(encode(&row), encode(&spec));
        }
    }

    #[test]
    fn what_an_agent_is_told_is_read_from_a_whole_definition_too() {
        let mut rng = Rng::from_seed(2);
        for _ in 0..200 {
            let spec = work::WorkloadSpec::sample(&mut rng);
            assert_eq!(work::TaskSpec::read(&encode(&spec)), Ok(spec.task()));
            assert_eq!(TaskSpec::read(&encode(&spec)), TaskSpec::read(&encode(&spec.task())));
            let older = WorkloadSpec::read(&encode(&spec.task())).unwrap();
            assert_eq!(older.containers, spec.run.containers);
            assert_eq!((older.id, older.version), (spec.id, spec.version));
        }
    }
}
