//! The headline: what is wrong in the cluster, in one sentence, or that nothing is.

use std::collections::BTreeMap;

use super::{
    node,
    state::{Standing, Verdict},
};
use crate::{
    api::view::{View, tally::Tally},
    base::units::count,
    model::{AppId, Node},
};

/// Troubles that are told one by one; the rest are counted.
const TOLD_MAX: usize = 3;

/// What needs attention, by what it is.
#[derive(Debug, Clone, Default)]
pub struct Troubles<'a> {
    pub nodes: Vec<(&'a Node, Standing)>,
    pub apps: BTreeMap<Standing, Vec<&'a AppId>>,
}

impl<'a> Troubles<'a> {
    /// Those of the nodes of `view` and of apps that are known to need attention.
    pub fn of(view: &View<'a>, apps: &'a BTreeMap<AppId, Standing>) -> Self {
        let nodes = view.state.nodes.values().filter_map(|known| {
            let state = node::standing(view, known);
            state.needs_attention().then_some((&**known, state))
        });
        let mut troubles = Self { nodes: nodes.collect(), apps: BTreeMap::new() };
        for (app, standing) in apps {
            troubles.apps.entry(*standing).or_default().push(app);
        }
        troubles
    }

    /// What is wrong, worst first. Apps that stand still for want of an engine are told by its node.
    fn parts(&self) -> Vec<(Standing, String)> {
        let mut parts = Vec::new();
        for state in [Standing::EngineDown, Standing::Unreachable] {
            let mut nodes = self.nodes.iter().filter(|(_, s)| *s == state).map(|(node, _)| node);
            let Some(first) = nodes.next() else { continue };
            let (n, host) = (1 + nodes.count(), &first.info.hostname);
            parts.push((
                state,
                match (state, n) {
                    (Standing::EngineDown, 1) => format!("node {host} cannot run containers"),
                    (Standing::EngineDown, _) => format!("{n} nodes cannot run containers"),
                    (_, 1) => format!("nobody hears from node {host}"),
                    (_, _) => format!("nobody hears from {n} nodes"),
                },
            ));
        }
        let has_node = |state: Standing| parts.iter().any(|(known, _)| *known == state);
        let apps = self.apps.iter().filter(|(state, _)| !has_node(**state));
        let apps: Vec<_> = apps.map(|(state, ids)| (*state, app_words(*state, ids))).collect();
        parts.extend(apps);
        parts.sort_by_key(|(state, _)| *state);
        parts
    }
}

/// The verdict about the whole.
pub fn headline(view: &View<'_>, troubles: &Troubles<'_>, tally: &Tally) -> Verdict {
    let mut parts = troubles.parts();
    if view.cluster.leader().is_none() {
        parts.insert(0, (Standing::Unreachable, "no master leads".to_owned()));
    }
    let state = view.state;
    if !state.nodes.is_empty() && !state.nodes.values().any(|node| node.takes_work()) {
        parts.push((Standing::Degraded, "no node takes work".to_owned()));
    }
    let Some((worst, _)) = parts.first() else { return well(view, tally) };
    let worst = parts.iter().map(|(state, _)| *state).min().unwrap_or(*worst);
    let n_more = parts.len().saturating_sub(TOLD_MAX);
    let told: Vec<&str> = parts.iter().take(TOLD_MAX).map(|(_, text)| text.as_str()).collect();
    let mut sentence = told.join(", ");
    if n_more > 0 {
        sentence.push_str(&format!(", and {}", count(n_more, "more trouble")));
    }
    let mut apps = troubles.apps.values().flatten();
    let verdict = Verdict::of(worst, sentence, None);
    match (troubles.nodes.is_empty(), apps.next(), apps.next()) {
        (true, Some(only), None) => verdict.next(format!("tepui why {only}")),
        _ => verdict,
    }
}

fn well(view: &View<'_>, tally: &Tally) -> Verdict {
    let state = view.state;
    let mut moves = Vec::new();
    if !state.deployments.is_empty() {
        moves.push(format!("{} under way", count(state.deployments.len(), "deployment")));
    }
    if tally.stopping > 0 {
        let n = usize::try_from(tally.stopping).unwrap_or_default();
        moves.push(format!("{} stopping", count(n, "instance")));
    }
    if !moves.is_empty() {
        let sentence = format!("nothing is wrong: {}", moves.join(", "));
        return Verdict::of(Standing::Deploying, sentence, None);
    }
    if state.apps.is_empty() {
        return Verdict::of(Standing::Active, "the cluster is ready", None)
            .next("tepui app deploy FILE runs a first service");
    }
    Verdict::of(Standing::Running, "everything runs as wanted", None)
}

/// What is said of apps that stand like this.
fn app_words(state: Standing, ids: &[&AppId]) -> String {
    use Standing as S;
    let (one, many) = match state {
        S::EngineDown => ("cannot go on without a container engine", "cannot go on"),
        S::Unhealthy => ("fails its health check", "fail their health check"),
        S::CrashLooping => ("ends again and again", "end again and again"),
        S::CannotStart => ("cannot be started", "cannot be started"),
        S::Stuck => ("is stuck in its deployment", "are stuck in their deployment"),
        S::Delayed => ("ended and is held back", "ended and are held back"),
        S::Waiting => ("has no place to run", "have no place to run"),
        S::Degraded => ("runs with less than is wanted", "run with less than is wanted"),
        _ => ("needs attention", "need attention"),
    };
    match ids {
        [only] => format!("{only} {one}"),
        several => format!("{} {many}", count(several.len(), "service")),
    }
}
