//! Volumes on a real engine: what one launch leaves, the next finds; nothing else touches it.

use tepui::model::{
    InstanceId, VolumeId,
    container::{ContainerSpec, DiskKind, PersistentVolume, Volume, VolumeSource},
    instance::Condition,
    link::{Mounted, Order, ToAgent, Volumes},
    workload::NetworkMode,
};

use crate::agent::rig::{Rig, image_container, order, plain_container, spec};

fn with_data(mut container: ContainerSpec) -> ContainerSpec {
    container.volumes = vec![Volume {
        container_path: "data".into(),
        read_only: false,
        source: VolumeSource::Persistent(PersistentVolume {
            kind: DiskKind::Root,
            size_mb: 10,
            size_mb_max: None,
            profile: None,
            constraints: Vec::new(),
        }),
    }];
    container
}

/// Launch number `n` of an instance whose command reads and adds to what it keeps.
fn launch(id: &str, container: ContainerSpec, n: u32) -> Order {
    let order = order(id, spec(with_data(container), NetworkMode::Host), vec![]);
    let of = VolumeId::from(format!("it_app#data#{id}"));
    let volumes = vec![Mounted { id: of, path: "data".into(), epoch: n }];
    Order { incarnation: n, volumes, ..order }
}

async fn tell(rig: &Rig, kept: &[&str], wipe: &[&str]) {
    let ids = |all: &[&str]| all.iter().map(|id| InstanceId::from(*id)).collect();
    let volumes = Volumes { kept: ids(kept), wipe: ids(wipe) };
    rig.ends.to_agent.send(ToAgent::Volumes(volumes)).await.unwrap();
}

const ADD: &str = "cat data/n; echo once more >> data/n";

#[tokio::test(flavor = "multi_thread")]
async fn data_outlive_launches_and_the_agent_and_an_older_launch_is_refused() {
    let mut rig = Rig::new().await;
    rig.desire(vec![launch("keep", plain_container(ADD), 1)]).await;
    rig.until_condition("keep", 1, Condition::Finished).await;
    let mut rig = rig.restarted(async |_| ()).await;
    rig.desire(vec![launch("keep", plain_container(ADD), 5)]).await;
    rig.until_condition("keep", 5, Condition::Finished).await;
    assert_eq!(rig.read("keep", "stdout").await, "once more\n");
    // The same instance as an image; and an order that is older than what was let in.
    let inside = "cat $MESOS_SANDBOX/data/n; exit 3";
    rig.desire(vec![launch("keep", image_container(inside), 6)]).await;
    rig.until_condition("keep", 6, Condition::Failed).await;
    assert_eq!(rig.read("keep", "stdout").await, "once more\nonce more\n");
    let stale = Order { incarnation: 7, ..launch("keep", plain_container(ADD), 2) };
    rig.desire(vec![stale]).await;
    let report = rig.until_condition("keep", 7, Condition::Failed).await;
    assert!(report.message.contains("launch 6 of this instance"), "{}", report.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_are_wiped_on_the_leader_s_word_and_not_before_their_task_has_ended() {
    let mut rig = Rig::new().await;
    let stays = "echo x > data/n; sleep 300";
    rig.desire(vec![launch("a", plain_container(stays), 1), launch("b", plain_container(ADD), 1)])
        .await;
    rig.until_condition("a", 1, Condition::Running).await;
    rig.until_condition("b", 1, Condition::Finished).await;
    let volumes = rig.dir.path().join("agent/volumes");
    // `a` is wanted by its order still, whatever is said of its data.
    tell(&rig, &["b"], &["a", "gone"]).await;
    rig.until("the word that nothing is left of one that never was", |rig| !rig.wiped.is_empty())
        .await;
    assert_eq!(rig.wiped, [InstanceId::from("gone")]);
    assert!(volumes.join("a/data/n").exists());
    rig.desire(Vec::new()).await;
    rig.until("the word that it is wiped", |rig| rig.wiped.len() == 2).await;
    assert_eq!(rig.wiped[1], InstanceId::from("a"));
    assert!(!volumes.join("a").exists() && !volumes.join("a.owner").exists());
    assert!(volumes.join("b/data/n").exists() && volumes.join("b.owner").exists());
}
