//! Masters that do not hear each other.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tepui::node::config::NodeRole as Role;

use crate::{
    Tally,
    cluster::{Cluster, PATIENCE, took},
    host::within,
    in_time, net,
};

/// How long a cut lasts.
const CUT: Duration = Duration::from_secs(10);

/// The leader is cut off from the other masters: it refuses changes, says how old what it tells is, and
/// comes back by itself.
pub fn minority(cluster: &mut Cluster, tally: &mut Tally) -> Result<()> {
    cluster.deploy(0, &Cluster::app("/split/before", 1, &json!({})))?;
    let masters = cluster.of(Role::Master);
    let leader = cluster.leader(masters[0])?;
    let others: Vec<usize> = masters.iter().copied().filter(|at| *at != leader).collect();
    let term = cluster.masters(leader)?.term;
    for other in &others {
        net::cut(&cluster.hosts[leader], &cluster.hosts[*other])?;
    }
    println!("{}", net::table(&cluster.hosts)?);
    in_time(
        tally,
        "the others have a leader after",
        Duration::from_secs(2),
        took(PATIENCE, || cluster.new_leader(leader).map(drop)),
    );
    let app = Cluster::app("/split/after", 1, &json!({}));
    tally.check("they take changes", cluster.deploy(others[0], &app));
    let asked_at = Instant::now();
    let refused = cluster.put(leader, &Cluster::app("/split/refused", 1, &json!({})))?;
    in_time(
        tally,
        "the one that is alone refuses after",
        Duration::from_secs(5),
        Ok(asked_at.elapsed()),
    );
    println!("    it says: {} {}", refused.status, refused.text());
    tally.check("with 503", {
        (refused.status == 503).then_some(()).context(format!("{}", refused.status))
    });
    let read = cluster.send(leader, "GET", "/service/marathon/v2/apps/split/before", None)?;
    tally.check("it still tells what it knows", {
        (read.status == 200).then_some(()).context(format!("{}", read.status))
    });
    tally.check("and says that this is old", {
        read.header("warning").map(drop).context("no warning")
    });
    for (name, path) in [("nodes", "/tepui/v1/nodes"), ("Mesos' state", "/mesos/state")] {
        let read = cluster.send(leader, "GET", path, None)?;
        let said = read.status == 200 && read.header("warning").is_some();
        tally.check(&format!("{name} too"), said.then_some(()).context("not so"));
    }
    thread::sleep(CUT);
    net::heal(&cluster.hosts);
    in_time(
        tally,
        "it knows what the others did after",
        Duration::from_secs(2),
        took(PATIENCE, || {
            let apps = cluster.app_ids(leader)?;
            ensure!(apps.contains("/split/after") && !apps.contains("/split/refused"), "{apps:?}");
            Ok(())
        }),
    );
    thread::sleep(Duration::from_secs(3));
    let terms = cluster.masters(leader)?.term - term;
    println!("    {terms} elections");
    tally.check("its return costs no election", {
        (terms == 1).then_some(()).context(format!("{terms} elections"))
    });
    Ok(())
}

/// Each pair of masters is cut one way only, both ways round.
pub fn one_way(cluster: &mut Cluster, tally: &mut Tally) -> Result<()> {
    for is_leader_deaf in [false, true] {
        let masters = cluster.of(Role::Master);
        let leader = within(PATIENCE, || cluster.leader(masters[0]))?;
        let other = *masters.iter().find(|at| **at != leader).context("another")?;
        let third =
            *masters.iter().find(|at| **at != leader && **at != other).context("a third")?;
        let term = cluster.masters(third)?.term;
        let (ear, mouth) = if is_leader_deaf { (leader, other) } else { (other, leader) };
        let what = if is_leader_deaf {
            "the leader does not hear one"
        } else {
            "one does not hear the leader"
        };
        net::deafen(&cluster.hosts[ear], &cluster.hosts[mouth])?;
        ensure!(!net::hears(&cluster.hosts[ear], &cluster.hosts[mouth])?, "it hears it");
        ensure!(net::hears(&cluster.hosts[mouth], &cluster.hosts[ear])?, "cut both ways");
        let (mut n, mut slowest) = (0, Duration::ZERO);
        let began = Instant::now();
        while began.elapsed() < CUT {
            let app = Cluster::app(&format!("/oneway/a{n}"), 0, &json!({}));
            let asked_at = Instant::now();
            within(PATIENCE, || {
                let answer = cluster.put(third, &app)?;
                ensure!(answer.status < 300, "{}", answer.status);
                Ok(())
            })?;
            slowest = slowest.max(asked_at.elapsed());
            n += 1;
        }
        println!("    {what}: {n} changes by the third");
        in_time(
            tally,
            &format!("{what}: the slowest change took"),
            Duration::from_secs(2),
            Ok(slowest),
        );
        net::heal(&cluster.hosts);
        within(PATIENCE, || cluster.whole())?;
        thread::sleep(Duration::from_secs(3));
        let terms = cluster.masters(third)?.term - term;
        println!("    {terms} elections");
        tally.check(&format!("{what}: at most one election"), {
            (terms <= 1).then_some(()).context(format!("{terms} elections"))
        });
    }
    Ok(())
}

/// The link of a follower comes and goes.
pub fn flapping(cluster: &mut Cluster, tally: &mut Tally) -> Result<()> {
    let masters = cluster.of(Role::Master);
    let leader = cluster.leader(masters[0])?;
    let flaps = *masters.iter().find(|at| **at != leader).context("another")?;
    let term = cluster.masters(leader)?.term;
    for n in 0..12_u64 {
        for other in masters.iter().filter(|at| **at != flaps) {
            net::cut(&cluster.hosts[flaps], &cluster.hosts[*other])?;
        }
        thread::sleep(Duration::from_millis(300 + n * 150));
        net::heal(&cluster.hosts);
        thread::sleep(Duration::from_millis(300 + n % 3 * 400));
    }
    within(PATIENCE, || cluster.whole())?;
    thread::sleep(Duration::from_secs(3));
    let now = cluster.masters(leader)?;
    println!("    {} elections", now.term - term);
    tally.check("at most one election in twelve cuts", {
        (now.term - term <= 1).then_some(()).context(format!("{} elections", now.term - term))
    });
    // A fifth of all packets to every master is lost for a while.
    for at in &masters {
        net::lose(&cluster.hosts[*at], 20)?;
    }
    let (began, mut n) = (Instant::now(), 0);
    while began.elapsed() < CUT {
        let answer = cluster.put(leader, &Cluster::app(&format!("/lossy/a{n}"), 0, &json!({})));
        n += u32::from(answer.is_ok_and(|answer| answer.status < 300));
    }
    net::heal(&cluster.hosts);
    println!("    {n} changes in {CUT:?} with a fifth of the packets lost");
    tally.check("changes are taken while packets are lost", (n > 0).then_some(()).context("none"));
    Ok(())
}
