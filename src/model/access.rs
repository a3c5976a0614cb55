//! Who may do what and have how much: roles with weight and quota, users.

use super::resource::Scalars;
use crate::{base::units::Milli, typed_id};

typed_id! {
    /// A resource role: `*` is unreserved, others name a group of consumers.
    Role
}

impl Role {
    /// The role of unreserved resources.
    pub fn star() -> Self {
        Self::from("*")
    }

    /// The role that the resources of public agents are reserved for.
    pub fn public() -> Self {
        Self::from("slave_public")
    }

    pub fn is_star(&self) -> bool {
        self.as_str() == "*"
    }
}

/// What is set for a role. A role without a record has weight 1 and no quota.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoleSettings {
    pub role: Role,
    /// Share of this role relative to others; 1 unless set.
    pub weight: Milli,
    pub quota: Option<Quota>,
}

/// Bounds on what a role may hold over the whole cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Quota {
    /// Held free for the role even while it does not use it.
    pub guarantee: Scalars,
    /// Never exceeded; a component that is `None` is unlimited.
    pub limit: QuotaLimit,
}

/// Upper bounds, each optional.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QuotaLimit {
    pub cpus: Option<Milli>,
    pub mem: Option<Milli>,
    pub disk: Option<Milli>,
    pub gpus: Option<Milli>,
}

/// A person or a service that may sign in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    pub uid: String,
    pub description: String,
    /// PHC string of argon2id; `None` for users that sign in by key or elsewhere.
    pub password_hash: Option<String>,
    /// PEM public key of a service account.
    pub public_key: Option<String>,
    pub provider_type: String,
    pub provider_id: String,
    pub is_remote: bool,
    pub superuser: bool,
    /// Tokens made for another number than this count no more. It is the revision of the state at
    /// which the user was made, or its password, its key or its tokens were last changed: set when a
    /// command is applied, whatever the command says.
    pub generation: u64,
}

impl User {
    /// Whether this user can sign in here at all.
    pub fn can_sign_in(&self) -> bool {
        self.password_hash.is_some() || self.public_key.is_some()
    }
}
