//! The shapes of what the state holds beside the domain's words, and of the outcomes of commands.
//! Those of commands stand with their families (`apply`). See `base::wire` for the rules.

pub(super) mod rejected;

use super::{
    backoff::Delay,
    command::{Accepted, Expect, RequestId, Stamped},
    past::Past,
    state::{App, Cluster, Group, TaskFailure},
    table::Head,
};
use crate::{base::level, message, numbers, transparent};

message!(Head { 1: revision, 2: at });
message!(Cluster {
    1: id,
    2: name,
    3: secret,
    4: created_at,
    5: n_nodes,
    6: level = level::FIRST,
    7: n_masters
});
message!(Group { 1: id, 2: dependencies, 3: enforce_role, 4: version });
message!(App { 1: id, 2: spec, 3: last_failure });
message!(TaskFailure {
    1: task_id,
    2: instance,
    3: state,
    4: message,
    5: hostname,
    6: node,
    7: at,
    8: version,
    9: started_at,
});
message!(Past { 1: revision, 2: version, 3: apps, 4: groups, 5: n_bytes });
message!(Delay { 1: config, 2: delay_ms, 3: failed_at, 4: until, 5: n_failures, 6: first_at });

transparent!(RequestId(u128) element);
message!(Stamped<C> { 1: at, 2: request, 3: command, 4: by });
numbers!(Expect { 1: Absent, 2: Present, 3: Any });
message!(Accepted { 1: node, 2: deployment, 3: n_done, 4: master });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::wire::sample::{hold, numbered, shape},
        core::{
            Command, Outcome, Thing,
            command::{
                DeployStep, Edit, GroupChange, GroupEdit, Init, Join, Launch, PutApps, Scale, Seat,
            },
            history,
        },
    };

    #[test]
    fn what_is_written_of_the_state_and_its_commands_stays_readable() {
        hold(
            "core",
            &[
                shape::<Head>(),
                shape::<Cluster>(),
                shape::<Group>(),
                shape::<App>(),
                shape::<TaskFailure>(),
                shape::<Past>(),
                shape::<Delay>(),
                shape::<Command>(),
                shape::<Join>(),
                shape::<Seat>(),
                shape::<Init>(),
                shape::<PutApps>(),
                shape::<Edit>(),
                shape::<GroupEdit>(),
                shape::<GroupChange>(),
                shape::<DeployStep>(),
                shape::<Scale>(),
                shape::<Launch>(),
                shape::<Accepted>(),
                shape::<rejected::Rejected>(),
                numbered::<Expect>(),
                numbered::<Thing>(),
                numbered::<rejected::Kind>(),
                shape::<Stamped>(),
                shape::<Outcome>(),
                shape::<(RequestId, Outcome)>(),
                shape::<history::Record>(),
                shape::<history::Attempt>(),
                shape::<history::Dropped>(),
                numbered::<history::Kind>(),
            ],
        );
    }
}
