//! What tests of views share: what a leader knows beside the state, made by hand.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::BoxFuture;

use crate::{
    base::clock::Timestamp,
    control::cluster::{Cluster, Error},
    core::{
        Accepted, Command, State,
        place::{Report, report::Advice},
    },
    http::auth::Principal,
    model::{
        AppId, NodeId, Role, Scalars,
        link::{EngineAway, Usage},
    },
};

/// A leader's memory.
#[derive(Default)]
pub struct Leading {
    pub reports: BTreeMap<AppId, Arc<Report>>,
    pub usage: BTreeMap<NodeId, Arc<Usage>>,
}

impl Leading {
    /// That nothing has room for an app, in these words.
    pub fn no_room(&mut self, state: &State, app: &str, sentence: &str) {
        self.reports.insert(AppId::parse(app), Arc::new(report(state, app, sentence, Vec::new())));
    }

    /// Whether a node's container engine answers.
    pub fn engine(&mut self, node: &str, answers: bool) {
        let cause = "connection refused".to_owned();
        let away = EngineAway { since: Timestamp::from_ms(7), cause };
        let usage = Usage { engine_away: (!answers).then_some(away), ..Usage::default() };
        self.usage.insert(NodeId::from(node), Arc::new(usage));
    }
}

/// What an attempt to place an app found: nothing with room.
pub fn report(state: &State, app: &str, sentence: &str, advice: Vec<Advice>) -> Report {
    let app = AppId::parse(app);
    Report {
        version: state.spec(&app).map_or(Timestamp::EPOCH, |spec| spec.version),
        app,
        role: Role::star(),
        at: state.at,
        since: state.at,
        n_placed: 0,
        n_waiting: 1,
        hold: None,
        needs: Scalars::default(),
        n_ports: 0,
        exact_ports: Vec::new(),
        n_nodes: 1,
        n_fitting: 0,
        funnel: Vec::new(),
        constraints: Vec::new(),
        nodes: Vec::new(),
        advice,
        sentence: sentence.to_owned(),
    }
}

impl Cluster for Leading {
    fn state(&self) -> Arc<State> {
        Arc::default()
    }

    fn propose<'a>(
        &'a self,
        _: &'a Principal,
        _: Command,
    ) -> BoxFuture<'a, Result<Accepted, Error>> {
        Box::pin(std::future::pending())
    }

    fn attempt(&self, app: &AppId) -> Option<Arc<Report>> {
        self.reports.get(app).cloned()
    }

    fn usage(&self, node: &NodeId) -> Option<Arc<Usage>> {
        self.usage.get(node).cloned()
    }
}
