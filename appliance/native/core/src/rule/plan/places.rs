//! Patterns that can stand in one place only, or in a few: compared where they would stand instead of being searched for.
//!
//! Most contents that bind a rule to the beginning of a packet are of this kind (`depth` as long as the content). Comparing
//! costs a look at one byte for each place that occurs in the group, however many patterns there are. Invariant: what is
//! reported is what a search for the pattern would find in these places.

use crate::prefilter::Pattern;
use std::collections::BTreeMap;

/// A pattern with more possible places than this is searched for.
pub const MAX_PLACES: u32 = 8;
/// From this many patterns on a place is looked up by its first byte.
const TABLE_PATTERNS: usize = 6;

/// The patterns of a group that have places.
#[derive(Debug, Default)]
pub struct Places {
    /// In ascending order.
    sorted: Vec<Place>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    programs: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    /// Where the patterns begin.
    at: u32,
    /// Its entries.
    entries: (u32, u32),
    /// For each first byte (lower case), where its entries begin; one more at the end. `None` for a few entries.
    by_first_byte: Option<Box<[u32; 257]>>,
}

#[derive(Debug)]
struct Entry {
    /// Up to four first bytes, little endian, as they are after masking.
    value: u32,
    /// Case bits are masked out where case does not matter.
    mask: u32,
    length: u32,
    nocase: bool,
    /// Where the bytes behind the first four begin.
    rest: u32,
    programs: (u32, u32),
}

/// The same while it is filled.
#[derive(Debug, Default, Clone)]
pub struct PlacesBuilder {
    patterns: BTreeMap<(u32, u8, Pattern), Vec<u32>>,
}

impl PlacesBuilder {
    /// Adds a program whose pattern can begin at `count` places from `first` on.
    pub fn add(&mut self, program: u32, first: u32, count: u32, pattern: &Pattern) {
        let Some(byte) = pattern.bytes.first() else { return };
        for at in first..first + count {
            self.patterns.entry((at, byte.to_ascii_lowercase(), pattern.clone())).or_default().push(program);
        }
    }

    /// Sorts the patterns by place and first byte.
    pub fn finish(self) -> Places {
        let mut places = Places::default();
        let mut firsts: Vec<u8> = Vec::new();
        for ((at, first, pattern), programs) in self.patterns {
            if places.sorted.last().is_none_or(|place| place.at != at) {
                places.close(&firsts);
                firsts.clear();
                let begin = places.entries.len() as u32;
                places.sorted.push(Place { at, entries: (begin, begin), by_first_byte: None });
            }
            firsts.push(first);
            places.push(&pattern, &programs);
        }
        places.close(&firsts);
        places
    }
}

impl Places {
    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Appends the programs whose pattern stands in its place in `block`, which begins at `base`.
    #[inline]
    pub fn scan(&self, block: &[u8], base: u64, into: &mut Vec<u32>) {
        for place in &self.sorted {
            let Some(at) = u64::from(place.at).checked_sub(base) else { continue };
            let Some(here) = usize::try_from(at).ok().and_then(|at| block.get(at..)).filter(|here| !here.is_empty())
            else {
                // The places behind lie behind the block too.
                return;
            };
            let (mut begin, mut end) = place.entries;
            if let Some(table) = &place.by_first_byte {
                let first = usize::from(here[0].to_ascii_lowercase());
                (begin, end) = (table[first], table[first + 1]);
            }
            if begin != end {
                self.compare(&self.entries[begin as usize..end as usize], here, into);
            }
        }
    }

    fn compare(&self, entries: &[Entry], here: &[u8], into: &mut Vec<u32>) {
        let word = word(here);
        for entry in entries.iter().filter(|entry| word & entry.mask == entry.value) {
            let length = entry.length as usize;
            let Some(there) = here.get(..length) else { continue };
            let rest = &self.bytes[entry.rest as usize..][..length.saturating_sub(4)];
            let there = &there[length.min(4)..];
            if there == rest || (entry.nocase && there.eq_ignore_ascii_case(rest)) {
                into.extend_from_slice(&self.programs[entry.programs.0 as usize..entry.programs.1 as usize]);
            }
        }
    }

