//! Whose an instance is. Who wants a task decides what its definition is and what its end means.

use super::{
    framework::FrameworkId,
    path::{AppId, PathId},
};

/// Who wants an instance.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Owner {
    /// An app or a pod, as its definition says: so many of it, always.
    App(AppId),
    /// One run of a job.
    Run { job: PathId, run: String },
    /// A task that a scheduler from outside has started under this id.
    Framework { framework: FrameworkId, task: String },
    /// What the cluster runs for itself, by its name.
    System(String),
}

/// What an owner wants after a task of its has ended by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// Another one, however it ended.
    Always,
    /// Another one, until one has finished well.
    UntilFinished,
    /// None: whoever wants another one says so.
    Never,
}

impl Owner {
    /// The app or pod, where it is one.
    pub fn app(&self) -> Option<&AppId> {
        match self {
            Self::App(app) => Some(app),
            Self::Run { .. } | Self::Framework { .. } | Self::System(_) => None,
        }
    }

    /// What it wants when a task ends.
    pub fn again(&self) -> Again {
        match self {
            Self::App(_) | Self::System(_) => Again::Always,
            Self::Run { .. } => Again::UntilFinished,
            Self::Framework { .. } => Again::Never,
        }
    }
}

impl From<AppId> for Owner {
    fn from(app: AppId) -> Self {
        Self::App(app)
    }
}
