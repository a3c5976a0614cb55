//! The agent on a real container engine: what the leader orders runs, what runs is reported.
//!
//! Needs a Docker engine at `DOCKER_HOST` or `/var/run/docker.sock` and busybox-static on this
//! machine, from which the image is made. Each test is a cluster of its own (its label), so tests
//! do not see each other's containers.

mod hostile;
mod others;
mod pods;
mod rig;
mod stop;
mod volumes;

use std::{sync::Arc, time::Duration};

use rig::{
    PATIENCE, Rig, Way, image, image_container, killed, order, plain, plain_container, serve, spec,
};
use tepui::{
    base::rng::Rng,
    model::{
        InstanceId,
        container::{
            Artifact, Command, ContainerSpec, EnvValue, HealthCheck, Port, Probe, ProbePort,
            Protocol, Volume, VolumeSource,
        },
        instance::Condition,
        link::{Answer, AskError, Channel, Desired, Order, Question, SESSION_WINDOW, ToAgent},
        workload::NetworkMode,
    },
};
use tokio::io::AsyncWriteExt as _;

#[tokio::test(flavor = "multi_thread")]
async fn an_image_task_runs_with_its_environment_and_ends() {
    let mut rig = Rig::new().await;
    let mut container = image_container("echo $MARATHON_APP_ID $GREETING; id -u; pwd >&2; exit 3");
    container.env.insert("GREETING".into(), EnvValue::Text("hi".into()));
    container.user = Some("web".into());
    rig.desire(vec![order("a", spec(container, NetworkMode::Host), vec![])]).await;
    let report = rig.until_condition("a", 1, Condition::Failed).await;
    assert_eq!(report.message, "Container exited with status 3");
    assert!(report.started_at.is_some());
    assert_eq!(rig.read("a", "stdout").await, "/it/app hi\n33\n");
    assert_eq!(rig.read("a", "stderr").await, "/\n");
    let containers = rig.containers().await;
    assert_eq!(containers[0].labels["MESOS_TASK_ID"], "a._app.1");
    assert_eq!(containers[0].labels["tepui.instance"], "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_command_sees_the_node_and_works_in_its_sandbox() {
    let mut rig = Rig::new().await;
    let mut container = plain_container(
        "echo made > made; ls /usr/bin/env; [ \"$PWD\" = \"$MESOS_SANDBOX\" ] && echo here; id -un; \
         touch /usr/tepui-it 2>/dev/null || echo read-only; exit 0",
    );
    container.user = Some("nobody".into());
    rig.desire(vec![order("p", spec(container, NetworkMode::Host), vec![])]).await;
    let report = rig.until_condition("p", 1, Condition::Finished).await;
    assert_eq!(report.message, "Command exited with status 0");
    assert_eq!(rig.read("p", "stdout").await, "/usr/bin/env\nhere\nnobody\nread-only\n");
    assert_eq!(rig.read("p", "made").await, "made\n");
    let list = Question::ListFiles {
        instance: InstanceId::from("p"),
        incarnation: Some(1),
        path: String::new(),
    };
    let Ok(Answer::Files(files)) = rig.ask(1, list).await else { panic!("no listing") };
    let names: Vec<&str> = files.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(names, ["made", "stderr", "stdout"]);
    // Only once the leader lets go is it forgotten.
    rig.desire(vec![]).await;
    rig.reports.clear();
    for _ in 0..8 {
        rig.hear().await;
    }
    assert!(rig.reports.is_empty(), "nothing is told about a forgotten task");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridged_task_is_reached_by_its_host_port() {
    let mut rig = Rig::new().await;
    let mut container = image_container("httpd -f -p 8080 -h /www");
    container.ports = vec![Port {
        container_port: Some(8080),
        host_port: Some(0),
        service_port: 10_000,
        protocol: Protocol::Both,
        ..Port::default()
    }];
    container.health_checks = vec![HealthCheck {
        probe: Probe::Http {
            tls: false,
            path: Some("/index.html".into()),
            port: ProbePort::Index(0),
            ignore_1xx: false,
            ipv6: false,
        },
        agent_semantics: false,
        grace_ms: 10_000,
        interval_ms: 200,
        timeout_ms: 5_000,
        failures_max: 3,
        delay_ms: 0,
    }];
    rig.desire(vec![order("b", spec(container, NetworkMode::Bridge), vec![Some(18_901)])]).await;
    let report = rig.until_condition("b", 1, Condition::Running).await;
    assert_eq!(report.addresses.len(), 1);
    rig.until("healthy", |r| r.last("b", 1).is_some_and(|r| r.health.iter().any(|h| h.alive)))
        .await;
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", 18_901)).await.unwrap();
    stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await.unwrap();
    assert!(text.ends_with("hello"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_health_check_kills_and_says_why() {
    let mut rig = Rig::new().await;
    let mut container = plain_container("sleep 1000");
    container.health_checks = vec![HealthCheck {
        probe: Probe::Command(Command::Shell("test -e healthy || exit 4".into())),
        agent_semantics: true,
        grace_ms: 0,
        interval_ms: 100,
        timeout_ms: 5_000,
        failures_max: 2,
        delay_ms: 0,
    }];
    rig.desire(vec![order("h", spec(container, NetworkMode::Host), vec![])]).await;
    let report = rig.until_condition("h", 1, Condition::Killed).await;
    assert!(report.unhealthy);
    assert_eq!(
        report.message,
        "Task was killed since COMMAND health check failed 2 times in a row. \
         Reason: Command exited with status 4"
    );
    assert_eq!(report.health[0].consecutive_failures, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_is_gentle_first_and_escalates_when_ignored() {
    let mut rig = Rig::new().await;
    let gentle = plain("gentle", "while true; do sleep 1; done");
    let mut container = plain_container("trap '' TERM; while true; do sleep 1; done");
    container.kill_grace_ms = Some(500);
    let stubborn = order("stubborn", spec(container, NetworkMode::Host), vec![]);
    // A shell that is a container's first process gets no signal: what it runs does.
    let mut container = image_container("while true; do sleep 1; done");
    container.kill_grace_ms = Some(600_000);
    let shell = order("shell", spec(container, NetworkMode::Host), vec![]);
    rig.desire(vec![gentle.clone(), stubborn.clone(), shell.clone()]).await;
    rig.until_condition("shell", 1, Condition::Running).await;
    rig.until_condition("gentle", 1, Condition::Running).await;
    rig.until_condition("stubborn", 1, Condition::Running).await;
    rig.desire(vec![killed(&gentle), killed(&stubborn), killed(&shell)]).await;
    let report = rig.until_condition("gentle", 1, Condition::Killed).await;
    assert_eq!(report.message, "Command terminated with signal Terminated");
    let report = rig.until_condition("stubborn", 1, Condition::Killed).await;
    assert!(report.message.ends_with("SIGKILL was sent"), "{}", report.message);
    for id in ["gentle", "stubborn"] {
        let key = (InstanceId::from(id), 1);
        let killing = rig.reports[&key].iter().any(|r| r.condition == Condition::Killing);
        assert!(killing, "TASK_KILLING is reported between");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_adopts_what_runs_and_learns_what_ended() {
    let mut rig = Rig::new().await;
    let stays = plain(
        "stays",
        "echo before; while [ ! -e go ]; do sleep 0.1; done; echo after; sleep 1000",
    );
    let ends = plain("ends", "while [ ! -e go ]; do sleep 0.1; done; exit 7");
    rig.desire(vec![stays.clone(), ends.clone()]).await;
    let before = rig.until_condition("stays", 1, Condition::Running).await;
    rig.until_condition("ends", 1, Condition::Running).await;
    let ids: Vec<String> = rig.containers().await.into_iter().map(|c| c.id).collect();
    let sandboxes = rig.dir.path().join("agent/sandboxes/it_app");
    let mut rig = rig
        .restarted(async |engine| {
            for id in ["stays", "ends"] {
                std::fs::write(sandboxes.join(id).join("1/go"), "").unwrap();
            }
            let deadline = tokio::time::Instant::now() + PATIENCE;
            while engine.inspect("tepui-ends._app.1").await.is_ok_and(|c| c.running) {
                assert!(tokio::time::Instant::now() < deadline, "the task goes on");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    let after = rig.until_condition("stays", 1, Condition::Running).await;
    assert_eq!(after.started_at, before.started_at);
    let report = rig.until_condition("ends", 1, Condition::Failed).await;
    assert_eq!(report.message, "Command exited with status 7");
    let now: Vec<String> = rig.containers().await.into_iter().map(|c| c.id).collect();
    assert_eq!(now, ids, "no container was started or removed");
    rig.desire(vec![stays.clone(), ends]).await;
    loop {
        let text = rig.read("stays", "stdout").await;
        if text.contains("after") {
            assert_eq!(text, "before\nafter\n");
            break;
        }
    }
    rig.desire(vec![killed(&stays)]).await;
    rig.until_condition("stays", 1, Condition::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_output_is_lost_or_doubled_over_restarts() {
    let mut rig = Rig::new().await;
    let n = 30_000;
    let script = format!(
        "i=0; while [ $i -lt {n} ]; do echo line $i; i=$((i+1)); \
         [ $((i % 3000)) -eq 0 ] && sleep 0.2; done; echo end >&2"
    );
    let order = order("log", spec(image_container(&script), NetworkMode::Host), vec![]);
    rig.desire(vec![order.clone()]).await;
    rig.until_condition("log", 1, Condition::Running).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await; // somewhere in the middle
        rig = rig.restarted(async |_| {}).await;
    }
    rig.desire(vec![order]).await;
    rig.until_condition("log", 1, Condition::Finished).await;
    let expected: String = (0..n).map(|i| format!("line {i}\n")).collect();
    // An end is told after two seconds, whatever of the output is still on its way.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut text = rig.read("log", "stdout").await;
    while text.len() < expected.len() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
        text = rig.read("log", "stdout").await;
    }
    assert!(text == expected, "{} of {} bytes", text.len(), expected.len());
    assert_eq!(rig.read("log", "stderr").await, "end\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_are_fetched_unpacked_and_missed() {
    let mut rig = Rig::new().await;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(&mut gz);
    let mut header = tar::Header::new_gnu();
    header.set_size(19);
    header.set_mode(0o755);
    tar.append_data(&mut header, "tool/run.sh", &b"#!/bin/sh\necho ran\n"[..]).unwrap();
    tar.finish().unwrap();
    drop(tar);
    let port = serve(gz.finish().unwrap()).await;
    let artifact = |path: &str| Artifact {
        uri: format!("http://127.0.0.1:{port}{path}"),
        extract: true,
        executable: false,
        cache: true,
        dest_path: None,
    };
    let mut good = plain_container("./tool/run.sh");
    good.fetch = vec![artifact("/files/tool.tgz")];
    let mut bad = good.clone();
    bad.fetch = vec![artifact("/nothing.tgz")];
    rig.desire(vec![
        order("good", spec(good, NetworkMode::Host), vec![]),
        order("bad", spec(bad, NetworkMode::Host), vec![]),
    ])
    .await;
    rig.until_condition("good", 1, Condition::Finished).await;
    assert_eq!(rig.read("good", "stdout").await, "ran\n");
    let report = rig.until_condition("bad", 1, Condition::Failed).await;
    assert!(
        report.message.starts_with("Failed to fetch all URIs for container")
            && report.message.contains("404"),
        "{}",
        report.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_why() {
    let mut rig = Rig::new().await;
    let mut unknown = image_container("true");
    unknown.image.as_mut().unwrap().parameters = vec![("colour".into(), "red".into())];
    let mut missing = image_container("true");
    missing.image.as_mut().unwrap().name = "localhost:1/no/such:image".into();
    let mut stranger = plain_container("true");
    stranger.user = Some("no-such-one".into());
    let mut program = image_container("");
    program.command = Command::Args(vec!["/no/such/program".into()]);
    let on_host = |id: &str, c: ContainerSpec| order(id, spec(c, NetworkMode::Host), vec![]);
    rig.desire(vec![
        on_host("unknown", unknown),
        on_host("missing", missing),
        on_host("stranger", stranger),
        on_host("program", program),
    ])
    .await;
    let report = rig.until_condition("unknown", 1, Condition::Error).await;
    assert!(report.message.contains("docker parameter 'colour'"), "{}", report.message);
    let report = rig.until_condition("missing", 1, Condition::Failed).await;
    assert!(report.message.contains("localhost:1"), "{}", report.message);
    let report = rig.until_condition("stranger", 1, Condition::Failed).await;
    assert_eq!(report.message, "No such user 'no-such-one'");
    let report = rig.until_condition("program", 1, Condition::Failed).await;
    assert!(report.message.contains("/no/such/program"), "{}", report.message);
    assert!(rig.containers().await.is_empty(), "nothing is left of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_memory_is_told_as_such() {
    let mut rig = Rig::new().await;
    let greedy = image_container("tail /dev/zero");
    rig.desire(vec![order("oom", spec(greedy, NetworkMode::Host), vec![])]).await;
    let report = rig.until_condition("oom", 1, Condition::Failed).await;
    assert_eq!(report.message, "Memory limit exceeded: the limit of 32 MB was reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_of_the_node_and_of_the_sandbox() {
    let mut rig = Rig::new().await;
    let shared = rig.dir.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("in"), "from the node\n").unwrap();
    let mut container = image_container(
        "cat /shared/in; echo x > /shared/y || echo no; echo kept > $MESOS_SANDBOX/data/f",
    );
    let volume = |path: &str, source: &str, read_only| Volume {
        container_path: path.into(),
        read_only,
        source: VolumeSource::Host(source.into()),
    };
    container.volumes =
        vec![volume("/shared", shared.to_str().unwrap(), true), volume("data", "data", false)];
    rig.desire(vec![order("v", spec(container, NetworkMode::Host), vec![])]).await;
    rig.until_condition("v", 1, Condition::Finished).await;
    assert_eq!(rig.read("v", "stdout").await, "from the node\nno\n");
    assert_eq!(rig.read("v", "data/f").await, "kept\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_a_running_task() {
    let mut rig = Rig::new().await;
    rig.desire(vec![plain("e", "sleep 1000")]).await;
    rig.until_condition("e", 1, Condition::Running).await;
    let exec = |command: &str, tty| Question::Exec {
        instance: InstanceId::from("e"),
        container: String::new(),
        command: Command::Shell(command.into()),
        tty,
        stdin: true,
    };
    let answer = rig.ask(7, exec("cat; echo problem >&2; exit 5", false)).await;
    assert!(matches!(answer, Ok(Answer::Started)), "{answer:?}");
    let bytes = b"through and back".to_vec();
    let input = ToAgent::Data { id: 7, channel: Channel::Stdin, bytes: bytes.clone() };
    rig.ends.to_agent.send(input).await.unwrap();
    let end = ToAgent::Data { id: 7, channel: Channel::Stdin, bytes: Vec::new() };
    rig.ends.to_agent.send(end).await.unwrap();
    rig.until("end of the command", |r| r.over.contains_key(&7)).await;
    assert_eq!(rig.over[&7], Some(5));
    let all = |rig: &Rig, id, channel| -> Vec<u8> {
        let pieces = rig.data[&id].iter().filter(|(c, _)| *c == channel);
        pieces.flat_map(|(_, b)| b.clone()).collect()
    };
    assert_eq!(all(&rig, 7, Channel::Stdout), bytes);
    assert_eq!(all(&rig, 7, Channel::Stderr), b"problem\n");

    let answer = rig.ask(8, exec("read x; stty size; exit", true)).await;
    assert!(matches!(answer, Ok(Answer::Started)), "{answer:?}");
    let size = ToAgent::Data { id: 8, channel: Channel::Resize, bytes: vec![33, 0, 99, 0] };
    rig.ends.to_agent.send(size).await.unwrap();
    let enter = ToAgent::Data { id: 8, channel: Channel::Stdin, bytes: b"\n".to_vec() };
    rig.ends.to_agent.send(enter).await.unwrap();
    rig.until("end of the command", |r| r.over.contains_key(&8)).await;
    let text = String::from_utf8(all(&rig, 8, Channel::Stdout)).unwrap();
    assert!(text.contains("33 99"), "{text}");

    let answer = rig.ask(9, exec("true", false)).await;
    assert!(matches!(answer, Ok(Answer::Started)), "{answer:?}");
    let gone = Question::Exec {
        instance: InstanceId::from("nobody"),
        container: String::new(),
        command: Command::Shell("true".into()),
        tty: false,
        stdin: false,
    };
    assert!(matches!(rig.ask(10, gone).await, Err(AskError::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_away_is_waited_for() {
    image().await;
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let path = dir.path().join("engine.sock");
    let cluster = format!("it-{}", Rng::from_os().hex(12));
    let mut rig = Rig::on(dir, cluster, path.to_string_lossy().into_owned()).await;
    let first = plain("first", "while [ ! -e go ]; do sleep 0.1; done; exit 9");
    rig.desire(vec![first.clone()]).await;
    rig.until("the reason of the wait", |r| {
        r.last("first", 1).is_some_and(|r| r.message.contains("container engine"))
    })
    .await;
    assert_eq!(rig.last("first", 1).unwrap().condition, Condition::Staging);
    let way = Way::open(path.clone());
    rig.until_condition("first", 1, Condition::Running).await;
    way.cut().await;
    let second = plain("second", "sleep 1000");
    rig.desire(vec![first.clone(), second.clone()]).await;
    let sandbox = rig.dir.path().join("agent/sandboxes/it_app/first/1");
    std::fs::write(sandbox.join("go"), "").unwrap();
    rig.until("the reason of the wait", |r| {
        r.last("second", 1).is_some_and(|r| r.message.contains("waiting"))
    })
    .await;
    assert_eq!(rig.last("first", 1).unwrap().condition, Condition::Running);
    let _way = Way::open(path);
    rig.until_condition("second", 1, Condition::Running).await;
    let report = rig.until_condition("first", 1, Condition::Failed).await;
    assert_eq!(report.message, "Command exited with status 9");
    assert_eq!(rig.containers().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_set_in_parts_ends_nothing_before_its_last_part() {
    let mut rig = Rig::new().await;
    let (one, two) = (plain("one", "sleep 1000"), plain("two", "sleep 1000"));
    rig.desire(vec![one.clone(), two.clone()]).await;
    rig.until_condition("one", 1, Condition::Running).await;
    rig.until_condition("two", 1, Condition::Running).await;
    let part = |first, orders| ToAgent::DesiredPart {
        first,
        orders: Desired { full: false, orders, forget: Vec::new() },
    };
    // The beginning of a set that never ended, then a whole one in two parts.
    rig.ends.to_agent.send(part(true, vec![one.clone()])).await.unwrap();
    rig.ends.to_agent.send(part(true, vec![one])).await.unwrap();
    for _ in 0..4 {
        rig.hear().await;
    }
    let running =
        |rig: &Rig, id| rig.last(id, 1).is_some_and(|r| r.condition == Condition::Running);
    assert!(running(&rig, "one") && running(&rig, "two"), "nothing follows from a part");
    rig.desire(vec![two]).await;
    for _ in 0..4 {
        rig.hear().await;
    }
    assert!(running(&rig, "one") && running(&rig, "two"), "both are named by the parts");
    rig.desire(vec![]).await;
    rig.until("the end of both", |r| !running(r, "one") && !running(r, "two")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_sends_no_more_than_its_reader_has_room_for() {
    let mut rig = Rig::new().await;
    rig.desire(vec![plain("s", "sleep 1000")]).await;
    rig.until_condition("s", 1, Condition::Running).await;
    let exec = Question::Exec {
        instance: InstanceId::from("s"),
        container: String::new(),
        command: Command::Shell("while :; do echo yes; done".into()),
        tty: false,
        stdin: false,
    };
    assert!(matches!(rig.ask(7, exec).await, Ok(Answer::Started)));
    let n_pieces = |rig: &Rig| rig.data.get(&7).map_or(0, Vec::len);
    let window = SESSION_WINDOW as usize;
    rig.until("a window of output", |r| n_pieces(r) >= window).await;
    for _ in 0..4 {
        rig.hear().await;
    }
    assert_eq!(n_pieces(&rig), window, "it waits for its reader");
    rig.ends.to_agent.send(ToAgent::Credit { id: 7, n: 3 }).await.unwrap();
    rig.until("three more", |r| n_pieces(r) >= window + 3).await;
    for _ in 0..4 {
        rig.hear().await;
    }
    assert_eq!(n_pieces(&rig), window + 3);
}
