//! An agent cut from all masters: what it was told last goes on being answered.

use std::{sync::Arc, time::Duration};

use hickory_proto::rr::RecordType;
use tepui::{
    core::naming::{
        known::{Known, Received},
        told,
    },
    dns::follow,
    model::names::{Names, Realm},
};
use tokio::{sync::watch, time::sleep};

use super::{Running, addresses, loopback, over_udp, query};
use crate::world::World;

const HOUR: Duration = Duration::from_secs(3600);

fn realm() -> Realm {
    follow::single([10, 0, 0, 1].into(), 5050, 5051, 8080)
}

/// As the agent does it.
fn hear(received: &mut Received, tell: &watch::Sender<Option<Known>>, news: &[Arc<Names>]) {
    for part in news {
        if let Some(known) = received.take(part) {
            tell.send_replace(Some(known.clone()));
        }
    }
}

async fn answers(server: &Running, name: &str) -> Vec<String> {
    let mut found = addresses(&over_udp(server.address(), query(name, RecordType::A)).await);
    found.sort_unstable();
    found
}

#[tokio::test(start_paused = true)]
async fn names_and_addresses_answer_for_an_hour_and_are_true_again_afterwards() {
    let (world, server) = (World::new(), Running::start(&[loopback()], &[]));
    world.app("/shop/api", 3, |_| {});
    let (mut received, tell) = (Received::default(), watch::Sender::default());
    let here = [10, 0, 0, 9].into();
    follow::start_told(tell.subscribe(), None, here, server.handle.clone(), &server.tasks);
    hear(&mut received, &tell, &told::whole(&world.state(), &realm()));
    sleep(Duration::from_secs(1)).await;
    let names = ["api-shop.marathon.mesos.", "api-shop.marathon.agentip.dcos.thisdcos.directory."];
    let before = [answers(&server, names[0]).await, answers(&server, names[1]).await];
    assert!(before.iter().all(|found| !found.is_empty()), "{before:?}");
    assert_eq!(answers(&server, "thisnode.thisdcos.directory.").await, ["10.0.0.9"]);

    // The link is gone, and the app with it by what masters know; nobody tells the agent.
    world.put("/shop/api", None);
    world.settle();
    for _ in 0..60 {
        sleep(HOUR / 60).await;
        let now = [answers(&server, names[0]).await, answers(&server, names[1]).await];
        assert_eq!(now, before);
    }
    assert_eq!(answers(&server, "leader.mesos.").await, ["10.0.0.1"]);

    // A leader is there again and tells the whole set.
    hear(&mut received, &tell, &told::whole(&world.state(), &realm()));
    sleep(Duration::from_secs(1)).await;
    assert!(answers(&server, names[0]).await.is_empty());
    assert_eq!(answers(&server, "leader.mesos.").await, ["10.0.0.1"]);
    tokio::time::resume(); // its threads end in true time
    server.stop().await;
}
