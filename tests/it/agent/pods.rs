//! Pods: containers that share what they have and end together.

use std::time::{Duration, Instant};

use tepui::{
    agent::launch::INFRA,
    model::{
        container::{
            Command, ContainerSpec, Engine, IpcMode, LinuxInfo, SIDECAR, SharedSource,
            SharedVolume, Volume, VolumeSource,
        },
        instance::{Condition, KillReason},
        link::Order,
        workload::{Kind, NetworkMode},
    },
};

use super::rig::{Rig, image_container, killed, order, plain_container, spec};

/// A plain command that sees the pod's volume at `v`.
fn part(name: &str, command: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        volumes: vec![Volume {
            container_path: "v".into(),
            read_only: false,
            source: VolumeSource::Shared("data".into()),
        }],
        ..plain_container(command)
    }
}

fn sidecar(name: &str, command: &str) -> ContainerSpec {
    let mut part = part(name, command);
    part.labels.insert(SIDECAR.into(), "true".into());
    part
}

fn pod(id: &str, mode: NetworkMode, containers: Vec<ContainerSpec>) -> Order {
    let mut pod = spec(ContainerSpec::default(), mode);
    let run = pod.run_mut();
    run.kind = Kind::Pod;
    run.containers = containers;
    run.shared.volumes =
        vec![SharedVolume { name: "data".into(), source: SharedSource::Ephemeral }];
    order(id, pod, vec![])
}

