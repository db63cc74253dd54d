//! One datagram on its way back together: its pieces, which bytes are covered, and who wins where pieces overlap.
//!
//! Rules of this file: knows one datagram; time, memory limits and keys are `defrag`'s.

use super::checksum;
use super::defrag::Overlap;
use super::ip::{Datagram, Fragment};

/// Longest datagram that is put together.
pub const MAX_DATAGRAM_BYTES: usize = 65_535;

/// One piece, stored in order of arrival.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Offset in the datagram's data.
    offset: u32,
    /// Where its bytes begin in `Partial::data`.
    start: u32,
    len: u32,
}

/// How a piece fits what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Fills a hole.
    New,
    /// Shares bytes with another piece.
    Overlap,
    /// The very range of another piece and no news of the end: nothing changes unless the policy prefers the later one.
    Duplicate,
    /// Contradicts the end the datagram has, or the end it claims is before bytes that are there.
    Conflict,
}

/// An incomplete datagram.
#[derive(Debug, Default)]
pub struct Partial {
    /// When its first fragment came.
    pub created_ns: u64,
    /// Tells this datagram from a later one with the same key.
    pub serial: u64,
    header: Vec<u8>,
    next_header_at: usize,
    next_header: u8,
    pieces: Vec<Piece>,
    data: Vec<u8>,
    /// Disjoint, ascending, never touching ranges.
    covered: Vec<(u32, u32)>,
    total: Option<u32>,
}

impl Partial {
    /// A datagram without pieces.
    pub fn new(created_ns: u64, serial: u64) -> Self {
        Self { created_ns, serial, ..Self::default() }
    }

    /// Memory this datagram takes, its bookkeeping included.
    pub fn memory_bytes(&self) -> usize {
        // 192: the map entry with its key, the queue entry, and what allocators add to five blocks.
        192 + size_of::<Self>()
            + self.header.capacity()
            + self.data.capacity()
            + self.pieces.capacity() * size_of::<Piece>()
            + self.covered.capacity() * size_of::<(u32, u32)>()
    }

    /// How many pieces are stored.
    pub fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// How a piece from `offset` to `end` would fit.
    pub fn fit(&self, offset: u32, end: u32, more: bool) -> Fit {
        let reached = self.covered.last().map_or(0, |&(_, end)| end);
        match self.total {
            Some(total) if end > total || (!more && end != total) => return Fit::Conflict,
            None if !more && end < reached => return Fit::Conflict,
            _ => {}
        }
        let told = more || self.total.is_some();
        if told && self.pieces.iter().any(|piece| piece.offset == offset && piece.offset + piece.len == end) {
            return Fit::Duplicate;
        }
        if self.covered.iter().any(|&(from, to)| offset < to && from < end) {
            return Fit::Overlap;
        }
        Fit::New
    }

    /// Stores a piece that fits.
    pub fn add(&mut self, datagram: &Datagram<'_>, fragment: Fragment, body: &[u8]) {
        let end = fragment.offset + body.len() as u32;
        if !fragment.more {
            self.total = Some(end);
        }
        if fragment.offset == 0 && self.header.is_empty() {
            self.header.extend_from_slice(&datagram.ip[..fragment.header_len]);
            self.next_header_at = fragment.next_header_at;
            self.next_header = datagram.proto;
        }
        self.pieces.push(Piece { offset: fragment.offset, start: self.data.len() as u32, len: body.len() as u32 });
        self.data.extend_from_slice(body);
        self.cover(fragment.offset, end);
    }

    fn cover(&mut self, mut from: u32, mut to: u32) {
        let first = self.covered.partition_point(|&(_, end)| end < from);
        let mut last = first;
        while let Some(&(start, end)) = self.covered.get(last) {
            if start > to {
                break;
            }
            from = from.min(start);
            to = to.max(end);
            last += 1;
        }
        self.covered.splice(first..last, [(from, to)]);
    }

    /// Every byte from the first to the last is there.
    pub fn is_complete(&self) -> bool {
        matches!((self.total, self.covered.as_slice()), (Some(total), &[(0, end)]) if end == total)
    }

    /// Writes the whole datagram into `out`, as if it had come in one piece: lengths, fragment fields and the header
    /// checksum rewritten. False when the first fragment's header is so long that the whole passes 65,535 bytes.
    pub fn assemble(&mut self, policy: Overlap, out: &mut Vec<u8>) -> bool {
        let body_at = self.header.len();
        let total = self.total.unwrap_or(0) as usize;
        if body_at + total > MAX_DATAGRAM_BYTES {
            return false;
        }
        out.clear();
        out.extend_from_slice(&self.header);
        out.resize(body_at + total, 0);
        // Who wins is written last. Sorting is stable, so pieces of equal rank stay in order of arrival.
        match policy {
            Overlap::Last => {}
            Overlap::First => self.pieces.reverse(),
            Overlap::Linux => self.pieces.sort_by_key(|piece| std::cmp::Reverse(piece.offset)),
            Overlap::Bsd => {
                self.pieces.reverse();
                self.pieces.sort_by_key(|piece| std::cmp::Reverse(piece.offset));
            }
        }
        for piece in &self.pieces {
            let from = &self.data[piece.start as usize..(piece.start + piece.len) as usize];
            let at = body_at + piece.offset as usize;
            out[at..at + from.len()].copy_from_slice(from);
        }
        if out[0] >> 4 == 4 {
            let len = (out.len() as u16).to_be_bytes();
            out[2..4].copy_from_slice(&len);
            out[6..8].fill(0);
            out[10..12].fill(0);
            let sum = !checksum::fold(checksum::add(0, &out[..body_at]));
            out[10..12].copy_from_slice(&sum.to_ne_bytes());
        } else {
            let len = ((out.len() - 40) as u16).to_be_bytes();
            out[4..6].copy_from_slice(&len);
            out[self.next_header_at] = self.next_header;
        }
        true
    }
}
