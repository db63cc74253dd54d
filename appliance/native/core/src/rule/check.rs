//! What a keyword's matching half implements: a check on a buffer, or a check on a packet's headers.
//!
//! Checks are pure: same window, same cursor, same answer. Who calls them in which order is `detect::chain`'s business.

use crate::packet::Packet;
use std::fmt::Debug;

/// The bytes a chain of checks runs over.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// The bytes.
    pub data: &'a [u8],
    /// Position of `data[0]` in its stream; 0 for packets and for buffers of the application layer, which are whole.
    pub base: u64,
    /// Much was tried already: a check may look at less than all to find a match behind the cursor.
    pub hurried: bool,
}

impl<'a> Window<'a> {
    /// A window at the beginning of a search.
    pub fn new(data: &'a [u8], base: u64) -> Self {
        Self { data, base, hurried: false }
    }
}

/// What a check says about a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It matched; the next relative check counts from `end`, and another match may be looked for from `again`.
    At {
        /// Index behind the match.
        end: usize,
        /// Where to look for another match.
        again: usize,
    },
    /// It holds, in one place only, and the next relative check counts from here.
    MovesTo(usize),
    /// It holds and moves nothing (negated checks, sizes).
    Holds,
    /// It does not match from here; another match of an earlier check may still help.
    No,
    /// It does not match and no other place can help: the whole chain fails.
    Never,
}

/// How a check depends on the match before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Not at all.
    Free,
    /// Anywhere behind it (a content with `distance` alone): the first match before it was the best one.
    Behind,
    /// In some other way (`within`, negated contents, expressions, byte tests): a later match before it may fit better.
    Near,
}

/// A check on a buffer.
pub trait BufferCheck: Debug + Send + Sync {
    /// Looks for a match: `cursor` is the end of the match before, `from` where to go on after a match that led nowhere.
    fn find(&self, window: &Window<'_>, cursor: usize, from: Option<usize>) -> Found;

    /// What a look for its first match counts as, in steps of the chain.
    fn cost(&self, _window: &Window<'_>, _cursor: usize) -> u32 {
        1
    }

    /// How it depends on the match before it.
    fn reach(&self) -> Reach {
        Reach::Free
    }

    /// Whether relative checks after it count from its match.
    fn moves(&self) -> bool {
        false
    }

    /// Whether another match is worth looking for when the next relative check, of this reach, has failed.
    fn retries(&self, next: Reach) -> bool {
        next == Reach::Near
    }
}

/// A check on the headers of one packet.
pub trait PacketCheck: Debug + Send + Sync {
    /// Whether it holds.
    fn holds(&self, packet: &Packet<'_>) -> bool;
}