/// Until SIGTERM comes; then `last` and an end without fault.
fn until_told(last: &str) -> String {
    format!("trap '{last}; exit 0' TERM; echo up; while :; do sleep 0.1; done")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_shares_its_network_and_goes_down_together() {
    let mut rig = Rig::new().await;
    let server = ContainerSpec {
        name: "server".into(),
        engine: None,
        ..image_container("httpd -f -p 8080 -h /www")
    };
    let client = ContainerSpec {
        name: "client".into(),
        engine: None,
        ..image_container(
            "until busybox wget -qO- http://127.0.0.1:8080/; do sleep 0.1; done; \
             echo reached $MARATHON_CONTAINER_ID; exit 6",
        )
    };
    let mut pod = spec(server, NetworkMode::Bridge);
    pod.run_mut().kind = Kind::Pod;
    pod.run_mut().containers.push(client);
    rig.desire(vec![order("pod", pod, vec![])]).await;
    let report = rig.until_condition("pod", 1, Condition::Failed).await;
    assert_eq!(report.message, "Container exited with status 6");
    let ended: Vec<(&str, Option<i32>)> =
        report.containers.iter().map(|c| (c.name.as_str(), c.exit_code)).collect();
    assert_eq!(ended[1], ("client", Some(6)));
    assert_eq!(rig.read("pod", "client/stdout").await, "helloreached client\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn sidecars_are_there_first_and_go_last() {
    let mut rig = Rig::new().await;
    // The order of the definition is not that of the start.
    let main = part("main", &until_told("sleep 0.5; echo main >> v/ends"));
    let side = sidecar("side", &until_told("echo side >> v/ends; cat v/ends"));
    let wanted = pod("sides", NetworkMode::Host, vec![main, side]);
    rig.desire(vec![wanted.clone()]).await;
    rig.until_condition("sides", 1, Condition::Running).await;
    while rig.read("sides", "side/stdout").await != "up\n"
        || rig.read("sides", "main/stdout").await != "up\n"
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rig.desire(vec![killed(&wanted)]).await;
    let report = rig.until_condition("sides", 1, Condition::Killed).await;
    assert_eq!(rig.read("sides", "side/stdout").await, "up\nmain\nside\n");
    assert!(report.containers.iter().all(|c| c.condition == Condition::Killed), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_well_is_told_and_the_last_but_sidecars_ends_the_pod() {
    let mut rig = Rig::new().await;
    let containers = vec![
        part("short", "exit 0"),
        part("long", "while [ ! -e v/go ]; do sleep 0.1; done"),
        sidecar("side", &until_told("echo told")),
    ];
    rig.desire(vec![pod("ended", NetworkMode::Host, containers)]).await;
    let condition = |rig: &Rig, name: &str| {
        let report = rig.last("ended", 1)?;
        report.containers.iter().find(|c| c.name == name).map(|c| c.condition)
    };
    rig.until("the end of one", |r| condition(r, "short") == Some(Condition::Finished)).await;
    assert_eq!(rig.last("ended", 1).unwrap().condition, Condition::Running);
    assert_eq!(condition(&rig, "long"), Some(Condition::Running));
    let volume = rig.dir.path().join("agent/sandboxes/it_app/ended/1/@volumes/data");
    std::fs::write(volume.join("go"), "").unwrap();
    rig.until_condition("ended", 1, Condition::Finished).await;
    assert_eq!(condition(&rig, "long"), Some(Condition::Finished));
    assert_eq!(condition(&rig, "side"), Some(Condition::Killed));
    assert!(rig.read("ended", "side/stdout").await.ends_with("told\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_ends_others_that_ignore_it_and_none_stays() {
    let mut rig = Rig::new().await;
    let mut deaf = part("deaf", "trap '' TERM; echo up; while :; do sleep 0.1; done");
    deaf.kill_grace_ms = Some(500);
    let failing = part("failing", "sleep 1; exit 4");
    let began = Instant::now();
    rig.desire(vec![pod("deaf-pod", NetworkMode::Bridge, vec![deaf, failing])]).await;
    let report = rig.until_condition("deaf-pod", 1, Condition::Failed).await;
    assert_eq!(report.message, "Command exited with status 4");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let words: Vec<_> = report.containers.iter().map(|c| (c.name.as_str(), c.condition)).collect();
    assert_eq!(words, [("deaf", Condition::Killed), ("failing", Condition::Failed)]);
    let left = rig.containers().await;
    assert!(left.iter().all(|c| c.labels["tepui.container"] != INFRA), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_known_again_with_what_has_ended_of_it() {
    let mut rig = Rig::new().await;
    let containers = vec![
        part("short", "while [ ! -e v/go ]; do sleep 0.1; done; exit 0"),
        part("long", &until_told("echo told")),
    ];
    let wanted = pod("ended", NetworkMode::Bridge, containers);
    rig.desire(vec![wanted.clone()]).await;
    let before = rig.until_condition("ended", 1, Condition::Running).await;
    let volume = rig.dir.path().join("agent/sandboxes/it_app/ended/1/@volumes/data");
    let mut rig = rig
        .restarted(async |_| {
            std::fs::write(volume.join("go"), "").unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        })
        .await;
    rig.desire(vec![wanted.clone()]).await;
    let is_over = |r: &Rig| {
        let report = r.last("ended", 1)?;
        report.containers.iter().find(|c| c.name == "short").map(|c| c.condition)
    };
    rig.until("the end of one", |r| is_over(r) == Some(Condition::Finished)).await;
    let after = rig.last("ended", 1).unwrap();
    assert_eq!((after.condition, &after.addresses), (Condition::Running, &before.addresses));
    let kill = Order { kill: Some(KillReason::Request), ..wanted };
    rig.desire(vec![kill]).await;
    rig.until_condition("ended", 1, Condition::Killed).await;
    assert!(rig.read("ended", "long/stdout").await.ends_with("told\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_shared_where_it_is_asked_for_and_a_program_takes_the_place_of_the_images() {
    let mut rig = Rig::new().await;
    let image = |name: &str, command: &str, ipc: IpcMode| {
        let linux = LinuxInfo { ipc: Some(ipc), ..LinuxInfo::default() };
        let engine = Some(Engine::Mesos);
        ContainerSpec { name: name.into(), engine, linux, ..image_container(command) }
    };
    let writer = "echo word > /dev/shm/word; while :; do sleep 0.1; done";
    let reader = "until cat /dev/shm/word; do sleep 0.1; done; exit 7";
    let mut program = image("program", "", IpcMode::Private);
    let argv =
        ["/bin/sh", "-c", "echo $0 $(busybox ls /dev/shm | busybox wc -l); sleep 1000", "bypassed"];
    program.command = Command::Exec(argv.map(str::to_owned).to_vec());
    let mut wanted = spec(ContainerSpec::default(), NetworkMode::Host);
    let run = wanted.run_mut();
    run.kind = Kind::Pod;
    run.containers = vec![
        program,
        image("writer", writer, IpcMode::ShareParent),
        image("reader", reader, IpcMode::ShareParent),
    ];
    rig.desire(vec![order("shm", wanted, vec![])]).await;
    let report = rig.until_condition("shm", 1, Condition::Failed).await;
    assert_eq!(report.message, "Container exited with status 7");
    assert_eq!(rig.read("shm", "reader/stdout").await, "word\n");
    assert_eq!(rig.read("shm", "program/stdout").await, "bypassed 0\n");
}
