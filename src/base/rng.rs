//! Randomness: a seeded tree of generators, the only source of ids, jitter and secrets.
//!
//! A child is derived from its parent by name, so an extra draw in one branch leaves every other
//! branch unchanged and a simulation replays from its seed alone. ChaCha with a fixed number of
//! rounds: the sequence survives upgrades of the random crates.

use std::time::Duration;

use rand::{Rng as _, RngExt as _, SeedableRng as _, TryRng as _};
use rand_chacha::ChaCha12Rng;
use uuid::Uuid;

use super::clock::Timestamp;

/// A generator with its own stream.
#[derive(Debug, Clone)]
pub struct Rng {
    seed: [u8; 32],
    inner: ChaCha12Rng,
}

impl Rng {
    /// A generator that replays from `seed`.
    pub fn from_seed(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self::from_bytes(bytes)
    }

    /// A generator seeded by the operating system.
    pub fn from_os() -> Self {
        let mut bytes = [0; 32];
        rand::rngs::SysRng
            .try_fill_bytes(&mut bytes)
            .expect("without entropy no key or id can be made; stopping is the safe way out");
        Self::from_bytes(bytes)
    }

    /// A child whose stream depends on this generator's seed and `name` only.
    pub fn child(&self, name: &str) -> Self {
        use sha2::{Digest as _, Sha256};
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(name.as_bytes());
        Self::from_bytes(hash.finalize().into())
    }

    /// A uniform number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.inner.random_range(0..bound) }
    }

    /// A uniform number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        self.inner.random()
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.inner.fill_bytes(bytes);
    }

    /// A random (version 4) UUID.
    pub fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A time-based (version 1) UUID, the kind old tools find in instance and deployment ids.
    pub fn uuid_at(&mut self, at: Timestamp) -> Uuid {
        let mut node = [0; 6];
        self.fill(&mut node);
        node[0] |= 1; // multicast bit: not a real network card (RFC 9562 §6.10)
        let clock_seq = u16::try_from(self.below(1 << 14)).unwrap_or(0);
        let ms = u64::try_from(at.as_ms()).unwrap_or(0);
        // Ticks of 100 ns since 1582-10-15; the random part spreads ids made in one millisecond.
        let ticks = 0x01B2_1DD2_1381_4000 + ms * 10_000 + self.below(10_000);
        uuid::Builder::from_gregorian_timestamp(ticks, clock_seq, &node).into_uuid()
    }

    /// `n_chars` characters of lower-case hexadecimal, for tokens and passwords.
    pub fn hex(&mut self, n_chars: usize) -> String {
        (0..n_chars).map(|_| char::from(b"0123456789abcdef"[self.below(16) as usize])).collect()
    }

    /// A delay between half of `base` and one and a half of it.
    pub fn jitter(&mut self, base: Duration) -> Duration {
        base.mul_f64(0.5 + self.unit())
    }

    fn from_bytes(seed: [u8; 32]) -> Self {
        Self { seed, inner: ChaCha12Rng::from_seed(seed) }
    }
}
