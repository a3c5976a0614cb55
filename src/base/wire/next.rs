//! The formats of a release to come, for trying how this one gets on with it (`make mixed`).
//!
//! With the feature `next` a program is one level further, and writes a field more into every
//! definition of an app, every node and every command. As docs/formats.md asks of such a field, it
//! stands in no row while older masters may have to write the same one.

use std::cell::Cell;

use super::Value as _;

/// Messages that have got a field.
const NAMES: [&str; 4] = ["WorkloadSpec", "TaskSpec", "NodeInfo", "Stamped"];
/// Its number.
const NUMBER: u32 = 900;

thread_local!(static AS_BEFORE: Cell<bool> = const { Cell::new(false) });

/// What `work` writes is written as this release does.
pub fn as_before<T>(work: impl FnOnce() -> T) -> T {
    AS_BEFORE.set(true);
    let done = work();
    AS_BEFORE.set(false);
    done
}

/// The field more.
pub fn put_field_more(name: &str, out: &mut Vec<u8>) {
    if NAMES.contains(&name) && !AS_BEFORE.get() {
        "of the next release".to_owned().put(NUMBER, out);
    }
}
