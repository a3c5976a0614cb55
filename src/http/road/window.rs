//! Bytes that were read and not yet used, and the few such windows a request borrows.
//!
//! A connection that waits holds a small window; a large one is taken from the thread's store while
//! a request is passed on, and given back after it. What is in the store is bounded by number.

use std::{
    cell::RefCell,
    io,
    task::{Context, Poll, ready},
};

use crate::http::tcp::Source;

/// What a request's head and body, and each piece of an answer, are read in.
pub const WINDOW_BYTES: usize = 16 << 10;
/// Output larger than this is not kept for the next request.
const OUT_BYTES_KEPT: usize = 64 << 10;
/// Spare buffers of one thread: some 2 MiB at most.
const SPARE_MAX: usize = 128;

/// A buffer with a filled middle.
#[derive(Debug)]
pub struct Window {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Window {
    pub fn new(n_bytes: usize) -> Self {
        Self { bytes: vec![0; n_bytes], start: 0, end: 0 }
    }

    /// What is there.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// No more can be read before something is used.
    pub fn is_full(&self) -> bool {
        self.end - self.start == self.bytes.len()
    }

    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Makes room for `n_bytes` in all; what is there stays.
    pub fn grow(&mut self, n_bytes: usize) {
        if n_bytes > self.bytes.len() {
            self.bytes.resize(n_bytes, 0);
        }
    }

    /// Lets go of what a single large head needed.
    pub fn shrink(&mut self, n_bytes: usize) {
        if self.is_empty() && self.bytes.len() > n_bytes {
            *self = Self::new(n_bytes);
        }
    }

    /// The first `n` bytes have been used.
    pub fn consume(&mut self, n: usize) {
        self.start += n.min(self.end - self.start);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads once into what is free; places relative to the first byte stay. 0 is the end of the
    /// stream, or a full window.
    pub fn poll_fill(
        &mut self,
        io: &mut impl Source,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.end == self.bytes.len() && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let n = ready!(io.poll_into(cx, &mut self.bytes[self.end..]))?;
        self.end += n;
        Poll::Ready(Ok(n))
    }
}

/// What passing one request on needs.
#[derive(Debug)]
pub struct Buffers {
    /// What the upstream sent.
    pub input: Window,
    /// What is to be written, to either side.
    pub out: Vec<u8>,
}

thread_local! {
    static SPARE: RefCell<Vec<Buffers>> = const { RefCell::new(Vec::new()) };
}

/// Buffers lent by this thread; given back, empty, to whichever thread drops them.
#[derive(Debug)]
pub struct Lent(Option<Buffers>);

impl Lent {
    pub fn take() -> Self {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        let fresh = || Buffers { input: Window::new(WINDOW_BYTES), out: Vec::with_capacity(2048) };
        Self(Some(spare.unwrap_or_else(fresh)))
    }

    pub fn get(&mut self) -> &mut Buffers {
        self.0.get_or_insert_with(|| Buffers { input: Window::new(WINDOW_BYTES), out: Vec::new() })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut buffers) = self.0.take() else { return };
        if buffers.input.capacity() > WINDOW_BYTES || buffers.out.capacity() > OUT_BYTES_KEPT {
            return;
        }
        buffers.input.consume(usize::MAX);
        buffers.out.clear();
        // A thread that ends has no store any more.
        let _gone = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_MAX {
                spare.push(buffers);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(window: &mut Window, mut bytes: &[u8]) -> usize {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match window.poll_fill(&mut bytes, &mut cx) {
            Poll::Ready(Ok(n)) => n,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_used_makes_room() {
        let mut window = Window::new(8);
        assert_eq!(fill(&mut window, b"abcdef"), 6);
        window.consume(4);
        assert_eq!(fill(&mut window, b"ghijkl"), 2);
        assert_eq!(window.filled(), b"efgh");
        assert!(!window.is_full());
        assert_eq!(fill(&mut window, b"ijkl"), 4, "the used part is taken back");
        assert!(window.is_full());
        assert_eq!(fill(&mut window, b"m"), 0);
        window.grow(10);
        assert_eq!(fill(&mut window, b"mno"), 2);
        assert_eq!(window.filled(), b"efghijklmn");
        window.consume(99);
        window.shrink(8);
        assert!(window.is_empty() && window.capacity() == 8);
    }

    #[test]
    fn lent_buffers_come_back_empty_and_few() {
        let mut many: Vec<Lent> = (0..2 * SPARE_MAX).map(|_| Lent::take()).collect();
        many[0].get().out.extend_from_slice(b"secret");
        fill(&mut many[0].get().input, b"secret");
        drop(many);
        assert_eq!(SPARE.with_borrow(Vec::len), SPARE_MAX);
        for _ in 0..SPARE_MAX {
            let mut lent = Lent::take();
            assert!(lent.get().out.is_empty() && lent.get().input.is_empty());
            std::mem::forget(lent);
        }
    }
}
