//! Invitations of nodes: making one, listing those that are open, taking one back.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{
    context::{Api, listed},
    view::Iso,
};
use crate::{
    base::{hex::hex, level},
    core::{AdmissionCommand, apply::gate::need_level},
    http::{Call, Response, body, error::ApiError, reply},
    model::credential::{Digest, Invited},
};

/// How long an invitation is good unless said otherwise, and at most.
pub const LIFE: Duration = Duration::from_secs(3600);
const LIFE_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Digits of a digest that name an invitation.
const ID_CHARS: usize = 16;

/// What `invite` is asked to do.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Invite {
    /// An agent of either kind unless said otherwise.
    role: Option<String>,
    ttl_s: Option<u64>,
}

#[derive(Serialize)]
struct Made {
    token: String,
    master: String,
    expires_at: Iso,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
}

/// Makes a token that lets one node join.
pub async fn invite(api: Arc<Api>, mut call: Call) -> Result<Response, ApiError> {
    let bytes = call.bytes().await?;
    let asked: Invite =
        if bytes.is_empty() { Invite::default() } else { body::parse_json(&bytes)? };
    let role = match asked.role.as_deref().map(|name| (name, Invited::named(name))) {
        None => None,
        Some((_, Some(role))) => Some(role),
        Some((name, None)) => {
            let problem = format!("{name:?} is no role; use agent, public-agent or master");
            return Err(ApiError::invalid("role", problem));
        }
    };
    let life = asked.ttl_s.map_or(LIFE, Duration::from_secs);
    if life.is_zero() || life > LIFE_MAX {
        let problem = format!("must be between 1 and {} seconds", LIFE_MAX.as_secs());
        return Err(ApiError::invalid("ttl_s", problem));
    }
    if role.is_some() {
        need_level(&api.state(), level::MASTERS, "invitations are for no role")
            .map_err(crate::control::cluster::Error::from)?;
    }
    let made = api.cluster.invite(role, life).await;
    let made = made.map_err(|why| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_invitation", why)
            .hint("ask the leading master; tepui token list shows those that wait")
    })?;
    let named = role.map(Invited::as_str);
    tracing::info!(target: "audit", uid = call.principal.uid(), role = named, "node invited");
    let answer = Made {
        token: made.token,
        master: made.master,
        expires_at: Iso(made.expires_at),
        role: named,
    };
    Ok(reply::json(StatusCode::OK, &answer))
}

/// `Invitation` of the contract. The token itself is kept nowhere.
#[derive(Serialize)]
struct Open {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    expires_at: Iso,
}

pub async fn list(api: Arc<Api>, _: Call) -> Response {
    let (state, now) = (api.state(), api.clock.now());
    let open = state.invitations.values().filter(|i| i.used.is_none() && i.until > now);
    let mut rows: Vec<_> = open.collect();
    rows.sort_by_key(|invitation| (invitation.until, invitation.digest));
    let rows: Vec<Open> = rows
        .into_iter()
        .map(|invitation| Open {
            id: id(&invitation.digest),
            role: invitation.role.map(Invited::as_str),
            expires_at: Iso(invitation.until),
        })
        .collect();
    listed("invitations", &rows, state.revision)
}

/// Takes an open invitation back.
pub async fn revoke(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (state, wanted) = (api.state(), call.param("id").to_owned());
    let open = state.invitations.values().filter(|i| i.used.is_none());
    let found = open.map(|i| i.digest).find(|digest| id(digest) == wanted);
    let digest = found.ok_or_else(|| {
        ApiError::not_found(format!("open invitation {wanted}"))
            .hint("GET /tepui/v1/invitations lists those that wait")
    })?;
    need_level(&state, level::MASTERS, "invitations are not taken back")
        .map_err(crate::control::cluster::Error::from)?;
    let command = AdmissionCommand::Disinvite { digest };
    api.cluster.propose(&call.principal, command.into()).await?;
    tracing::info!(target: "audit", uid = call.principal.uid(), id = wanted, "invitation taken back");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// What an invitation is called: its secret cannot be had from it.
fn id(digest: &Digest) -> String {
    let mut text = hex(digest);
    text.truncate(ID_CHARS);
    text
}
