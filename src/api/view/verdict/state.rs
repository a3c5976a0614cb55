//! The words of a verdict: how a thing is doing, how that is felt, and the sentences beside it.

use serde::{Serialize, Serializer};

use crate::{api::view::Iso, base::clock::Timestamp};

/// How an app, an instance, a node or a deployment is doing. The worst comes first: of two that hold
/// the first is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The container engine of a node does not answer.
    EngineDown,
    /// Nobody hears from a node.
    Unreachable,
    /// A health check fails.
    Unhealthy,
    /// It fails again and again, soon after each start.
    CrashLooping,
    /// Each of its attempts fails before its program starts.
    CannotStart,
    /// It ended, and not well.
    Failed,
    Lost,
    /// A deployment has not moved for a while.
    Stuck,
    /// Held back after a failure.
    Delayed,
    /// Nothing has room for it.
    Waiting,
    /// Fewer run than wanted.
    Degraded,
    Deleting,
    /// Told to end, and not gone yet.
    Stopping,
    /// Work moves off a node.
    Draining,
    Deploying,
    /// Up, or nearly, and not yet known to be well.
    Starting,
    /// A node that takes work.
    Active,
    Running,
    Drained,
    Deactivated,
    Finished,
    Stopped,
    Gone,
}

/// How a standing is felt; colours follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    Bad,
    Attention,
    /// On its way.
    Moving,
    Good,
    Neutral,
}

impl Standing {
    pub const ALL: [Self; 23] = [
        Self::EngineDown,
        Self::Unreachable,
        Self::Unhealthy,
        Self::CrashLooping,
        Self::CannotStart,
        Self::Failed,
        Self::Lost,
        Self::Stuck,
        Self::Delayed,
        Self::Waiting,
        Self::Degraded,
        Self::Deleting,
        Self::Stopping,
        Self::Draining,
        Self::Deploying,
        Self::Starting,
        Self::Active,
        Self::Running,
        Self::Drained,
        Self::Deactivated,
        Self::Finished,
        Self::Stopped,
        Self::Gone,
    ];

    /// The word in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::EngineDown => "engine_down",
            Self::Unreachable => "unreachable",
            Self::Unhealthy => "unhealthy",
            Self::CrashLooping => "crash_looping",
            Self::CannotStart => "cannot_start",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Stuck => "stuck",
            Self::Delayed => "delayed",
            Self::Waiting => "waiting",
            Self::Degraded => "degraded",
            Self::Deleting => "deleting",
            Self::Stopping => "stopping",
            Self::Draining => "draining",
            Self::Deploying => "deploying",
            Self::Starting => "starting",
            Self::Active => "active",
            Self::Running => "running",
            Self::Drained => "drained",
            Self::Deactivated => "deactivated",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Gone => "gone",
        }
    }

    pub const fn tone(self) -> Tone {
        match self {
            Self::EngineDown
            | Self::Unreachable
            | Self::Unhealthy
            | Self::CrashLooping
            | Self::CannotStart
            | Self::Failed
            | Self::Lost => Tone::Bad,
            Self::Stuck | Self::Delayed | Self::Waiting | Self::Degraded => Tone::Attention,
            Self::Deleting | Self::Stopping | Self::Draining | Self::Deploying | Self::Starting => {
                Tone::Moving
            }
            Self::Active | Self::Running => Tone::Good,
            Self::Drained | Self::Deactivated | Self::Finished | Self::Stopped | Self::Gone => {
                Tone::Neutral
            }
        }
    }

    /// Whether somebody should look at it.
    pub const fn needs_attention(self) -> bool {
        matches!(self.tone(), Tone::Bad | Tone::Attention)
    }
}

impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.word())
    }
}

/// `Verdict` of the contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    pub state: Standing,
    pub tone: Tone,
    pub sentence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Iso>,
    /// What was seen, in the words of whoever saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Verdict {
    pub fn of(
        state: Standing,
        sentence: impl Into<String>,
        since: impl Into<Option<Timestamp>>,
    ) -> Self {
        let (sentence, since) = (sentence.into(), since.into().map(Iso));
        Self { state, tone: state.tone(), sentence, since, cause: None, next: None }
    }

    /// With a cause; an empty one is none.
    pub fn because(self, cause: impl Into<String>) -> Self {
        let cause = cause.into();
        Self { cause: Some(cause).filter(|cause| !cause.is_empty()), ..self }
    }

    /// With what to do; nothing when that is empty.
    pub fn next(self, next: impl Into<String>) -> Self {
        let next = next.into();
        Self { next: Some(next).filter(|next| !next.is_empty()), ..self }
    }

    /// Sentence and cause in one.
    pub fn full(&self) -> String {
        match &self.cause {
            Some(cause) if !self.sentence.contains(cause.as_str()) => {
                format!("{}: {cause}", self.sentence)
            }
            Some(_) | None => self.sentence.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_comes_before_what_moves_before_what_is_well() {
        use Standing as S;
        let order =
            [S::EngineDown, S::Unhealthy, S::CrashLooping, S::Stuck, S::Waiting, S::Deploying];
        assert!(order.is_sorted() && S::Deploying < S::Running);
        let felt = [S::Unhealthy, S::Waiting, S::Deploying, S::Running, S::Stopped].map(S::tone);
        use Tone as T;
        assert_eq!(felt, [T::Bad, T::Attention, T::Moving, T::Good, T::Neutral]);
        assert!(S::ALL.is_sorted(), "worst first");
        assert!(S::Degraded.needs_attention() && !S::Deleting.needs_attention());
    }

    #[test]
    fn a_cause_that_the_sentence_names_is_not_said_twice() {
        let verdict = Verdict::of(Standing::Unhealthy, "it fails: 404", None);
        assert_eq!(verdict.clone().because("404").full(), "it fails: 404");
        assert_eq!(verdict.clone().because("no route").full(), "it fails: 404: no route");
        assert_eq!(verdict.because("").cause, None);
    }
}
