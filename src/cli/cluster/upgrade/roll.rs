//! One wave after the other: each node is started with the program, and has to be as well as before.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    super::{
        crew::{self, Reached},
        host::Open,
        install::failed,
        ssh::Trouble,
        wanted::Host,
    },
    Run,
    look::Looking,
    plan::{self, Tasks, Version},
    seen::{self, Node, Seen},
};
use crate::{
    cli::{
        error::Outcome,
        text::{field, list},
    },
    node::config::NodeRole,
};

/// Between two questions whether a node is well.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long a wave may wait until the cluster is whole again after the one before.
const CALM: Duration = Duration::from_secs(60);

/// What was there of a node before it was started anew.
struct Before {
    host: Host,
    node: Option<Node>,
    containers: Vec<(String, String)>,
    at: Instant,
}

/// Upgrades all that is left.
pub async fn out(
    run: &Run<'_>,
    reached: &Reached<'_>,
    looking: &mut Looking<'_, '_>,
    mut left: Vec<Host>,
    version: &Version,
) -> Outcome {
    let n_all = left.len();
    while !left.is_empty() {
        let (seen, leader) = calm(looking).await.map_err(crate::cli::error::CliError::failure)?;
        let Some(wave) = plan::next(&left, Some(leader), run.asked.batch) else { break };
        let n_done = n_all - left.len();
        run.board.step(&format!("{} ({n_done} of {n_all} done)", wave.what.words()));
        let mut before = Vec::new();
        for host in &wave.hosts {
            before
                .push(look_before(&reached[host], &seen).await.map_err(|t| super::on(*host, &t))?);
        }
        let one = async |host: Host| {
            run.board.begin(host, "starting it with the new program");
            reached[&host].install(None).await
        };
        // A node that does not come up goes back by itself.
        let done = crew::each(&wave.hosts, wave.hosts.len(), one).await;
        let mut bad = done.bad;
        for (host, ()) in done.good {
            let Some(before) = before.iter().find(|before| before.host == host) else { continue };
            run.board.now(host, "waiting until the cluster has it again");
            let waited = well(run, &reached[&host], looking, (&seen, before), version).await;
            let ended = match waited {
                Ok(()) => run.done(host),
                Err(why) => Err(taken_back(run, &reached[&host], why).await),
            };
            match ended {
                Ok(()) => {
                    run.board.done(host, version.words());
                    left.retain(|other| *other != host);
                }
                Err(trouble) => bad.push((host, trouble)),
            }
        }
        for (host, trouble) in &bad {
            run.board.failed(*host, trouble.to_string());
        }
        if !bad.is_empty() {
            let n_left = left.len();
            let rest = format!("the roll-out has stopped with {n_left} of {n_all} nodes left");
            return Err(failed(&bad, wave.hosts.len(), &rest));
        }
    }
    Ok(())
}

/// The cluster, once a master leads it.
async fn calm(looking: &mut Looking<'_, '_>) -> Result<(Seen, Host), String> {
    let began = Instant::now();
    loop {
        match looking.whole(None).await {
            Ok(found) => return Ok(found),
            Err(why) if began.elapsed() > CALM => return Err(why),
            Err(_) => sleep(LOOK_EVERY).await,
        }
    }
}

async fn look_before(open: &Open<'_>, seen: &Seen) -> Result<Before, Trouble> {
    let is_agent = open.host.role != NodeRole::Master;
    let containers = if is_agent { open.containers().await? } else { Vec::new() };
    let node = seen.node(open.host, open.facts.node.as_deref()).filter(|_| is_agent).cloned();
    Ok(Before { host: open.host, node, containers, at: Instant::now() })
}

/// Waits until the cluster has the node again with all it had; else why it has not.
async fn well(
    run: &Run<'_>,
    open: &Open<'_>,
    looking: &mut Looking<'_, '_>,
    (seen, before): (&Seen, &Before),
    version: &Version,
) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let lacks = match looking.whole(Some(open.host)).await {
            Err(why) => Some(why),
            Ok((now, leader)) => match &before.node {
                None => plan::master_lacks(seen, &now, open.host, version),
                Some(node) => {
                    let row = now.nodes.iter().find(|row| row.id == node.id);
                    match plan::agent_lacks(node, row, version) {
                        None => tasks_lack(open, looking.open(leader), node, before).await?,
                        lacks => lacks,
                    }
                }
            },
        };
        match lacks {
            None => return Ok(()),
            Some(why) if began.elapsed() > run.wanted.deadline => {
                let s = run.wanted.deadline.as_secs();
                return Err(format!("not well within {s} s (process_timeout): {why}"));
            }
            Some(why) => {
                run.board.now(open.host, why);
                sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// What of the node's tasks is not as before.
async fn tasks_lack(
    open: &Open<'_>,
    leader: Option<&Open<'_>>,
    node: &Node,
    before: &Before,
) -> Result<Option<String>, String> {
    let Some(leader) = leader else { return Ok(Some("no master leads".to_owned())) };
    let asked = async {
        let containers = open.containers().await?;
        let told = leader.ask(&format!("node show {}", node.id)).await?;
        let seconds = before.at.elapsed().as_secs() + 1;
        let history = format!("history {} --since {seconds}s --kind attempt --lines 1000", node.id);
        let history = leader.ask(&history).await?;
        Ok::<_, Trouble>((containers, told, history))
    };
    // One that cannot be asked just now is asked again.
    let (containers, told, history) = match asked.await {
        Ok(answers) => answers,
        Err(trouble) => return Ok(Some(trouble.to_string())),
    };
    let tasks = Tasks {
        before: before.containers.clone(),
        containers,
        running: seen::running(&told),
        ended: ended(&history),
    };
    plan::tasks_lack(&tasks)
}

/// Instances whose end had a cause of its own: what was wanted, or its own exit. One that a signal ended
/// without anybody's word, or that was given up with its node, is not among them.
fn ended(history: &Value) -> Vec<String> {
    const BY_SIGNAL: [i64; 2] = [137, 143];
    let own = |record: &&Value| {
        let code = record["attempt"]["exit_code"].as_i64();
        record["bad"] == false || code.is_some_and(|code| !BY_SIGNAL.contains(&code))
    };
    let records = list(history, "records").filter(own);
    records.map(|record| field(record, "instance_id").to_owned()).collect()
}

/// Goes back to the program before, and says how that went.
async fn taken_back(run: &Run<'_>, open: &Open<'_>, why: String) -> Trouble {
    run.board.now(open.host, "going back to the program before");
    Trouble::Failed(match open.back().await {
        Ok(()) => vec![why, "it runs the program before it again".to_owned()],
        Err(trouble) => vec![why, format!("going back failed too: {trouble}")],
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_end_is_excused_by_a_word_or_an_exit_of_its_own() {
        let record = |id: &str, bad: bool, code: Option<i64>| json!({"instance_id": id, "bad": bad, "attempt": {"exit_code": code}});
        let history = json!({"records": [
            record("scaled-down", false, Some(143)), record("crashed", true, Some(1)),
            record("killed", true, Some(137)), record("given-up", true, None),
            record("finished", false, Some(0)),
        ]});
        assert_eq!(ended(&history), ["scaled-down", "crashed", "finished"]);
    }
}
