//! How one node is doing.

use super::{
    state::{Standing, Verdict},
    words::engine_next,
};
use crate::{
    api::view::{View, lookup::engine_away},
    base::units::count,
    model::{
        Node,
        node::{Duty, Reach},
    },
};

/// The word of the verdict; costs much less than its sentences.
pub fn standing(view: &View<'_>, node: &Node) -> Standing {
    let needs_engine = !matches!(node.duty, Duty::Drained { .. } | Duty::Deactivated { .. });
    if !node.is_reachable() {
        return Standing::Unreachable;
    }
    if needs_engine && engine_away(view, node.id()).is_some() {
        return Standing::EngineDown;
    }
    match node.duty {
        Duty::Active => Standing::Active,
        Duty::Draining { .. } => Standing::Draining,
        Duty::Drained { .. } => Standing::Drained,
        Duty::Deactivated { .. } => Standing::Deactivated,
    }
}

/// The verdict about one node.
pub fn verdict(view: &View<'_>, node: &Node) -> Verdict {
    let (state, host) = (standing(view, node), &node.info.hostname);
    if let Reach::Unreachable { since } = node.reach {
        return Verdict::of(state, "nobody hears from it", since).next(format!(
            "see that {host} is up and reaches the masters, and on it: systemctl status tepui"
        ));
    }
    if let Some(away) = engine_away(view, node.id()).filter(|_| state == Standing::EngineDown) {
        let text = "cannot run containers: its container engine does not answer";
        let verdict = Verdict::of(state, text, away.since);
        return verdict.because(away.cause).next(engine_next(host));
    }
    match node.duty {
        Duty::Active => Verdict::of(state, "takes work", None),
        Duty::Draining { since, until } => {
            let left = view.state.index.by_node.get(node.id()).map_or(0, |here| here.len());
            let text = format!("moves its work elsewhere, {} left", count(left, "instance"));
            Verdict::of(state, text, since).next(format!(
                "it ends at {until}; tepui node undrain {host} takes work again at once"
            ))
        }
        Duty::Drained { since } => {
            Verdict::of(state, "is empty and takes no work", since).next(takes_work_again(host))
        }
        Duty::Deactivated { since } => {
            let left = view.state.index.by_node.get(node.id()).map_or(0, |here| here.len());
            if left == 0 {
                let verdict = Verdict::of(state, "takes no new work", since);
                return verdict.next(takes_work_again(host));
            }
            let stay = if left == 1 { "stays" } else { "stay" };
            let text = format!(
                "takes no new work: time for its drain was up before it was empty, {} {stay}",
                count(left, "instance")
            );
            Verdict::of(state, text, since).next(format!(
                "make room elsewhere and drain it again, or: {}",
                takes_work_again(host)
            ))
        }
    }
}

fn takes_work_again(host: &str) -> String {
    format!("tepui node undrain {host} takes work again")
}
