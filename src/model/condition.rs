//! Where an instance or a container is in its life, in one word, and which words say that it holds a
//! place or has ended.

/// Where an instance, or a container of it, is in its life, in one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Condition {
    Scheduled,
    Provisioned,
    Staging,
    Starting,
    Running,
    Killing,
    Unreachable,
    UnreachableInactive,
    Finished,
    Killed,
    Failed,
    Error,
    Dropped,
    Gone,
    Unknown,
}

impl Condition {
    pub const ALL: [Self; 15] = [
        Self::Scheduled,
        Self::Provisioned,
        Self::Staging,
        Self::Starting,
        Self::Running,
        Self::Killing,
        Self::Unreachable,
        Self::UnreachableInactive,
        Self::Finished,
        Self::Killed,
        Self::Failed,
        Self::Error,
        Self::Dropped,
        Self::Gone,
        Self::Unknown,
    ];

    /// The phase it says, if it says one.
    pub fn phase(self) -> Option<Phase> {
        Some(match self {
            Self::Provisioned => Phase::Provisioned,
            Self::Staging => Phase::Staging,
            Self::Starting => Phase::Starting,
            Self::Running => Phase::Running,
            Self::Killing => Phase::Killing,
            Self::Unreachable => Phase::Unreachable,
            Self::UnreachableInactive => Phase::UnreachableInactive,
            _ => return None,
        })
    }

    /// The end it says, if it says one.
    pub fn end(self) -> Option<End> {
        Some(match self {
            Self::Finished => End::Finished,
            Self::Killed => End::Killed,
            Self::Failed => End::Failed,
            Self::Error => End::Error,
            Self::Dropped => End::Dropped,
            Self::Gone => End::Gone,
            Self::Unknown => End::Unknown,
            _ => return None,
        })
    }

    /// Holds resources somewhere and counts as present.
    pub fn is_active(self) -> bool {
        self.phase().is_some_and(|phase| phase != Phase::UnreachableInactive)
    }

    /// Its node is not heard; nobody knows what it does.
    pub fn is_lost(self) -> bool {
        self.phase().is_some_and(Phase::is_lost)
    }

    /// The incarnation has ended.
    pub fn is_terminal(self) -> bool {
        self.end().is_some()
    }

    /// The Mesos task state shown for it.
    pub fn task_state(self) -> &'static str {
        match self {
            Self::Scheduled | Self::Provisioned | Self::Staging => "TASK_STAGING",
            Self::Starting => "TASK_STARTING",
            Self::Running => "TASK_RUNNING",
            Self::Killing => "TASK_KILLING",
            Self::Unreachable | Self::UnreachableInactive => "TASK_UNREACHABLE",
            Self::Finished => "TASK_FINISHED",
            Self::Killed => "TASK_KILLED",
            Self::Failed => "TASK_FAILED",
            Self::Error => "TASK_ERROR",
            Self::Dropped => "TASK_DROPPED",
            Self::Gone => "TASK_GONE",
            Self::Unknown => "TASK_UNKNOWN",
        }
    }

    /// The condition's own name, as event streams print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Provisioned => "Provisioned",
            Self::Staging => "Staging",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Killing => "Killing",
            Self::Unreachable => "Unreachable",
            Self::UnreachableInactive => "UnreachableInactive",
            Self::Finished => "Finished",
            Self::Killed => "Killed",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Dropped => "Dropped",
            Self::Gone => "Gone",
            Self::Unknown => "Unknown",
        }
    }
}

/// How far a task that holds a place is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Provisioned,
    Staging,
    Starting,
    Running,
    Killing,
    /// Its node is not heard; it counts as present.
    Unreachable,
    /// Its node has not been heard for long: it holds its place and is replaced.
    UnreachableInactive,
}

/// How a task ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Finished,
    Killed,
    Failed,
    Error,
    Dropped,
    Gone,
    Unknown,
}

impl From<Phase> for Condition {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Provisioned => Self::Provisioned,
            Phase::Staging => Self::Staging,
            Phase::Starting => Self::Starting,
            Phase::Running => Self::Running,
            Phase::Killing => Self::Killing,
            Phase::Unreachable => Self::Unreachable,
            Phase::UnreachableInactive => Self::UnreachableInactive,
        }
    }
}

impl From<End> for Condition {
    fn from(end: End) -> Self {
        match end {
            End::Finished => Self::Finished,
            End::Killed => Self::Killed,
            End::Failed => Self::Failed,
            End::Error => Self::Error,
            End::Dropped => Self::Dropped,
            End::Gone => Self::Gone,
            End::Unknown => Self::Unknown,
        }
    }
}

impl Phase {
    /// Its node is not heard; nobody knows what it does.
    pub fn is_lost(self) -> bool {
        matches!(self, Self::Unreachable | Self::UnreachableInactive)
    }
}

impl End {
    /// Whether it raises the launch delay (a kill on request does not).
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Killed | Self::Unknown)
    }
}
