//! `tepui master recover`: asks no cluster, as there is none.

use std::path::Path;

use serde_json::json;

use super::{
    error::{CliError, Outcome},
    io::Io,
    output::Printer,
    run::agree,
    text::{age, count},
};
use crate::node::recover::{Left, answering, look, make_sole};

pub async fn run(
    data_dir: &Path,
    only_look: bool,
    yes: bool,
    mut io: Io,
    printer: &mut Printer,
) -> Outcome {
    let failed = |error: anyhow::Error| CliError::failure(format!("{error:#}"));
    if only_look || !yes {
        let left = look(data_dir).await.map_err(failed)?;
        tell(&left, &answering(&left).await, &io, printer)?;
        if only_look {
            return Ok(());
        }
        let others = count(left.others.len(), "other master");
        let question = format!(
            "Have master {} go on alone with this, and give up the {others} for good?",
            left.me
        );
        agree(&mut io, printer, &question)?;
    }
    let left = make_sole(data_dir).await.map_err(failed)?;
    if printer.json {
        return Ok(printer.value(&as_json(&left, &[]))?);
    }
    Ok(printer.note(&format!(
        "master {} is the only one now: start it, and join others anew with tepui node invite --role \
         master; the data directories of those that were given up must be deleted before",
        left.me
    ))?)
}

fn as_json(left: &Left, answering: &[u64]) -> serde_json::Value {
    let others = left.others.iter().map(|(id, address)| {
        json!({ "id": id, "peers": address, "decides": left.voters.contains(id),
            "answers": answering.contains(id) })
    });
    json!({
        "cluster": left.cluster,
        "name": left.name,
        "id": left.me,
        "decides": left.voters.contains(&left.me),
        "term": left.term,
        "entry": left.index,
        "changed_at": left.changed_at.to_string(),
        "apps": left.n_apps,
        "nodes": left.n_nodes,
        "others": others.collect::<Vec<_>>(),
    })
}

fn tell(left: &Left, answering: &[u64], io: &Io, printer: &mut Printer) -> Outcome {
    if printer.json {
        return Ok(printer.value(&as_json(left, answering))?);
    }
    let (changed, now) = (left.changed_at.to_string(), io.clock.now());
    let part = |id: &u64| if left.voters.contains(id) { "decides" } else { "follows" };
    let lines = [
        format!("cluster    {} ({})", left.name, left.cluster),
        format!("master     {}, which {}", left.me, part(&left.me)),
        format!("entry      {} of term {}", left.index, left.term),
        format!("changed    {changed}, {} ago", age(&changed, now)),
        format!("holds      {}, {}", count(left.n_apps, "app"), count(left.n_nodes, "node")),
    ];
    for line in lines {
        printer.line(&line)?;
    }
    for (id, address) in &left.others {
        let answers = if answering.contains(id) { "answers" } else { "does not answer" };
        printer
            .line(&format!("other      master {id} at {address}, which {}: {answers}", part(id)))?;
    }
    Ok(())
}
