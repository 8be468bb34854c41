//! Update sequences.

use std::fmt;

/// The number of a commit's effect within one database: dense, from 1, in commit order. 0 is "before everything".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(u64);

impl Seq {
    /// Before every change.
    pub const ZERO: Self = Self(0);
    /// After every change there will ever be.
    pub const MAX: Self = Self(u64::MAX);

    /// The sequence with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one that follows. [`Seq::MAX`] stays where it is: 2⁶⁴ changes are never reached.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
