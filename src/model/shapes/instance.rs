//! An instance as it is stored: one message whose fields are there by its condition, with its app or
//! another owner.

use std::net::IpAddr;

use crate::{
    base::{
        clock::Timestamp,
        wire::{Message, WireError, put_field},
    },
    message,
    model::{
        AppId, Owner,
        instance::{
            self as work, CheckOutcome, CheckStatus, Condition, ContainerStatus, Goal, InstanceId,
            KillOrder, Life, Placement, ReadinessStatus, Seen, Task,
        },
    },
};

/// What stands in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    id: InstanceId,
    app: AppId,
    version: Timestamp,
    incarnation: u32,
    goal: Goal,
    condition: Condition,
    since: Timestamp,
    created_at: Timestamp,
    placement: Option<Placement>,
    started_at: Option<Timestamp>,
    kill: Option<KillOrder>,
    addresses: Vec<IpAddr>,
    health: Vec<CheckStatus>,
    ready: bool,
    readiness: Vec<ReadinessStatus>,
    check: Option<CheckOutcome>,
    message: String,
    containers: Vec<ContainerStatus>,
    owner: Option<Owner>,
}

message!(Instance {
    1: id,
    2: app = AppId::root(),
    3: version,
    4: incarnation,
    5: goal,
    6: condition,
    7: since,
    8: created_at,
    9: placement,
    10: started_at,
    11: kill,
    12: addresses,
    13: health,
    14: ready,
    15: readiness,
    16: check,
    17: message,
    18: containers,
    19: owner,
});

impl TryFrom<Instance> for work::Instance {
    type Error = WireError;

    fn try_from(row: Instance) -> Result<Self, WireError> {
        let task = |place| {
            let seen = Seen {
                started_at: row.started_at,
                addresses: row.addresses,
                health: row.health,
                ready: row.ready,
                readiness: row.readiness,
                check: row.check,
                containers: row.containers,
            };
            Box::new(Task { place, kill: row.kill, seen })
        };
        let life = match (row.condition.phase(), row.condition.end(), row.placement) {
            (None, None, _) => Life::Scheduled,
            (Some(phase), _, Some(place)) => Life::Placed(phase, task(place)),
            (None, Some(end), Some(place)) => Life::Ended(end, task(place)),
            (_, _, None) => {
                let problem = format!("{} is {:?} without a place", row.id, row.condition);
                return Err(WireError::Invalid { of: Instance::NAME, problem });
            }
        };
        Ok(Self {
            id: row.id,
            owner: row.owner.unwrap_or(Owner::App(row.app)),
            version: row.version,
            incarnation: row.incarnation,
            goal: row.goal,
            life,
            since: row.since,
            created_at: row.created_at,
            message: row.message,
        })
    }
}

/// Rows are written often: without a copy of what they hold, so the numbers stand here again.
impl Message for work::Instance {
    const NAME: &'static str = Instance::NAME;
    const FIELDS: &'static [(u32, &'static str)] = Instance::FIELDS;

    fn put_fields(&self, out: &mut Vec<u8>) {
        put_field(1, &self.id, out);
        if let Owner::App(app) = &self.owner {
            put_field(2, app, out);
        }
        put_field(3, &self.version, out);
        put_field(4, &self.incarnation, out);
        put_field(5, &self.goal, out);
        put_field(6, &self.condition(), out);
        put_field(7, &self.since, out);
        put_field(8, &self.created_at, out);
        if let Some(Task { place, kill, seen }) = self.task() {
            put_field(9, place, out);
            put_field(10, &seen.started_at, out);
            put_field(11, kill, out);
            put_field(12, &seen.addresses, out);
            put_field(13, &seen.health, out);
            put_field(14, &seen.ready, out);
            put_field(15, &seen.readiness, out);
            put_field(16, &seen.check, out);
        }
        put_field(17, &self.message, out);
        if let Some(seen) = self.seen() {
            put_field(18, &seen.containers, out);
        }
        if self.owner.app().is_none() {
            put_field(19, &self.owner, out);
        }
    }

    fn read(bytes: &[u8]) -> Result<Self, WireError> {
        Instance::read(bytes)?.try_into()
    }
}

message!(@value [] work::Instance);

#[cfg(test)]
mod sample {
    use super::{Instance, work};
    use crate::{
        base::{rng::Rng, wire::sample::Sample},
        model::{Owner, instance::Placement},
    };

    impl Sample for work::Instance {
        fn sample(rng: &mut Rng) -> Self {
            let placement = Some(Placement::sample(rng));
            let owner = Option::sample(rng).filter(|owner: &Owner| owner.app().is_none());
            Instance { placement, owner, ..Instance::sample(rng) }.try_into().unwrap()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Instance, work};
    use crate::{
        base::{
            rng::Rng,
            wire::{Message as _, encode, sample::Sample as _},
        },
        model::instance::Condition,
    };

    #[test]
    fn an_instance_and_its_row_have_the_same_bytes() {
        let mut rng = Rng::from_seed(1);
        for _ in 0..200 {
            let instance = work::Instance::sample(&mut rng);
            let row = Instance::read(&encode(&instance)).unwrap();
            if instance.app().is_some() {
                assert_eq!(encode(&row), encode(&instance));
            }
            assert_eq!(work::Instance::try_from(row), Ok(instance));
        }
    }

    #[test]
    fn who_runs_has_a_place() {
        let mut row = Instance::sample(&mut Rng::from_seed(1));
        (row.condition, row.placement) = (Condition::Running, None);
        let error = work::Instance::read(&encode(&row)).unwrap_err().to_string();
        assert!(error.contains("is Running without a place"), "{error}");
    }
}
