//! The cluster's level, its masters, and the tokens of nodes by the command line.

use expect_test::expect;
use tepui::{
    base::{clock::Timestamp, level::LEVEL},
    core::{AdmissionCommand, ClusterCommand, Command},
    model::{
        credential::Invited,
        master::{Addresses, Master},
    },
};

use super::Site;
use crate::world::World;

fn master(id: u64, level: u32) -> Command {
    let addresses = Addresses {
        router: format!("10.0.0.{id}:443"),
        peers: format!("10.0.0.{id}:5070"),
        ..Addresses::default()
    };
    let master = Master::new(id, &format!("0.0.{level}"), level, addresses);
    ClusterCommand::RegisterMaster(Box::new(master)).into()
}

#[tokio::test]
async fn the_level_is_shown_with_what_holds_it_back_and_raised_after_a_yes() {
    let world = World::empty_at(LEVEL - 1);
    world.must(master(1, LEVEL));
    world.must(master(2, LEVEL - 1));
    let site = Site::of(world);
    site.check(
        "cluster show",
        expect![[r#"
            level 5 of 6: older releases have to be upgraded, or removed, first
            held back by master 2 (tepui 0.0.5)

            MASTER  RELEASE  LEVEL  FRONT DOOR    PEERS
            1       0.0.6    6      10.0.0.1:443  10.0.0.1:5070
            2       0.0.5    5      10.0.0.2:443  10.0.0.2:5070
            exit 0
        "#]],
    )
    .await;
    site.check(
        "cluster raise",
        expect![[r#"
            ! error: From then on no older release works with this cluster, on no node. Not without a yes.
            ! hint: repeat with --yes
            exit 2
        "#]],
    )
    .await;
    site.check(
        "cluster raise --yes",
        expect![[r#"
            ! error: level 6 is held back by master 2 (tepui 0.0.5): upgrade them first
            exit 5
        "#]],
    )
    .await;
    site.world.must(master(2, LEVEL));
    site.check(
        "cluster raise --yes",
        expect![[r#"
            ! level 6, the highest this release knows
            exit 0
        "#]],
    )
    .await;
    site.check(
        "cluster show",
        expect![[r#"
            level 6, the highest this release knows

            MASTER  RELEASE  LEVEL  FRONT DOOR    PEERS
            1       0.0.6    6      10.0.0.1:443  10.0.0.1:5070
            2       0.0.6    6      10.0.0.2:443  10.0.0.2:5070
            exit 0
        "#]],
    )
    .await;
}

#[tokio::test]
async fn masters_are_listed_and_removed_after_a_yes() {
    let world = World::empty();
    world.must(master(1, LEVEL));
    world.must(master(2, LEVEL));
    let site = Site::of(world);
    site.check(
        "master list",
        expect![[r#"
            MASTER  PART     WANTED  BEHIND  HEARD    RELEASE  LEVEL  FRONT DOOR    PEERS
            1       leads    -       0       0 s ago  0.0.6    6      10.0.0.1:443  10.0.0.1:5070
            2       outside  -       -       -        0.0.6    6      10.0.0.2:443  10.0.0.2:5070
            exit 0
        "#]],
    )
    .await;
    site.check(
        "master demote 2",
        expect![[r#"
        ! master 2 follows as soon as another can decide in its place
        exit 0
    "#]],
    )
    .await;
    site.check(
        "master demote 1",
        expect![[r#"
        ! error: master: 1 is the only one that is to decide
        exit 2
    "#]],
    )
    .await;
    site.check(
        "master promote 10.0.0.2:5070",
        expect![[r#"
        ! master 2 may decide again; it does once there is room for it
        exit 0
    "#]],
    )
    .await;
    site.check(
        "master remove 3",
        expect![[r#"
            ! error: there is no master "3"
            ! hint: tepui master list shows the masters there are
            exit 2
        "#]],
    )
    .await;
    site.check(
        "master remove 10.0.0.2:5070",
        expect![[r#"
            ! error: Remove master 2 (10.0.0.2:5070)? It can only come back by joining anew. Not without a yes.
            ! hint: repeat with --yes
            exit 2
        "#]],
    )
    .await;
    site.check(
        "master remove 2 --yes",
        expect![[r#"
            ! master 2 is removed; its disk still holds the key of the cluster's authority: wipe it
            exit 0
        "#]],
    )
    .await;
    site.check(
        "master remove 1 --yes",
        expect![[r#"
            ! error: master: 1 is the only one
            exit 2
        "#]],
    )
    .await;
}

#[tokio::test]
async fn tokens_that_wait_for_a_node_are_listed_and_taken_back() {
    let world = World::empty();
    let until = Timestamp::from_ms(1_800_003_600_000);
    for (n, role) in [(0x11, Invited::Master), (0x22, Invited::Agent)] {
        world.must(AdmissionCommand::InviteFor { digest: [n; 32], until, role });
    }
    let site = Site::of(world);
    site.check(
        "token list",
        expect![[r#"
            ID                FOR     GOOD UNTIL
            1111111111111111  master  2027-01-15T09:00:00.000Z
            2222222222222222  agent   2027-01-15T09:00:00.000Z
            exit 0
        "#]],
    )
    .await;
    site.check(
        "token revoke --join 1111111111111111",
        expect![[r#"
            ! nobody can join with it any more
            exit 0
        "#]],
    )
    .await;
    site.check(
        "token list",
        expect![[r#"
            ID                FOR    GOOD UNTIL
            2222222222222222  agent  2027-01-15T09:00:00.000Z
            exit 0
        "#]],
    )
    .await;
}
