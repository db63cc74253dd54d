//! Bytes that wait behind a hole: segments in order, never overlapping, bounded in number and bytes.
//!
//! Invariant: for neighbours a, b: a.end <= b.seq; `bytes` is the sum of what was taken from the budget.

use super::budget::Budget;
use super::overlap::OverlapPolicy;
use super::seq;
use std::collections::VecDeque;

/// Segments one direction may hold; each costs its bytes and `OVERHEAD`.
const MAX_SEGMENTS: usize = 1024;
const OVERHEAD: usize = 48;

#[derive(Debug)]
struct Segment {
    seq: u32,
    data: Box<[u8]>,
    /// The whole segment as it came: policies compare what was sent, not what is left of it.
    sent: (u32, u32),
}

impl Segment {
    fn end(&self) -> u32 {
        self.seq.wrapping_add(self.data.len() as u32)
    }
}

/// The segments waiting in one direction.
#[derive(Debug, Default)]
pub(super) struct Segments {
    list: VecDeque<Segment>,
    bytes: usize,
}

impl Segments {
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Sequence number of the first waiting byte.
    pub fn first(&self) -> Option<u32> {
        self.list.front().map(|s| s.seq)
    }

    /// Insert `data` at `seq`; where it overlaps, `policy` decides. False when a bound was hit and (part of) it was
    /// dropped.
    pub fn insert(&mut self, start: u32, data: &[u8], policy: OverlapPolicy, budget: &mut Budget) -> bool {
        let end = start.wrapping_add(data.len() as u32);
        let sent = (start, end);
        let mut at = start;
        let mut index = self.list.partition_point(|s| seq::le(s.end(), start));
        let mut kept = true;
        while seq::lt(at, end) {
            let Some(old) = self.list.get(index).filter(|s| seq::lt(s.seq, end)) else {
                kept &= self.place(index, at, slice(data, start, at, end), sent, budget);
                break;
            };
            if seq::lt(at, old.seq) {
                let hole_end = old.seq;
                if self.place(index, at, slice(data, start, at, hole_end), sent, budget) {
                    index += 1;
                } else {
                    kept = false;
                }
                at = hole_end;
                continue;
            }
            let (old_end, stop) = (old.end(), seq::min(old.end(), end));
            if policy.new_wins(old.sent, sent) {
                let offset = at.wrapping_sub(old.seq) as usize;
                let len = stop.wrapping_sub(at) as usize;
                let old = &mut self.list[index];
                old.data[offset..offset + len].copy_from_slice(slice(data, start, at, stop));
            }
            at = stop;
            if at == old_end {
                index += 1;
            }
        }
        kept
    }

    fn place(&mut self, index: usize, at: u32, data: &[u8], sent: (u32, u32), budget: &mut Budget) -> bool {
        if self.list.len() >= MAX_SEGMENTS || !budget.take(data.len() + OVERHEAD) {
            return false;
        }
        self.bytes += data.len() + OVERHEAD;
        self.list.insert(index, Segment { seq: at, data: data.into(), sent });
        true
    }

    /// Take out the first segment if it begins at `next` (or before: its old part is cut off).
    pub fn pop(&mut self, next: u32, budget: &mut Budget) -> Option<Vec<u8>> {
        while self.list.front().is_some_and(|s| seq::le(s.seq, next)) {
            let first = self.list.pop_front()?;
            self.bytes -= first.data.len() + OVERHEAD;
            budget.give(first.data.len() + OVERHEAD);
            let old = next.wrapping_sub(first.seq) as usize;
            if old < first.data.len() {
                let mut data = first.data.into_vec();
                data.drain(..old);
                return Some(data);
            }
        }
        None
    }

    /// Forget everything.
    pub fn clear(&mut self, budget: &mut Budget) {
        self.list = VecDeque::new();
        budget.give(self.bytes);
        self.bytes = 0;
    }
}

/// The part of `data` (which begins at `start`) from `from` up to `to`.
fn slice(data: &[u8], start: u32, from: u32, to: u32) -> &[u8] {
    &data[from.wrapping_sub(start) as usize..to.wrapping_sub(start) as usize]
}
