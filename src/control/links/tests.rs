//! links tests
