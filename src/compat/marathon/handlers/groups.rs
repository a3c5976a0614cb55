//! `/v2/groups`: the tree of groups and what is in it.

use std::{collections::BTreeSet, sync::Arc};

use super::{apps, ok};
use crate::{
    base::clock::Timestamp,
    compat::marathon::{
        error::Error,
        render::{app::AppInfo, embed::Embed, group::Tree},
        request,
        service::Marathon,
    },
    core::{State, state::Group},
    http::{Call, Response},
    model::path::GroupId,
};

/// `GET /v2/groups` and `GET /v2/groups/{id}`.
pub async fn get(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let query = call.query();
    let embed = Embed::of(&query).or_whole_group(&query);
    let state = marathon.state();
    let id = request::id(&call);
    let group = group(&state, &id)?;
    let tree = Tree::below(&state, &id, embed, marathon.now());
    Ok(ok(&tree.group(&group)))
}

/// A group; the root is always there.
fn group(state: &State, id: &GroupId) -> Result<Arc<Group>, Error> {
    if let Some(group) = state.groups.get(id) {
        return Ok(group.clone());
    }
    if id.is_root() {
        return Ok(Arc::new(Group {
            id: id.clone(),
            dependencies: BTreeSet::new(),
            enforce_role: false,
            version: Timestamp::EPOCH,
        }));
    }
    Err(Error::NotFound(format!("Group '{id}' does not exist")))
}

/// `GET /v2/groups/{id}/apps`.
pub async fn apps(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let embed = Embed::of(&call.query());
    let state = marathon.state();
    let now = marathon.now();
    let id = request::id(&call);
    group(&state, &id)?;
    let below = apps::apps(&state).filter(|app| app.id.is_below(&id));
    let list: Vec<_> = below.map(|app| AppInfo::of(&state, app, embed, now)).collect();
    Ok(ok(&list))
}