    fn push(&mut self, pattern: &Pattern, programs: &[u32]) {
        let masks =
            pattern.bytes.iter().map(|byte| if pattern.nocase && byte.is_ascii_alphabetic() { 0xdf } else { 0xff });
        let mask = word(&masks.take(4).collect::<Vec<u8>>());
        let (rest, begin) = (self.bytes.len() as u32, self.programs.len() as u32);
        self.bytes.extend_from_slice(pattern.bytes.get(4..).unwrap_or_default());
        self.programs.extend_from_slice(programs);
        self.entries.push(Entry {
            value: word(&pattern.bytes) & mask,
            mask,
            length: pattern.bytes.len() as u32,
            nocase: pattern.nocase,
            rest,
            programs: (begin, self.programs.len() as u32),
        });
    }

    /// Ends the last place; `firsts` are the first bytes of its entries, ascending.
    fn close(&mut self, firsts: &[u8]) {
        let Some(place) = self.sorted.last_mut() else { return };
        place.entries.1 = self.entries.len() as u32;
        if firsts.len() >= TABLE_PATTERNS {
            let mut table = Box::new([0; 257]);
            for (byte, begin) in table.iter_mut().enumerate() {
                *begin = place.entries.0 + firsts.partition_point(|&first| usize::from(first) < byte) as u32;
            }
            place.by_first_byte = Some(table);
        }
    }
}

/// The first four bytes, little endian, zeros where there are fewer.
#[inline]
fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or_else(
        || bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)),
        |chunk| u32::from_le_bytes(*chunk),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(bytes: &[u8], nocase: bool) -> Pattern {
        Pattern { bytes: bytes.to_vec(), nocase }
    }

    #[test]
    fn what_stands_in_its_place_is_found_as_a_search_finds_it() {
        let patterns: Vec<(u32, u32, Pattern)> = [
            (0, 1, &b"GET "[..], false),
            (0, 1, b"get /", true),
            (0, 1, b"g", false),
            (0, 1, b"\0", false),
            (0, 1, b"\0\0", false),
            (0, 1, b"GETTING", false),
            (0, 1, b"[et ", true),
            (2, 3, b"T ", false),
            (4, 1, b"\xc4bcde", true),
            (300, 1, b"far", false),
        ]
        .into_iter()
        .map(|(first, count, bytes, nocase)| (first, count, pattern(bytes, nocase)))
        .collect();
        let mut builder = PlacesBuilder::default();
        for (program, (first, count, pattern)) in patterns.iter().enumerate() {
            builder.add(program as u32, *first, *count, pattern);
        }
        let places = builder.finish();
        let mut far = vec![b'x'; 300];
        far.extend_from_slice(b"far");
        let blocks: [&[u8]; 12] = [
            b"",
            b"G",
            b"GET ",
            b"get /x",
            b"gEt /x",
            b"GETTING",
            b"\0",
            b"\0\0",
            b"{et ",
            b"xxxT T ",
            b"xxxx\xc4BcDe",
            &far,
        ];
        for block in blocks {
            for base in 0..=block.len().min(6) {
                let mut found = Vec::new();
                places.scan(&block[base..], base as u64, &mut found);
                found.sort_unstable();
                found.dedup();
                let expected: Vec<u32> = (0..patterns.len() as u32)
                    .filter(|&program| {
                        let (first, count, pattern) = &patterns[program as usize];
                        (*first as usize..(first + count) as usize).filter(|at| *at >= base).any(|at| {
                            block.get(at..at + pattern.bytes.len()).is_some_and(|there| {
                                there == pattern.bytes || (pattern.nocase && there.eq_ignore_ascii_case(&pattern.bytes))
                            })
                        })
                    })
                    .collect();
                assert_eq!(found, expected, "{:?} from {base}", String::from_utf8_lossy(block));
            }
        }
    }
}
