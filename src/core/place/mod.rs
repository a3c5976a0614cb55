//! Placement: which instance goes to which node, and why not elsewhere.
