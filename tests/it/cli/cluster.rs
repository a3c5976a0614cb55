//! The cluster's level by the command line: what it is, what holds it back, raising it.

use expect_test::expect;
use tepui::{
    base::level::LEVEL,
    core::{ClusterCommand, Command},
    model::master::{Addresses, Master},
};

use super::Site;
use crate::world::World;

fn master(id: u64, level: u32) -> Command {
    ClusterCommand::RegisterMaster(Box::new(Master {
        id,
        release: format!("0.0.{level}"),
        level,
        addresses: Addresses {
            router: format!("10.0.0.{id}:443"),
            peers: format!("10.0.0.{id}:5070"),
            ..Addresses::default()
        },
    }))
    .into()
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
            level 2 of 3: older releases have to be upgraded, or removed, first
            held back by master 2 (tepui 0.0.2)

            MASTER  RELEASE  LEVEL  FRONT DOOR    PEERS
            1       0.0.3    3      10.0.0.1:443  10.0.0.1:5070
            2       0.0.2    2      10.0.0.2:443  10.0.0.2:5070
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
        ! error: level 3 is held back by master 2 (tepui 0.0.2): upgrade them first
        exit 5
    "#]],
    )
    .await;
    site.world.must(master(2, LEVEL));
    site.check(
        "cluster raise --yes",
        expect![[r#"
        ! level 3, the highest this release knows
        exit 0
    "#]],
    )
    .await;
    site.check(
        "cluster show",
        expect![[r#"
        level 3, the highest this release knows

        MASTER  RELEASE  LEVEL  FRONT DOOR    PEERS
        1       0.0.3    3      10.0.0.1:443  10.0.0.1:5070
        2       0.0.3    3      10.0.0.2:443  10.0.0.2:5070
        exit 0
    "#]],
    )
    .await;
}
