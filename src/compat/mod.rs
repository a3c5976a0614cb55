//! Dialects of the original system: thin edges over the one model. Any of them can be deleted.

pub mod dcos;
pub mod marathon;
pub mod mesos;
