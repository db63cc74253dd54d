//! Whose bytes win where two segments cover the same sequence numbers: the receivers' habits, by name.
//!
//! Source: Shankar and Paxson, "Active Mapping" (2003) and Novak, "Target-Based TCP Stream Reassembly" (2007). Only
//! bytes that wait behind a hole can be replaced; what has been delivered stays. Windows receivers behave like `bsd`.

use super::seq;

/// The reassembly policy of the protected hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverlapPolicy {
    /// What came first stays.
    First,
    /// What came last wins.
    Last,
    /// What came first stays, unless the later segment begins before it.
    #[default]
    Bsd,
    /// As `Bsd`, and also when it begins at the same place and reaches further.
    Linux,
}

impl OverlapPolicy {
    /// The policy of that name: `first`, `last`, `bsd` or `linux`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "first" => Some(Self::First),
            "last" => Some(Self::Last),
            "bsd" => Some(Self::Bsd),
            "linux" => Some(Self::Linux),
            _ => None,
        }
    }

    /// Whether the new segment's bytes replace the old one's. Segments are (first number, number after the last).
    #[inline]
    pub fn new_wins(self, old: (u32, u32), new: (u32, u32)) -> bool {
        match self {
            Self::First => false,
            Self::Last => true,
            Self::Bsd => seq::lt(new.0, old.0),
            Self::Linux => seq::lt(new.0, old.0) || (new.0 == old.0 && seq::lt(old.1, new.1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OverlapPolicy::{Bsd, First, Last, Linux};

    #[test]
    fn policies_differ_where_receivers_differ() {
        // (old, new, first, last, bsd, linux)
        let cases = [
            ((10, 20), (5, 15), [false, true, true, true], "begins before"),
            ((10, 20), (5, 25), [false, true, true, true], "covers"),
            ((10, 20), (10, 20), [false, true, false, false], "is the same"),
            ((10, 20), (10, 25), [false, true, false, true], "begins with it and reaches further"),
            ((10, 20), (10, 15), [false, true, false, false], "begins with it and ends earlier"),
            ((10, 20), (15, 25), [false, true, false, false], "begins inside"),
        ];
        for (old, new, expected, name) in cases {
            for (policy, wins) in [First, Last, Bsd, Linux].into_iter().zip(expected) {
                assert_eq!(policy.new_wins(old, new), wins, "{policy:?}: new {name}");
            }
        }
    }
}
