//! One node whole, and what becomes of it and of what runs there, for whoever looks at its page.
//!
//! Rows of a few instances are made anew for each reader whenever the state moves, and told when their
//! text is another. What is measured changes all the time and is told apart, and seldom.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::{Instant, sleep};

use super::{
    context::Api,
    live::{HEARTBEAT, PAUSE, Rows, TICK},
    view::{
        Iso, View,
        instance::{self, Used},
        node,
    },
};
use crate::{
    core::State,
    http::{Body, error::ApiError, stream},
    model::NodeId,
};

/// How often what is measured is told.
const MEASURED: Duration = HEARTBEAT;
/// Events a reader may be behind before it is waited for.
const BEHIND_MAX: usize = 2;

/// `NodeDelta` of the contract.
#[derive(Serialize)]
struct Delta<'a> {
    revision: u64,
    at: Iso,
    #[serde(skip_serializing_if = "Rows::is_empty")]
    tasks: Rows,
    /// How far its draining is, whenever anything changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    drain: Option<&'a RawValue>,
}

/// `NodeMeasured` of the contract.
#[derive(Serialize)]
struct Measured<'a> {
    at: Iso,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<Iso>,
    used: BTreeMap<&'a str, Used>,
}

/// A stream of what the page of node `id` shows.
pub fn follow(api: &Arc<Api>, id: NodeId) -> Result<Body, ApiError> {
    let slot = api.live.follower_slot()?;
    let (sender, body) = stream::channel(BEHIND_MAX);
    let (api, streams) = (api.clone(), api.streams.clone());
    streams.connection("node follow", async move {
        let _slot = slot;
        let reader = Reader { api, id, sender, rows: BTreeMap::new(), drain: None };
        reader.run().await;
    });
    Ok(body)
}

struct Reader {
    api: Arc<Api>,
    id: NodeId,
    sender: stream::Sender,
    /// Rows as they were told.
    rows: BTreeMap<String, Box<RawValue>>,
    drain: Option<Box<RawValue>>,
}

impl Reader {
    /// Tells until the reader or the node is gone.
    async fn run(mut self) {
        let mut state = self.api.state();
        let Some(first) = self.whole(&state) else { return };
        if !self.tell("snapshot", &first).await {
            return;
        }
        let mut used = BTreeMap::new();
        let mut measured_at = Instant::now();
        loop {
            tokio::select! {
                () = self.sender.closed() => return,
                () = self.api.cluster.newer_than(state.revision) => {}
                () = sleep(TICK) => {}
            }
            state = self.api.state();
            if !state.nodes.contains_key(&self.id) {
                self.tell("gone", "{}").await;
                return;
            }
            if let Some(delta) = self.delta(&state)
                && !self.tell("delta", &delta).await
            {
                return;
            }
            if measured_at.elapsed() >= MEASURED {
                measured_at = Instant::now();
                let data = self.measured(&state, &mut used);
                if !self.tell("measured", &data).await {
                    return;
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn tell(&self, event: &str, data: &str) -> bool {
        let frame = stream::event(Some(event), None, data);
        self.sender.send_in_time(frame).await.is_ok()
    }

    /// The node whole, and its rows remembered.
    fn whole(&mut self, state: &State) -> Option<String> {
        let api = self.api.clone();
        let view = api.view(state);
        self.rows = self.written(&view);
        self.drain = self.drain(&view);
        serde_json::to_string(&node::detail(&view, state.nodes.get(&self.id)?)).ok()
    }

    /// The row of each instance, without what is measured of it.
    fn written(&self, view: &View<'_>) -> BTreeMap<String, Box<RawValue>> {
        let on = view.state.instances_on(&self.id);
        let rows = on.map(|i| (i.id.to_string(), to_raw_value(&instance::row(view, i, &[]))));
        rows.filter_map(|(id, row)| Some((id, row.ok()?))).collect()
    }

    fn drain(&self, view: &View<'_>) -> Option<Box<RawValue>> {
        to_raw_value(&node::drain(view.state, view.state.nodes.get(&self.id)?)?).ok()
    }

    fn delta(&mut self, state: &State) -> Option<String> {
        let api = self.api.clone();
        let view = api.view(state);
        let (rows, drain) = (self.written(&view), self.drain(&view));
        let before = std::mem::replace(&mut self.rows, rows);
        let drained = std::mem::replace(&mut self.drain, drain);
        let mut tasks = Rows::default();
        for (id, row) in &self.rows {
            if before.get(id).is_none_or(|known| known.get() != row.get()) {
                tasks.set(row.clone());
            }
        }
        for id in before.keys().filter(|id| !self.rows.contains_key(*id)) {
            tasks.remove(id);
        }
        if tasks.is_empty() && text(&drained) == text(&self.drain) {
            return None;
        }
        let drain = self.drain.as_deref();
        let (revision, at) = (state.revision, Iso(view.now));
        serde_json::to_string(&Delta { revision, at, tasks, drain }).ok()
    }

    fn measured(&self, state: &State, told: &mut BTreeMap<String, Used>) -> String {
        let view = self.api.view(state);
        let usage = view.cluster.usage(&self.id);
        let mut used = BTreeMap::new();
        for task in usage.iter().flat_map(|usage| &usage.tasks) {
            let now = Used::of(task);
            if told.insert(task.instance.to_string(), now) != Some(now) {
                used.insert(task.instance.as_str(), now);
            }
        }
        told.retain(|id, _| self.rows.contains_key(id));
        let last_seen_at = view.cluster.last_heard(&self.id).map(Iso);
        let measured = Measured { at: Iso(view.now), last_seen_at, used };
        serde_json::to_string(&measured).unwrap_or_default()
    }
}

fn text(drain: &Option<Box<RawValue>>) -> Option<&str> {
    drain.as_deref().map(RawValue::get)
}
