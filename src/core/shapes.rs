//! The shapes of what the state holds beside the domain's words, and of the commands and outcomes
//! that stand in the log. See `base::wire` for the rules.

pub(super) mod rejected;

use super::{
    backoff::Delay,
    command::{
        Accepted, Command, DeployStep, Edit, Expect, GroupChange, GroupEdit, Init, Join, Launch,
        PutApps, RequestId, Scale, Stamped,
    },
    past::Past,
    state::{App, Cluster, Group, TaskFailure},
    table::Head,
};
use crate::{base::level, choice, message, numbers, transparent};

message!(Head { 1: revision, 2: at });
message!(Cluster { 1: id, 2: name, 3: secret, 4: created_at, 5: n_nodes, 6: level = level::FIRST });
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
});
message!(Past { 1: revision, 2: version, 3: apps, 4: groups, 5: n_bytes });
message!(Delay { 1: config, 2: delay_ms, 3: failed_at, 4: until, 5: n_failures });

transparent!(RequestId(u128) element);
message!(Stamped<C> { 1: at, 2: request, 3: command });
choice!(Command {
    1: Init(it),
    2: PutApps(it),
    3: CancelDeployment { 1: id, 2: undo },
    4: DeployStep(it),
    5: Scale(it),
    6: Kill { 1: instances, 2: wipe, 3: reason },
    7: Launch[list],
    8: Report { 1: node, 2: reports },
    9: RegisterNode(it),
    10: NodeReach { 1: node, 2: reachable },
    11: NodeDuty { 1: node, 2: duty },
    12: RemoveNode(it),
    13: Invite { 1: digest, 2: until },
    14: Join(it),
    15: Renew { 1: node, 2: by, 3: new, 4: expires_at },
    16: UseCertificate { 1: node, 2: serial },
    17: Expire { 1: inactive, 2: expunge },
    18: ResetBackoff(it),
    19: PutUser { 1: user, 2: expect },
    20: DeleteUser(it),
    21: RevokeTokens[of],
    22: RotateSecret(it),
    23: PutRole(it),
    24: DeleteRole(it),
    25: RegisterMaster(it),
    26: RaiseLevel(it),
});
message!(Join { 1: invitation, 2: key, 3: serial, 4: expires_at });
message!(Init { 1: cluster, 2: name, 3: secret, 4: users, 5: level = level::FIRST });
message!(PutApps { 1: deployment, 2: force, 3: edits, 4: groups, 5: victims });
message!(Edit { 1: id, 2: new, 3: expect, 4: base, 5: restart });
numbers!(Expect { 1: Absent, 2: Present, 3: Any });
message!(GroupEdit { 1: id, 2: change });
choice!(GroupChange { 1: Put { 1: dependencies, 2: enforce_role }, 2: Delete });
message!(DeployStep { 1: deployment, 2: step, 3: scales, 4: advance });
message!(Scale { 1: app, 2: add, 3: retire });
message!(Launch { 1: instance, 2: node, 3: allocation, 4: host_ports });

message!(Accepted { 1: node, 2: deployment, 3: n_done });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::wire::sample::{hold, numbered, shape},
        core::{Outcome, Thing},
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
            ],
        );
    }
}
