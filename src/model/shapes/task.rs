//! Instances: where they are and what is known of them; deployments.

use crate::{
    choice, message,
    model::{
        Owner,
        deployment::{Action, ActionKind, Deployment, DeploymentId, Step, Transition},
        framework::FrameworkId,
        instance::{
            CheckOutcome, CheckStatus, Condition, ContainerStatus, Goal, InstanceId, KillOrder,
            KillReason, Placement, ReadinessStatus,
        },
    },
    numbers, text_ids,
};

numbers!(Goal { 1: Running, 2: Stopped, 3: Decommissioned });
numbers!(Condition {
    1: Scheduled,
    2: Provisioned,
    3: Staging,
    4: Starting,
    5: Running,
    6: Killing,
    7: Unreachable,
    8: UnreachableInactive,
    9: Finished,
    10: Killed,
    11: Failed,
    12: Error,
    13: Dropped,
    14: Gone,
    15: Unknown,
});
message!(Placement {
    1: node,
    2: hostname,
    3: address,
    4: allocation,
    5: host_ports,
    6: launched_at,
});
message!(KillOrder { 1: at, 2: reason });
numbers!(KillReason { 1: Request, 2: Deployment, 3: Drain, 4: Overdue });
message!(CheckStatus {
    1: index,
    2: alive,
    3: consecutive_failures,
    4: first_success,
    5: last_success,
    6: last_failure,
    7: last_failure_cause,
});
message!(ReadinessStatus { 1: name, 2: ready, 3: found, 4: last_response });
choice!(CheckOutcome { 1: Http(it), 2: Tcp(it), 3: Command(it) });
message!(ContainerStatus { 1: name, 2: condition, 3: since, 4: exit_code, 5: message });
message!(Deployment {
    1: id,
    2: version,
    3: started_at,
    4: steps,
    5: current_step,
    6: changes,
    7: victims,
});
message!(Transition { 1: before, 2: after });
message!(Step { 1: actions });
message!(Action { 1: kind, 2: app });
numbers!(ActionKind { 1: Start, 2: Stop, 3: Scale, 4: Restart });

choice!(Owner {
    1: App(it),
    2: Run { 1: job, 2: run },
    3: Framework { 1: framework, 2: task },
    4: System(it),
});

text_ids!(
    InstanceId: InstanceId::from,
    DeploymentId: DeploymentId::from,
    FrameworkId: FrameworkId::from,
);
