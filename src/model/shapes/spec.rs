//! Workloads and their containers.

use crate::{
    choice, message,
    model::{
        container::{
            Artifact, Command, ContainerSpec, DiskKind, Engine, EnvValue, HealthCheck, Image,
            InfoCheck, IpcMode, Limit, Limits, LinuxInfo, PersistentVolume, Port, Probe, ProbePort,
            Protocol, ReadinessCheck, Shared, SharedSource, SharedVolume, Volume, VolumeSource,
        },
        path::PathId,
        workload::{
            Backoff, Constraint, KillSelection, Kind, Network, NetworkMode, Operator, Residency,
            UnreachableStrategy, UpgradeStrategy,
        },
    },
    numbers, text_ids,
};

numbers!(Kind { 1: App, 2: Pod });
message!(Network { 1: mode, 2: name, 3: labels });
numbers!(NetworkMode { 1: Host, 2: Bridge, 3: Container });
message!(Constraint { 1: field, 2: operator, 3: value });
numbers!(Operator { 1: Unique, 2: Cluster, 3: GroupBy, 4: MaxPer, 5: Like, 6: Unlike, 7: Is });
message!(Backoff { 1: initial_ms, 2: factor, 3: ms_max });
message!(UpgradeStrategy { 1: minimum_health_capacity, 2: maximum_over_capacity });
choice!(UnreachableStrategy { 1: Disabled, 2: After { 1: inactive_ms, 2: expunge_ms } });
numbers!(KillSelection { 1: YoungestFirst, 2: OldestFirst });
message!(Residency { 1: relaunch_escalation_timeout_s, 2: task_lost_behavior });
message!(ContainerSpec {
    1: name,
    2: command,
    3: image,
    4: engine,
    5: resources,
    6: limits,
    7: env,
    8: user,
    9: tty,
    10: fetch,
    11: volumes,
    12: ports,
    13: health_checks,
    14: check,
    15: readiness,
    16: kill_grace_ms,
    17: linux,
    18: labels,
});
choice!(Command { 1: Image, 2: Shell(it), 3: Args[list], 4: Exec[list] });
numbers!(Engine { 1: Docker, 2: Mesos });
message!(Image { 1: name, 2: force_pull, 3: privileged, 4: parameters, 5: pull_secret, 6: labels });
message!(Limits { 1: cpus, 2: mem });
choice!(Limit { 1: Unlimited, 2: At(it) });
choice!(EnvValue { 1: Text(it), 2: Secret(it) });
message!(Artifact { 1: uri, 2: extract, 3: executable, 4: cache, 5: dest_path });
message!(Volume { 1: container_path, 2: read_only, 3: source });
choice!(VolumeSource {
    1: Host(it),
    2: Persistent(it),
    3: External { 1: name, 2: provider, 3: options, 4: size_gib, 5: shared },
    4: Secret(it),
    5: Shared(it),
});
message!(PersistentVolume { 1: kind, 2: size_mb, 3: size_mb_max, 4: profile, 5: constraints });
numbers!(DiskKind { 1: Root, 2: Path, 3: Mount });
message!(Port {
    1: container_port,
    2: host_port,
    3: service_port,
    4: protocol,
    5: name,
    6: labels,
    7: network_names,
    8: protocols,
});
numbers!(Protocol { 1: Tcp, 2: Udp, 3: Both });
message!(HealthCheck {
    1: probe,
    2: agent_semantics,
    3: grace_ms,
    4: interval_ms,
    5: timeout_ms,
    6: failures_max,
    7: delay_ms,
});
choice!(Probe {
    1: Http { 1: tls, 2: path, 3: port, 4: ignore_1xx, 5: ipv6 },
    2: Tcp { 1: port, 2: ipv6 },
    3: Command(it),
});
choice!(ProbePort { 1: Index(it), 2: Number(it) });
message!(InfoCheck { 1: probe, 2: interval_ms, 3: timeout_ms, 4: delay_ms });
message!(ReadinessCheck {
    1: name,
    2: tls,
    3: path,
    4: port_name,
    5: interval_ms,
    6: timeout_ms,
    7: ready_codes,
    8: keep_last_response,
});
message!(LinuxInfo { 1: seccomp_profile, 2: seccomp_unconfined, 3: ipc, 4: shm_mb });
numbers!(IpcMode { 1: Private, 2: ShareParent });
message!(Shared { 1: env, 2: user, 3: volumes, 4: linux, 5: cgroups });
message!(SharedVolume { 1: name, 2: source });
choice!(SharedSource { 1: Ephemeral, 2: Host(it), 3: Secret(it) });

text_ids!(PathId: PathId::parse);
