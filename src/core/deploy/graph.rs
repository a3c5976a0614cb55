//! Who waits for whom: dependencies between workloads.
//!
//! A dependency may name a group, and a group may have dependencies of its own; both stand for all
//! workloads below. Written out, a thousand workloads that wait for a thousand others are a million
//! edges, so a group is a node itself: one that its members' waiters go into, one that its members
//! wait at. Every walk here is a loop and takes time in proportion to what was written down: the
//! graph of the whole cluster is looked at on every change of a definition.

use std::collections::BTreeMap;

use crate::{
    core::state::State,
    model::path::{AppId, GroupId},
};

/// Something that waits or is waited for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Node<'a> {
    App(&'a AppId),
    /// All workloads below a group, to those that depend on it.
    Members(&'a GroupId),
    /// What a group depends on, to the workloads below it.
    Wants(&'a GroupId),
}

/// Dependencies between workloads. Nodes without any are not in it.
pub struct Graph<'a> {
    nodes: Vec<Node<'a>>,
    edges: Vec<Vec<usize>>,
    by_node: BTreeMap<Node<'a>, usize>,
}

/// How far a walk has come with a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    /// On the way that led to the present node.
    Open,
    Done,
}

impl<'a> Graph<'a> {
    /// The dependencies of all workloads and groups; ids that nothing has stand for nothing.
    pub fn of(state: &'a State) -> Self {
        let mut graph = Self { nodes: Vec::new(), edges: Vec::new(), by_node: BTreeMap::new() };
        for app in state.apps.values().filter(|a| !a.spec.dependencies.is_empty()) {
            let from = graph.node(Node::App(&app.id));
            graph.depend(state, from, &app.spec.dependencies);
        }
        for group in state.groups.values().filter(|g| !g.dependencies.is_empty()) {
            let wants = graph.node(Node::Wants(&group.id));
            graph.depend(state, wants, &group.dependencies);
            for (member, _) in state.apps.range(group.id.range_below()) {
                let member = graph.node(Node::App(member));
                graph.edges[member].push(wants);
            }
        }
        graph
    }

