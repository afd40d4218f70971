//! Random draws that a seed reproduces on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The draws of one run.
#[derive(Debug)]
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// The draws for a seed.
    pub(crate) fn new(seed: u32) -> Self {
        Self(ChaCha8Rng::seed_from_u64(u64::from(seed)))
    }

    /// A number below `count`, each as likely as the others (within 2⁻³² or so).
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.0.next_u64()) * count as u128) >> 64) as usize
    }
}

/// A seed that the user did not choose.
pub(crate) fn random_seed() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    // The standard library seeds its hashers from the operating system's randomness.
    RandomState::new().hash_one(std::process::id()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_draws_and_all_are_reached() {
        let draw = |seed| {
            let mut draws = Draws::new(seed);
            (0..100).map(|_| draws.below(4)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        for value in 0..4 {
            let count = draw(7).iter().filter(|&&d| d == value).count();
            assert!((10..45).contains(&count), "{value} drawn {count} times of 100");
        }
    }
}
