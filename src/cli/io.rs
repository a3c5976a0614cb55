//! The world a command sees: streams, environment, clock.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::PathBuf,
    sync::Arc,
};

use crate::base::clock::Clock;

/// What a command sees of the machine; made by `main`, and by tests for themselves.
pub struct Io {
    pub stdin: Box<dyn Read + Send>,
    pub stdout: Box<dyn Write + Send>,
    pub stderr: Box<dyn Write + Send>,
    /// Which of the three are terminals.
    pub terminal: [bool; 3],
    pub env: BTreeMap<String, String>,
    pub cwd: PathBuf,
    /// Whether settings of the machine itself (`/var/lib/tepui`) count.
    pub system_files: bool,
    pub clock: Arc<dyn Clock>,
}

impl Io {
    /// A variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<String> {
        self.env.get(name).filter(|v| !v.is_empty()).cloned()
    }
}
