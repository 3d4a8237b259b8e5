//! Numbers that look random and are the same for the same seed.

use std::time::Duration;

/// SplitMix64: small, and good enough to choose faults by.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// One of a seed's many sequences, each independent of how far the others were read.
    pub(crate) fn new(seed: u64, sequence: u64) -> Self {
        let seed = Self(seed).next();
        Self(Self(seed.wrapping_add(sequence)).next())
    }

    /// A sequence of its own.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// An index of a list that long.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a usize")
    }

    /// Milliseconds from `shortest` to `longest`.
    pub(crate) fn millis(&mut self, shortest: u64, longest: u64) -> Duration {
        Duration::from_millis(shortest + self.below(longest - shortest + 1))
    }

    /// The same with short ones more often than long ones.
    pub(crate) fn mostly_short(&mut self, shortest: u64, longest: u64) -> Duration {
        let longest = shortest + self.below(longest - shortest + 1);
        self.millis(shortest, longest)
    }
}

#[test]
fn a_seed_has_always_the_same_numbers_and_its_sequences_differ() {
    let numbers = |seed, sequence| {
        let mut random = Random::new(seed, sequence);
        [random.next(), random.next(), random.next()]
    };
    assert_eq!(numbers(1, 0), numbers(1, 0));
    assert_ne!(numbers(1, 0), numbers(1, 1));
    assert_ne!(numbers(1, 0), numbers(2, 0));
    assert_ne!(numbers(1, 0), numbers(0, 1));
}
