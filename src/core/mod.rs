//! The deterministic heart: state, commands, changes, placement, deployments. No clock, no I/O, no randomness.
