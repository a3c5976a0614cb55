//! The shapes of the domain's words where they are stored or sent: which number each field has.
//!
//! Apart from the types themselves, so that a type can change and what was written stays readable.
//! See `base::wire` for the rules.

mod access;
mod instance;
mod link;
mod names;
mod node;
mod spec;
mod task;
mod workload;

#[cfg(test)]
mod tests;
