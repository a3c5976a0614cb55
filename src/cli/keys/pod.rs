//! The keys of pods.

use super::{
    Below, CHECK_COMMAND, FETCH, LIMITS, LINUX, NETWORK, PULL, SECRET, Shape, UNREACHABLE, UPGRADE,
};

pub(super) static POD: Shape = Shape {
    plain: &["id", "user", "role", "labels", "environment", "legacySharedCgroups"],
    added: &["version"],
    deep: &[
        ("containers", Below::Many(&CONTAINER)),
        ("secrets", Below::Named(&SECRET)),
        ("volumes", Below::Many(&VOLUME)),
        ("networks", Below::Many(&NETWORK)),
        ("scaling", Below::One(&SCALING)),
        ("scheduling", Below::One(&SCHEDULING)),
        ("executorResources", Below::One(&LIMITS)),
        ("linuxInfo", Below::One(&LINUX)),
    ],
};
static CONTAINER: Shape = Shape::with(
    &["name", "environment", "user", "labels", "tty"],
    &[
        ("exec", Below::One(&EXEC)),
        ("resources", Below::One(&RESOURCES)),
        ("resourceLimits", Below::One(&LIMITS)),
        ("endpoints", Below::Many(&ENDPOINT)),
        ("image", Below::One(&IMAGE)),
        ("healthCheck", Below::One(&HEALTH)),
        ("check", Below::One(&CHECK)),
        ("volumeMounts", Below::Many(&MOUNT)),
        ("artifacts", Below::Many(&FETCH)),
        ("lifecycle", Below::One(&LIFECYCLE)),
        ("linuxInfo", Below::One(&LINUX)),
    ],
);
static EXEC: Shape =
    Shape::with(&["overrideEntrypoint"], &[("command", Below::One(&CHECK_COMMAND))]);
static RESOURCES: Shape = Shape::plain(&["cpus", "mem", "disk", "gpus"]);
static IMAGE: Shape =
    Shape::with(&["kind", "id", "forcePull", "labels"], &[("pullConfig", Below::One(&PULL))]);
static ENDPOINT: Shape =
    Shape::plain(&["name", "containerPort", "hostPort", "protocol", "labels", "networkNames"]);
static HEALTH: Shape = Shape::with(
    &[
        "gracePeriodSeconds",
        "intervalSeconds",
        "maxConsecutiveFailures",
        "timeoutSeconds",
        "delaySeconds",
    ],
    PROBES,
);
static CHECK: Shape = Shape::with(&["intervalSeconds", "timeoutSeconds", "delaySeconds"], PROBES);
const PROBES: &[(&str, Below)] =
    &[("http", Below::One(&HTTP)), ("tcp", Below::One(&TCP)), ("exec", Below::One(&EXEC))];
static HTTP: Shape = Shape::plain(&["endpoint", "path", "scheme"]);
static TCP: Shape = Shape::plain(&["endpoint"]);
static MOUNT: Shape = Shape::plain(&["name", "mountPath", "readOnly"]);
static LIFECYCLE: Shape = Shape::plain(&["killGracePeriodSeconds"]);
static VOLUME: Shape = Shape::plain(&["name", "host", "secret", "persistent"]);
static SCALING: Shape = Shape::plain(&["kind", "instances"]);
static SCHEDULING: Shape = Shape::with(
    &["killSelection"],
    &[
        ("backoff", Below::One(&BACKOFF)),
        ("upgrade", Below::One(&UPGRADE)),
        ("placement", Below::One(&PLACEMENT)),
        ("unreachableStrategy", Below::One(&UNREACHABLE)),
    ],
);
static BACKOFF: Shape = Shape::plain(&["backoff", "backoffFactor", "maxLaunchDelay"]);
static PLACEMENT: Shape =
    Shape::with(&["acceptedResourceRoles"], &[("constraints", Below::Many(&CONSTRAINT))]);
static CONSTRAINT: Shape = Shape::plain(&["fieldName", "operator", "value"]);
