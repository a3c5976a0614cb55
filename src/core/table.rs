//! The tables of the state as rows of bytes.
