//! Where questions of other masters are taken in, and how many of this one's may be on their way.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

/// Questions of one follower on their way. A peer serves 256 calls at a time, and commands must find
/// a place among those however many agents do not answer.
const ASKING_MAX: usize = 64;

/// Who answers other masters' questions while this one leads.
pub trait Answerer: Send + Sync + 'static {
    /// The wait is bounded by whoever asks.
    fn answer(&self, question: Bytes) -> BoxFuture<'_, Bytes>;
}

/// What a master keeps of questions.
pub struct Desk {
    pub(super) answerer: OnceLock<Arc<dyn Answerer>>,
    pub(super) slots: Semaphore,
}

impl Default for Desk {
    fn default() -> Self {
        Self { answerer: OnceLock::new(), slots: Semaphore::new(ASKING_MAX) }
    }
}
