//! Which content of a rule the prefilter looks for. Only speed depends on the choice.

use super::places::MAX_PLACES;
use crate::inspect::BufferId;
use crate::rule::keyword::content::{Content, FastPattern as Marked};
use crate::rule::model::{Buffer, Chain, Rule};
use crate::rule::rarity;
use std::ops::Range;

const PAYLOAD: Buffer = Buffer::Of(BufferId::Payload);
const METHOD: Buffer = Buffer::Of(BufferId::HttpMethod);

/// How far into a payload the patterns of `head` groups are looked for at most.
pub const HEAD_BYTES: usize = 256;

/// The content the prefilter looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FastPattern {
    /// Where.
    pub buffer: Buffer,
    /// What; lower case when `nocase`.
    pub bytes: Vec<u8>,
    /// Upper and lower case count as one.
    pub nocase: bool,
    /// Where in it.
    pub place: Place,
}

/// Where in its buffer a pattern can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Anywhere.
    Anywhere,
    /// Within the first [`HEAD_BYTES`], and there before `end`.
    Head {
        /// Index behind its last possible byte.
        end: u32,
    },
    /// In a few places.
    At {
        /// The first index at which it can begin.
        first: u32,
        /// How many follow each other.
        count: u32,
    },
}

/// Which chains may give the pattern, and what is wanted of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    /// The payload's contents.
    Payload,
    /// The contents in buffers of the application layer.
    Buffers,
}

/// Chooses it: the one that `fast_pattern` marks, else the rarest. Negated contents cannot be looked for.
pub fn choose(rule: &Rule, among: Among) -> Option<FastPattern> {
    let mut best: Option<(u64, FastPattern)> = None;
    let wanted = |chain: &&Chain| (chain.buffer != PAYLOAD) == (among == Among::Buffers);
    for chain in rule.chains.iter().filter(wanted) {
        for content in chain.contents().filter(|content| !content.negated) {
            let range = match content.fast {
                Marked::Chop(offset, length) => usize::from(offset)..usize::from(offset) + usize::from(length),
                _ => best_piece(content.bytes()),
            };
            let place = place_of(content, &range);
            let piece = &content.bytes()[range];
            let score = match content.fast {
                Marked::No => score(piece, content.nocase, chain.buffer),
                _ => u64::MAX,
            };
            if best.as_ref().is_none_or(|(highest, _)| score > *highest) {
                let pattern =
                    FastPattern { buffer: chain.buffer, bytes: piece.to_vec(), nocase: content.nocase, place };
                best = Some((score, pattern));
            }
        }
    }
    best.map(|(_, pattern)| pattern)
}

/// Longest pattern given to the prefilter: more bytes cost memory and hardly filter better.
pub const MAX_PATTERN_BYTES: usize = 24;

/// Where the piece of a content can stand.
fn place_of(content: &Content, piece: &Range<usize>) -> Place {
    let (Some(depth), false) = (content.depth, content.relative()) else { return Place::Anywhere };
    let offset = content.offset.unwrap_or(0);
    let end = depth.saturating_add(offset);
    match depth.checked_sub(content.bytes().len() as u32) {
        Some(slack) if slack < MAX_PLACES && u16::try_from(end).is_ok() => {
            Place::At { first: offset + piece.start as u32, count: slack + 1 }
        }
        _ if end as usize <= HEAD_BYTES => Place::Head { end },
        _ => Place::Anywhere,
    }
}

/// The piece of a long content with the rarest bytes.
fn best_piece(bytes: &[u8]) -> Range<usize> {
    if bytes.len() <= MAX_PATTERN_BYTES {
        return 0..bytes.len();
    }
    let rank = |byte: u8| u64::from(rarity::rank(byte));
    let mut sum: u64 = bytes[..MAX_PATTERN_BYTES].iter().map(|&byte| rank(byte)).sum();
    let (mut best, mut start) = (sum, 0);
    for at in 1..=bytes.len() - MAX_PATTERN_BYTES {
        sum = sum + rank(bytes[at + MAX_PATTERN_BYTES - 1]) - rank(bytes[at - 1]);
        if sum > best {
            (best, start) = (sum, at);
        }
    }
    start..start + MAX_PATTERN_BYTES
}

/// Higher is rarer. Short patterns and the request method, which every request has, come last.
fn score(piece: &[u8], nocase: bool, buffer: Buffer) -> u64 {
    let rank = |byte: u8| if nocase { rarity::rank_nocase(byte) } else { rarity::rank(byte) };
    let sum: u64 = piece.iter().map(|&byte| u64::from(rank(byte)) + 10).sum();
    let short = match piece.len() {
        0..=1 => 50,
        2 => 12,
        3 => 4,
        _ => 1,
    };
    let common = if buffer == METHOD { 100 } else { 1 };
    sum * 100 / short / common
}

/// Whether a payload content is bound to the beginning, so that packets are looked at besides the stream.
pub fn bound_to_packet_start(rule: &Rule) -> bool {
    rule.payload()
        .is_some_and(|chain| chain.contents().any(|content| content.depth.is_some() || content.offset.is_some()))
}
