//! A node's life: configuration, roles, start and stop.
