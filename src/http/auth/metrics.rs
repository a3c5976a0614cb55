//! What is counted of callers who prove who they are. None of it is on the way of a request with a
//! good token.

use std::net::IpAddr;

use super::{Asked, Refusal};
use crate::base::metrics::{families, label};

label! {
    /// How an attempt to sign in with a password ended.
    pub enum SignIn("outcome") {
        Good = "good",
        Bad = "bad",
        /// Not even tried: too many failures before it.
        Refused = "refused",
    }
}

label! {
    /// Why a credential did not count.
    pub enum Why("reason") {
        Missing = "missing",
        Invalid = "invalid",
        Expired = "expired",
        Revoked = "revoked",
        Password = "password",
        TooMany = "too_many",
        Foreign = "foreign",
    }
}

impl From<Refusal> for Why {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => Self::Missing,
            Refusal::Invalid | Refusal::NoUid => Self::Invalid,
            Refusal::Expired => Self::Expired,
            Refusal::Revoked => Self::Revoked,
            Refusal::Password => Self::Password,
            Refusal::TooMany => Self::TooMany,
            Refusal::Foreign | Refusal::Script => Self::Foreign,
        }
    }
}

families! {
    SIGN_INS: Counter<SignIn> = new(
        "tepui_auth_sign_ins_total",
        "Attempts to sign in with a name and a password.",
    );
    REFUSED: Counter<Why> = new(
        "tepui_auth_refused_total",
        "Requests refused for their credential.",
    );
}

/// Somebody at `peer` tried a password. The name is not told: people type passwords there too.
pub(super) fn tried(peer: Option<IpAddr>, outcome: SignIn) {
    SIGN_INS.inc(outcome);
    tracing::debug!(peer = ?peer, ?outcome, "password tried");
}

/// A request is answered with a refusal, in whatever shape.
pub fn refused(refusal: Refusal, asked: Asked<'_>) {
    REFUSED.inc(Why::from(refusal));
    tracing::debug!(path = asked.uri.path(), reason = %refusal, "request refused");
}
