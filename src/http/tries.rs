//! Where a request is sent, and where once more: the one rule of sending again, for both roads.
//!
//! A connection that is refused has taken nothing, so that any request may go to the spare. One that
//! breaks before its answer may have taken the request: whoever asks here has made sure that it may
//! be repeated. A kept connection may just have been too old, so the same upstream is asked again on
//! a new one; a new one that breaks means that the instance is going.

use super::upstream::Upstream;

/// The tries of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tries {
    upstream: Upstream,
    spare: Option<Upstream>,
    may_reuse: bool,
}

impl Tries {
    pub fn new(upstream: Upstream, spare: Option<Upstream>) -> Self {
        Self { upstream, spare, may_reuse: true }
    }

    /// Where to send it now.
    pub fn upstream(&self) -> Upstream {
        self.upstream
    }

    /// Whether a kept connection will do.
    pub fn may_reuse(&self) -> bool {
        self.may_reuse
    }

    /// Whether a request that may be repeated could be sent once more if it failed on this
    /// connection: only then a copy of it is worth keeping.
    pub fn may_repeat(&self, is_reused: bool) -> bool {
        is_reused || self.spare.is_some()
    }

    /// The upstream accepts no connection. False when there is nobody else to ask.
    pub fn refused(&mut self) -> bool {
        let spare = self.spare.take();
        if let Some(other) = spare {
            self.upstream = other;
        }
        spare.is_some()
    }

    /// The connection broke before an answer. False when that is the end of it.
    pub fn broke(&mut self, was_reused: bool) -> bool {
        if was_reused && self.may_reuse {
            self.may_reuse = false;
            return true;
        }
        self.refused()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Upstream {
        Upstream { addr: ([127, 0, 0, 1], port).into(), tls: false }
    }

    #[test]
    fn a_kept_connection_is_tried_once_more_and_then_the_spare() {
        let mut tries = Tries::new(at(1), Some(at(2)));
        assert!(tries.may_reuse() && tries.may_repeat(false));
        assert!(tries.broke(true));
        assert_eq!((tries.upstream(), tries.may_reuse()), (at(1), false));
        assert!(tries.broke(false));
        assert_eq!((tries.upstream(), tries.may_repeat(false)), (at(2), false));
        assert!(!tries.broke(false) && !tries.refused());
    }

    #[test]
    fn without_a_spare_a_new_connection_that_breaks_is_the_end() {
        let mut tries = Tries::new(at(1), None);
        assert!(!tries.may_repeat(false) && tries.may_repeat(true));
        assert!(!tries.broke(false));
        assert!(!tries.refused());
    }
}
