//! The original's direct ports: Marathon's and Mesos' own addresses, for clients that know no other.
//!
//! They take a token in a header, or a name and a password (`Authorization: Basic`), which is all
//! that old frameworks can send. They serve no pages and take no cookies. Whoever brings nothing
//! gets what tells nothing (`/ping`, `/redirect`, health), and from networks the operator has opened
//! for reading everything but the values of `env`. They speak plain HTTP, as those clients do.

use std::sync::Arc;

use ::http::{StatusCode, header, request::Parts};
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use serde_json::json;

use crate::{
    compat::dcos::gateway::audited,
    http::{
        Handler, Origin, Request, Response,
        auth::{
            self, Asked, Basic, Caller, Credential, Guard, Principal, Refusal, Rights, TokenGuard,
        },
        redact, reply,
        route::Access,
        stream::leased,
    },
};

/// What a client that can say who it is is asked for.
const CHALLENGE: &str = "Basic realm=\"tepui\", charset=\"UTF-8\"";

/// A direct port in front of a dialect.
pub struct DirectDoor {
    pub dialect: Arc<dyn Handler>,
    pub guard: Arc<TokenGuard>,
    pub basic: Arc<Basic>,
}

impl DirectDoor {
    async fn caller(&self, request: &mut Request) -> Result<Caller, Refusal> {
        if !Basic::is_offered(request.headers()) {
            return self.guard.caller(Asked::from(&*request));
        }
        Asked::from(&*request).trusts_password()?;
        let origin = request.extensions().get::<Origin>().cloned();
        let peer = origin.as_ref().map(|origin| origin.peer.ip());
        let holder = self.basic.check(&request.headers().clone(), peer).await?;
        if let Some(origin) = origin {
            origin.vouch();
        }
        Ok(self.guard.known(holder, Credential::Password))
    }

    async fn answer(&self, mut request: Request) -> Response {
        match self.caller(&mut request).await {
            Ok(caller) => {
                let lease = caller.lease.clone();
                caller.note(&mut request);
                let answer = audited(request, |request| self.dialect.call(request)).await;
                leased(answer, Some(lease))
            }
            Err(refusal) => {
                request.extensions_mut().insert(refusal);
                // What is looked through cannot be packed.
                request.headers_mut().remove(header::ACCEPT_ENCODING);
                redact::hide(self.dialect.call(request).await)
            }
        }
    }
}

impl Handler for DirectDoor {
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.answer(request))
    }
}

/// The guard of the tables behind a direct port, asked for callers whom the door did not know.
pub struct Strangers {
    /// Networks whose members may look.
    pub open_reads: Vec<IpNet>,
}

impl Guard for Strangers {
    fn admit(&self, request: &Parts, access: Access) -> Result<Principal, Response> {
        let refusal = request.extensions.get().copied().unwrap_or(Refusal::Missing);
        let asked = Asked::from(request);
        let peer = asked.origin.map(|origin| origin.peer.ip().to_canonical());
        let is_near = peer.is_some_and(|ip| self.open_reads.iter().any(|net| net.contains(&ip)));
        // Who brings something that is no good is told so, wherever he comes from.
        if access == Access::Read && refusal == Refusal::Missing && is_near {
            return Ok(Principal::anonymous().with(Rights::Look));
        }
        Err(refuse(refusal, asked))
    }
}

/// The refusal in the shape the dialects' clients read.
pub fn refuse(refusal: Refusal, asked: Asked<'_>) -> Response {
    auth::metrics::refused(refusal, asked);
    let text = match refusal {
        Refusal::Missing => "Sign in: a token or a name and a password are needed here.".to_owned(),
        other => other.to_string(),
    };
    let message = json!({ "message": text });
    if matches!(refusal, Refusal::Foreign | Refusal::Script) {
        return reply::json(StatusCode::FORBIDDEN, &message);
    }
    if refusal == Refusal::TooMany {
        return reply::json(StatusCode::TOO_MANY_REQUESTS, &message);
    }
    let refused = reply::json(StatusCode::UNAUTHORIZED, &message);
    reply::with_header(refused, header::WWW_AUTHENTICATE, CHALLENGE)
}

/// A guard for tokens at a direct port.
pub fn guard(
    tokens: Arc<auth::Tokens>,
    clock: Arc<dyn crate::base::clock::Clock>,
) -> Arc<TokenGuard> {
    Arc::new(TokenGuard::new(tokens, clock, refuse).without_cookies())
}

#[cfg(test)]
mod tests;
