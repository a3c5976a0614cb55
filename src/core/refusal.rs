//! Refusals: a dozen kinds of reasons why a command changed nothing, and what each is about.
//!
//! A dialect matches kinds for its status, and names things of its own world where it has its own
//! words for them. A new kind of thing is one line in `things!` below and touches no dialect.

use std::fmt;

use crate::{
    model::{deployment::DeploymentId, path::AppId},
    numbers,
};

/// Lists what a refusal can be about: number, name, and the word in texts. The numbers are stored
/// (`shapes::rejected`): never use one again.
macro_rules! things {
    ($($(#[$about:meta])* $number:literal $name:ident $word:literal;)*) => {
        /// What a refusal can be about.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Thing {
            $($(#[$about])* $name,)*
        }

        impl fmt::Display for Thing {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $word,)*
                })
            }
        }

        numbers!(Thing { $($number: $name),* });
    };
}

things! {
    1 App "app";
    2 Group "group";
    /// A place in the tree, whatever is there.
    3 Path "path";
    4 Deployment "deployment";
    /// The present step of a deployment.
    5 Step "step";
    6 Instance "instance";
    /// What waits to be launched of an app.
    7 Queue "queue of";
    8 ServicePort "service port";
    9 Node "node";
    10 Invitation "invitation";
    11 Certificate "certificate";
    12 User "user";
    /// Settings of a role.
    13 Role "role";
    14 Cluster "cluster";
}

impl Thing {
    /// The one with this id.
    pub fn named(self, id: impl fmt::Display) -> Subject {
        Subject { of: self, id: id.to_string() }
    }

    /// The only one there is, or the one the command is about anyway.
    pub fn itself(self) -> Subject {
        Subject { of: self, id: String::new() }
    }
}

/// One thing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    pub of: Thing,
    /// Empty where there is no need to say which.
    pub id: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, id } = self;
        if id.is_empty() { write!(f, "the {of}") } else { write!(f, "{of} {id}") }
    }
}

/// A command that changed nothing, and why: the caller's part of the errors.
///
/// Dialects turn these into their own status and body; the texts here are for our own API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rejected {
    /// It is not there.
    NotFound(Subject),
    /// It is there already.
    Exists(Subject),
    /// Something of another kind is there already.
    Taken(Subject),
    /// It is not what the caller looked at any more.
    Stale(Subject),
    /// Running deployments hold what would change.
    Locked { apps: Vec<AppId>, deployments: Vec<DeploymentId> },
    /// It is in use.
    Busy(Subject),
    /// The cluster cannot do without: there is no other.
    Last(Subject),
    /// As many as there may be are there.
    TooMany { of: Thing, max: u32 },
    /// All numbers of a range are given away.
    Exhausted { of: Thing, from: u16, to: u16 },
    /// What needs what leads back to itself.
    Cycle(Vec<AppId>),
    /// What is asked for cannot be.
    Invalid { field: String, problem: String },
    /// What the caller shows does not let it in; the text says why.
    Denied { by: Thing, why: String },
    /// Some who belong to the cluster cannot do its next level.
    HeldBack { to: u32, by: Vec<String> },
    /// The caller cannot do what the cluster does.
    TooOld { who: String, level: u32, wanted: u32 },
}

impl std::error::Error for Rejected {}

/// What is said to a node whose token is not good.
const NOT_INVITED: &str = "the token is not known, was used already or is too old; \
                           make another with `tepui node invite`";

impl Rejected {
    pub fn invalid(field: &str, problem: impl Into<String>) -> Self {
        Self::Invalid { field: field.to_owned(), problem: problem.into() }
    }

    /// The token of a node that wants to join is not good.
    pub fn not_invited() -> Self {
        Self::Denied { by: Thing::Invitation, why: NOT_INVITED.to_owned() }
    }

    /// The certificate shown is not good.
    pub fn bad_certificate(why: String) -> Self {
        Self::Denied { by: Thing::Certificate, why }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(it) => not_found(it, f),
            Self::Exists(it) if it.of == Thing::Cluster => write!(f, "{it} is already initialised"),
            Self::Exists(it) => write!(f, "{it} already exists"),
            Self::Taken(it) if it.of == Thing::Path => {
                write!(f, "{} is the path of a group, an app or a pod already", it.id)
            }
            Self::Taken(it) => write!(f, "{} is taken", it.id),
            Self::Stale(it) if it.of == Thing::Step => {
                f.write_str("the deployment is not in that step any more")
            }
            Self::Stale(it) => write!(f, "{} was changed meanwhile; read it again", it.id),
            Self::Locked { apps, .. } => write!(f, "{apps:?} locked by running deployments"),
            Self::Busy(it) if it.of == Thing::Node => write!(f, "{it} still runs tasks"),
            Self::Busy(it) => write!(f, "{it} is in use"),
            Self::Last(it) if it.of == Thing::User => {
                write!(f, "{it} is the last one who can sign in; make another first")
            }
            Self::Last(it) => write!(f, "{it} is the last one; make another first"),
            Self::TooMany { of, max } => {
                let are = if *of == Thing::Deployment { "running" } else { "there" };
                write!(f, "{max} {of}s are {are}, the maximum")
            }
            Self::Exhausted { of, from, to } => {
                write!(f, "no {of} is left between {from} and {to}")
            }
            Self::Cycle(apps) => write!(f, "dependencies form a cycle: {apps:?}"),
            Self::Invalid { field, problem } => write!(f, "{field}: {problem}"),
            Self::Denied { why, .. } => f.write_str(why),
            Self::HeldBack { to, by } => {
                let by = by.join(", ");
                write!(f, "level {to} is held back by {by}: upgrade them first")
            }
            Self::TooOld { who, level, wanted } => write!(
                f,
                "{who} can do level {level}, this cluster is at level {wanted}: \
                 upgrade tepui there"
            ),
        }
    }
}

fn not_found(it: &Subject, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match it.of {
        Thing::Queue => write!(f, "nothing of {} is waiting to be launched", it.id),
        Thing::Role => write!(f, "{it} has no settings"),
        _ => write!(f, "{it} does not exist"),
    }
}
