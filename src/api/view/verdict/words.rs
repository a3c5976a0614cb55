//! Words and next steps that verdicts about several kinds of things share.

use crate::{
    api::view::lookup::ended_as,
    core::state::TaskFailure,
    model::instance::{Condition, KillReason},
};

/// The word for a condition in rows.
pub fn condition_word(condition: Condition) -> &'static str {
    match condition {
        Condition::Scheduled => "scheduled",
        Condition::Provisioned | Condition::Staging => "staging",
        Condition::Starting => "starting",
        Condition::Running => "running",
        Condition::Killing => "killing",
        Condition::Unreachable | Condition::UnreachableInactive => "unreachable",
        Condition::Finished => "finished",
        Condition::Failed | Condition::Error => "failed",
        Condition::Killed => "killed",
        Condition::Dropped | Condition::Unknown => "lost",
        Condition::Gone => "gone",
    }
}

/// How something ended that is at its end.
pub fn end_words(condition: Condition) -> Option<&'static str> {
    Some(match condition {
        Condition::Finished => "ended by itself, without an error",
        Condition::Failed | Condition::Error => "ended with an error",
        Condition::Killed => "was stopped",
        Condition::Dropped | Condition::Unknown => "is lost",
        Condition::Gone => "went with its node",
        Condition::Scheduled
        | Condition::Provisioned
        | Condition::Staging
        | Condition::Starting
        | Condition::Running
        | Condition::Killing
        | Condition::Unreachable
        | Condition::UnreachableInactive => return None,
    })
}

/// What an attempt ended with: its message, and how it ended when that is no error of its own.
pub fn failure_words(failure: &TaskFailure) -> String {
    let how = end_words(ended_as(failure)).unwrap_or("ended");
    match failure.message.as_str() {
        "" => format!("it {how}"),
        message if matches!(ended_as(failure), Condition::Failed | Condition::Error) => {
            message.to_owned()
        }
        message => format!("{message} (it {how})"),
    }
}

/// Why somebody wants an instance gone.
pub fn kill_words(reason: &KillReason) -> &'static str {
    match reason {
        KillReason::Request => "somebody asked for it",
        KillReason::Deployment => "a deployment has no more use for it",
        KillReason::Drain => "its node is drained",
        KillReason::Overdue => "it did not get running in time",
    }
}

/// What to do about a container engine that does not answer.
pub fn engine_next(host: &str) -> String {
    format!("on {host}, see why the container engine does not run: systemctl status docker")
}

/// What to do about a node that nobody hears from.
pub fn node_next(host: &str) -> String {
    format!("look at the network and the tepui process of {host}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::clock::Timestamp, model::InstanceId};

    #[test]
    fn what_an_attempt_ended_with_is_said_without_names_of_states() {
        let said = |condition: Condition, message: &str| {
            failure_words(&TaskFailure {
                task_id: "t".into(),
                instance: InstanceId::from("i"),
                state: condition.task_state().into(),
                message: message.into(),
                hostname: "h".into(),
                node: None,
                at: Timestamp::from_ms(1),
                version: Timestamp::from_ms(1),
                started_at: None,
            })
        };
        assert_eq!(said(Condition::Failed, "exit code 3"), "exit code 3");
        assert_eq!(said(Condition::Error, ""), "it ended with an error");
        assert_eq!(
            said(Condition::Killed, "its check failed"),
            "its check failed (it was stopped)"
        );
        assert_eq!(said(Condition::Gone, ""), "it went with its node");
        for condition in Condition::ALL {
            assert!(!said(condition, "told").contains("TASK_"), "{condition:?}");
        }
    }
}
