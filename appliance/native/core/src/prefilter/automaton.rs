//! The back end without a native library: one contiguous-NFA Aho-Corasick automaton per set.
//!
//! The automaton ignores case for all patterns; patterns that do not are compared again where they were found.

use super::{Matcher, PatternSet, Scratch, ScratchKind};
use crate::error::{Error, Result};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// The automata of all sets.
#[derive(Debug)]
pub struct Automata {
    sets: Vec<(AhoCorasick, PatternSet)>,
}

impl Automata {
    /// Builds them.
    ///
    /// # Errors
    /// [`Error::Matcher`] when a set is too large for the automaton.
    pub fn build(sets: &[PatternSet]) -> Result<Self> {
        let sets = sets
            .iter()
            .map(|set| {
                AhoCorasick::builder()
                    .kind(Some(AhoCorasickKind::ContiguousNFA))
                    .match_kind(MatchKind::Standard)
                    .ascii_case_insensitive(true)
                    .build(set.patterns.iter().map(|pattern| &pattern.bytes))
                    .map(|automaton| (automaton, set.clone()))
                    .map_err(|error| Error::Matcher(error.to_string()))
            })
            .collect::<Result<_>>()?;
        Ok(Self { sets })
    }
}

impl Matcher for Automata {
    fn name(&self) -> &'static str {
        "aho-corasick"
    }

    fn scratch(&self) -> Result<Scratch> {
        Ok(Scratch(ScratchKind::None))
    }

    fn scan(&self, set: u32, block: &[u8], _scratch: &mut Scratch, hit: &mut dyn FnMut(u32)) {
        let (automaton, set) = &self.sets[set as usize];
        for found in automaton.find_overlapping_iter(block) {
            let pattern = &set.patterns[found.pattern().as_usize()];
            if pattern.nocase || block[found.start()..found.end()] == *pattern.bytes {
                hit(found.pattern().as_u32());
            }
        }
    }
}
