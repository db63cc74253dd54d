//! Multi-pattern matching: which of many byte strings occur in a block. Knows nothing of rules.
//!
//! Two back ends answer alike: vectorscan (fast, a native library) and aho-corasick (no native library). A pattern is reported
//! at least once for a block it occurs in; how often, and in which order, is the back end's affair.

mod automaton;
#[cfg(feature = "vectorscan")]
mod cache;
#[cfg(feature = "vectorscan")]
mod vectorscan;

use crate::error::{Error, Result};
use std::fmt::{Debug, Write};
use std::path::Path;

/// A byte string to look for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    /// The bytes, never empty; lower case when `nocase`.
    pub bytes: Vec<u8>,
    /// Upper and lower case count as one.
    pub nocase: bool,
}

/// Patterns that are looked for together; a pattern's number is its index.
#[derive(Debug, Clone, Default)]
pub struct PatternSet {
    /// The patterns.
    pub patterns: Vec<Pattern>,
}

/// Compiled pattern sets.
pub trait Matcher: Debug + Send + Sync {
    /// Its name, as settings and statistics have it.
    fn name(&self) -> &'static str;

    /// What a thread needs to scan with it.
    ///
    /// # Errors
    /// There is no memory.
    fn scratch(&self) -> Result<Scratch>;

    /// Calls `hit` with the number of each pattern of set `set` that occurs in `block`.
    fn scan(&self, set: u32, block: &[u8], scratch: &mut Scratch, hit: &mut dyn FnMut(u32));
}

/// A thread's working memory for one matcher.
#[derive(Debug)]
pub struct Scratch(ScratchKind);

#[derive(Debug)]
enum ScratchKind {
    None,
    #[cfg(feature = "vectorscan")]
    Vectorscan(vectorscan::NativeScratch),
}

/// The back ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatcherKind {
    /// The native library.
    Vectorscan,
    /// The one without.
    AhoCorasick,
}

impl MatcherKind {
    /// Reads a setting.
    ///
    /// # Errors
    /// [`Error::Setting`] with the names that are allowed.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "vectorscan" => Ok(Self::Vectorscan),
            "aho-corasick" => Ok(Self::AhoCorasick),
            _ => Err(Error::Setting {
                name: "matcher".into(),
                reason: format!("`{name}` is no matcher; allowed are vectorscan and aho-corasick"),
            }),
        }
    }
}

/// Compiles sets with the named back end, or the fastest this build and machine have. `cache_dir` keeps what vectorscan
/// compiles between runs; a cache that cannot be read or written costs time, never correctness.
///
/// # Errors
/// [`Error::Matcher`]
pub fn build(sets: &[PatternSet], kind: Option<MatcherKind>, cache_dir: Option<&Path>) -> Result<Box<dyn Matcher>> {
    match kind {
        Some(MatcherKind::AhoCorasick) => Ok(Box::new(automaton::Automata::build(sets)?)),
        #[cfg(feature = "vectorscan")]
        Some(MatcherKind::Vectorscan) => Ok(Box::new(vectorscan::Databases::build(sets, cache_dir)?)),
        #[cfg(feature = "vectorscan")]
        None if vectorscan::usable() => Ok(Box::new(vectorscan::Databases::build(sets, cache_dir)?)),
        #[cfg(not(feature = "vectorscan"))]
        Some(MatcherKind::Vectorscan) => {
            let _ = cache_dir;
            Err(Error::Matcher("this build has no vectorscan; allowed is aho-corasick".into()))
        }
        None => Ok(Box::new(automaton::Automata::build(sets)?)),
    }
}

/// Bytes as lower-case hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(bytes: &[u8], nocase: bool) -> Pattern {
        Pattern { bytes: if nocase { bytes.to_ascii_lowercase() } else { bytes.to_vec() }, nocase }
    }

    fn kinds() -> Vec<MatcherKind> {
        let mut kinds = vec![MatcherKind::AhoCorasick];
        if cfg!(feature = "vectorscan") {
            kinds.push(MatcherKind::Vectorscan);
        }
        kinds
    }

    fn hits(matcher: &dyn Matcher, set: u32, block: &[u8]) -> Vec<u32> {
        let mut scratch = matcher.scratch().unwrap();
        let mut hits = Vec::new();
        matcher.scan(set, block, &mut scratch, &mut |id| hits.push(id));
        hits.sort_unstable();
        hits.dedup();
        hits
    }

    #[test]
    fn both_back_ends_find_what_searching_one_by_one_finds() {
        let long = [b'x'; 300];
        let sets = [
            PatternSet {
                patterns: vec![
                    pattern(b"a", false),
                    pattern(b"abc", false),
                    pattern(b"ABC", true),
                    pattern(b"bc", false),
                    pattern(b"\0", false),
                    pattern(b"\0\0a", false),
                    pattern(b".*[a]\\", false),
                    pattern(b"\n\r", false),
                    pattern(b"\xff\xfe", false),
                    pattern(&long, false),
                    pattern(b"\xc3\xa9T", true),
                ],
            },
            PatternSet { patterns: vec![pattern(b"z", true)] },
        ];
        let blocks: Vec<Vec<u8>> = [
            &b""[..],
            b"a",
            b"abc",
            b"aBc",
            b"xxabcabc",
            b"\0\0a",
            b"\0\0A",
            b".*[a]\\",
            b"a\n\rb",
            b"\xff\xfe\0",
            &long,
            &long[1..],
            b"Z",
            b"\xc3\xa9t",
            b"ABC abc",
            b"bc",
        ]
        .iter()
        .map(|block| block.to_vec())
        .collect();
        for kind in kinds() {
            let matcher = build(&sets, Some(kind), None).unwrap();
            for (number, set) in sets.iter().enumerate() {
                for block in &blocks {
                    let expected: Vec<u32> = (0..set.patterns.len() as u32)
                        .filter(|&id| {
                            let wanted = &set.patterns[id as usize];
                            block.windows(wanted.bytes.len()).any(|there| {
                                if wanted.nocase {
                                    there.eq_ignore_ascii_case(&wanted.bytes)
                                } else {
                                    there == wanted.bytes
                                }
                            })
                        })
                        .collect();
                    let found = hits(matcher.as_ref(), number as u32, block);
                    assert_eq!(found, expected, "{kind:?} set {number} block {block:?}");
                }
            }
        }
    }

    #[test]
    fn an_unknown_matcher_is_refused_by_name() {
        assert!(MatcherKind::parse("hyperscan").unwrap_err().to_string().contains("hyperscan"));
        assert_eq!(MatcherKind::parse("vectorscan").unwrap(), MatcherKind::Vectorscan);
    }
}
