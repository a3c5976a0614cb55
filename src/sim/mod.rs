//! The cluster in one thread from a seed.
