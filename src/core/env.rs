//! The environment of a task (docs/compat/containers.md).
