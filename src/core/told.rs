//! What a command is in words: for the history, of what was refused and of what no change tells. Each family
//! of commands tells its own.

use crate::numbers;

/// What a record tells of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A service or a group was made, changed, removed.
    Change,
    /// A deployment ended.
    Deployment,
    /// An attempt of an instance ended.
    Attempt,
    /// Somebody wanted an instance to end.
    Kill,
    /// Health checks began to fail or to pass.
    Health,
    Node,
    /// Users, tokens, roles.
    Access,
    /// Masters, level.
    Cluster,
}

/// What somebody wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    pub kind: Kind,
    /// The id of what it is about; empty where there is no need to say which.
    pub of: String,
    pub text: String,
}

impl Told {
    pub fn new(kind: Kind, of: impl ToString, text: impl Into<String>) -> Self {
        Self { kind, of: of.to_string(), text: text.into() }
    }
}

numbers!(Kind {
    1: Change,
    2: Deployment,
    3: Attempt,
    4: Kill,
    5: Health,
    6: Node,
    7: Access,
    8: Cluster,
});

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Change,
        Self::Deployment,
        Self::Attempt,
        Self::Kill,
        Self::Health,
        Self::Node,
        Self::Access,
        Self::Cluster,
    ];

    /// The word for it in answers and questions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Deployment => "deployment",
            Self::Attempt => "attempt",
            Self::Kill => "kill",
            Self::Health => "health",
            Self::Node => "node",
            Self::Access => "access",
            Self::Cluster => "cluster",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}
