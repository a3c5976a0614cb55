//! Memory the process no longer needs, given back to the machine.
//!
//! The allocator keeps what was freed for a second and gives it back when the next large piece is
//! freed. A node that did something big once (hashing a password takes 19 MiB) and then rests would
//! hold on to it for ever: nothing large comes after. So a small "large piece" comes by.

use std::{hint, time::Duration};

use super::task::Tasks;

/// How often freed memory is given back. Longer than the allocator keeps it anyway.
const EVERY: Duration = Duration::from_secs(3);
/// The smallest power of two that the allocator takes from its arenas rather than from a page it
/// shares among small ones.
const PIECE_BYTES: usize = 1 << 20;

/// Gives freed memory back now and then, while the node runs.
pub fn start(tasks: &Tasks) {
    tasks.restart("heap", || async {
        loop {
            tokio::time::sleep(EVERY).await;
            give_back();
        }
    });
}

/// Never touched, so it costs two calls and no memory.
fn give_back() {
    drop(hint::black_box(Vec::<u8>::with_capacity(PIECE_BYTES)));
}