    /// Length of the longest chain of workloads that each one begins, counted from 1. The graph
    /// must have no cycle; one that has ends somewhere all the same.
    pub fn depths(&self) -> BTreeMap<&'a AppId, usize> {
        let mut depths = vec![0; self.nodes.len()];
        self.walk(|at| {
            let below = self.edges[at].iter().map(|&to| depths[to]).max().unwrap_or(0);
            depths[at] = below + usize::from(matches!(self.nodes[at], Node::App(_)));
        });
        let of_app = |(node, depth): (&Node<'a>, usize)| match node {
            Node::App(app) => Some((*app, depth)),
            Node::Members(_) | Node::Wants(_) => None,
        };
        self.nodes.iter().zip(depths).filter_map(of_app).collect()
    }

    /// The workloads of a dependency cycle, if there is one.
    pub fn cycle(&self) -> Option<Vec<AppId>> {
        let nodes = self.walk(|_| ())?;
        let of_app = |at: usize| match self.nodes[at] {
            Node::App(app) => Some(app.clone()),
            Node::Members(_) | Node::Wants(_) => None,
        };
        Some(nodes.into_iter().filter_map(of_app).collect())
    }

    fn node(&mut self, node: Node<'a>) -> usize {
        *self.by_node.entry(node).or_insert_with(|| {
            self.nodes.push(node);
            self.edges.push(Vec::new());
            self.nodes.len() - 1
        })
    }

    /// Edges from `from` to what `ids` stand for.
    fn depend(&mut self, state: &'a State, from: usize, ids: impl IntoIterator<Item = &'a AppId>) {
        for id in ids {
            if state.apps.contains_key(id) {
                let to = self.node(Node::App(id));
                self.edges[from].push(to);
                continue;
            }
            let is_new = !self.by_node.contains_key(&Node::Members(id));
            let to = self.node(Node::Members(id));
            self.edges[from].push(to);
            if is_new {
                for (member, _) in state.apps.range(id.range_below()) {
                    let member = self.node(Node::App(member));
                    self.edges[to].push(member);
                }
            }
        }
    }

    /// Goes everywhere once and tells each node after all it leads to. Tells the first cycle met.
    fn walk(&self, mut left: impl FnMut(usize)) -> Option<Vec<usize>> {
        let mut marks = vec![Mark::New; self.nodes.len()];
        let mut cycle = None;
        // In the order of ids, so that every master tells the same cycle.
        for &start in self.by_node.values() {
            if marks[start] != Mark::New {
                continue;
            }
            marks[start] = Mark::Open;
            let mut way = vec![(start, 0)];
            while let Some((at, next)) = way.last_mut() {
                let Some(&to) = self.edges[*at].get(*next) else {
                    marks[*at] = Mark::Done;
                    left(*at);
                    way.pop();
                    continue;
                };
                *next += 1;
                match marks[to] {
                    Mark::New => {
                        marks[to] = Mark::Open;
                        way.push((to, 0));
                    }
                    Mark::Open if cycle.is_none() => {
                        let from = way.iter().position(|(at, _)| *at == to).unwrap_or(0);
                        cycle = Some(way[from..].iter().map(|(at, _)| *at).collect());
                    }
                    Mark::Open | Mark::Done => {}
                }
            }
        }
        cycle
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        base::clock::Timestamp,
        core::state::{App, Group},
        model::{path::PathId, workload::WorkloadSpec},
    };

    fn state(apps: &[(&str, &[&str])], groups: &[(&str, &[&str])]) -> State {
        let mut state = State::default();
        for (id, on) in apps {
            let mut spec = WorkloadSpec::new(PathId::parse(id), Timestamp::EPOCH);
            spec.dependencies = on.iter().map(|id| PathId::parse(id)).collect();
            let app = App { id: spec.id.clone(), spec: Arc::new(spec), last_failure: None };
            state.apps.insert(app.id.clone(), Arc::new(app));
        }
        for (id, on) in groups {
            let id = PathId::parse(id);
            let dependencies = on.iter().map(|id| PathId::parse(id)).collect();
            let version = Timestamp::EPOCH;
            let group = Group { id: id.clone(), dependencies, enforce_role: false, version };
            state.groups.insert(id, Arc::new(group));
        }
        state
    }

    #[test]
    fn groups_stand_for_what_is_below() {
        let apps: &[(&str, &[&str])] = &[
            ("/db/a", &[]),
            ("/db/b", &["/db/a", "/nowhere"]),
            ("/web/x", &[]),
            ("/web/y", &["x", "/web/x"]),
            ("/zoo", &["/web"]),
        ];
        let state = state(apps, &[("/web", &["/db"])]);
        let graph = Graph::of(&state);
        assert_eq!(graph.cycle(), None);
        let depths = graph.depths();
        let depth = |id: &str| depths.get(&PathId::parse(id)).copied().unwrap_or(1);
        let all = ["/db/a", "/db/b", "/web/x", "/web/y", "/zoo"].map(depth);
        assert_eq!(all, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn cycles_are_told_also_through_groups() {
        let cyclic = |apps: &[(&str, &[&str])], groups: &[(&str, &[&str])]| {
            Graph::of(&state(apps, groups)).cycle().map(|c| format!("{c:?}"))
        };
        assert_eq!(cyclic(&[("/a", &["/b"]), ("/b", &["/a"])], &[]).unwrap(), "[/a, /b]");
        assert_eq!(cyclic(&[("/a", &["/a"])], &[]).unwrap(), "[/a]");
        let through = cyclic(&[("/g/a", &[]), ("/h/b", &["/g"])], &[("/g", &["/h"])]);
        assert_eq!(through.unwrap(), "[/g/a, /h/b]");
        assert_eq!(cyclic(&[("/g/a", &[])], &[("/g", &["/g"])]).unwrap(), "[/g/a]");
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack_and_groups_no_million_edges() {
        const N: usize = 20_000;
        let ids: Vec<String> = (0..N).map(|n| format!("/c/{n:05}")).collect();
        let mut state = state(&[], &[("/c", &["/d"])]);
        for (n, id) in ids.iter().enumerate() {
            let mut spec = WorkloadSpec::new(PathId::parse(id), Timestamp::EPOCH);
            spec.dependencies.extend(ids.get(n + 1).map(|id| PathId::parse(id)));
            let app = App { id: spec.id.clone(), spec: Arc::new(spec), last_failure: None };
            let twin = App { id: PathId::parse(&format!("/d/{n:05}")), ..app.clone() };
            state.apps.insert(app.id.clone(), Arc::new(app));
            let spec = WorkloadSpec::new(twin.id.clone(), Timestamp::EPOCH);
            state.apps.insert(twin.id.clone(), Arc::new(App { spec: Arc::new(spec), ..twin }));
        }
        let graph = Graph::of(&state);
        assert_eq!(graph.cycle(), None);
        assert_eq!(graph.depths()[&PathId::parse(&ids[0])], N + 1);
        let n_edges: usize = graph.edges.iter().map(Vec::len).sum();
        assert!(n_edges < 4 * N, "{n_edges}");
    }
}
