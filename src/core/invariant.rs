//! Findings: what must hold of a state.
