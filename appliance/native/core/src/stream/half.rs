//! One direction of a TCP connection: from segments to bytes in order.
//!
//! Invariants: `next` only moves forward; every byte is delivered at most once, in order; what cannot be had (the peer
//! has acknowledged it, we have not seen it) is told as a gap; beyond the depth nothing is queued or delivered.

use super::budget::Budget;
use super::overlap::OverlapPolicy;
use super::segments::Segments;
use super::seq;

/// Bytes beyond the expected number that are accepted even when the peer's window says less: acknowledgements may have
/// been lost on the way to us. The largest unscaled window (RFC 9293 section 3.1).
const WINDOW_SLACK: u32 = 65_535;
/// Positions of urgent bytes ahead of `next` that are remembered; more are taken as ordinary data.
const MAX_URGENT: usize = 4;

/// What became of a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Push<'a> {
    /// These bytes come next: no copy was made.
    Deliver(&'a [u8]),
    /// It waits, or fills a hole: ask [`HalfStream::pop`] for what is ready.
    Queued,
    /// All of it was seen before, or the depth is reached.
    Nothing,
    /// No room: (part of) it is lost, which will show as a gap.
    Dropped,
}

/// One direction's state. "Sent" means by this direction's sender, "acked" by its receiver.
#[derive(Debug, Default)]
pub struct HalfStream {
    started: bool,
    stopped: bool,
    isn: u32,
    next: u32,
    max_end: u32,
    acked: u32,
    edge: u32,
    delivered: u64,
    depth: u64,
    fin: Option<u32>,
    segments: Segments,
    urgent: Vec<u32>,
    /// The end of a segment beyond the window, until the receiver acknowledges it.
    wild: Option<u32>,
    /// The receiver has acknowledged beyond what we could follow.
    lost: bool,
}

impl HalfStream {
    /// Begin with the number `isn` of the SYN; data follows it. `depth` is the most that will be delivered.
    pub fn start(&mut self, isn: u32, depth: u64, budget: &mut Budget) {
        self.segments.clear(budget);
        let next = isn.wrapping_add(1);
        *self = Self {
            started: true,
            isn,
            next,
            max_end: next,
            acked: next,
            edge: next.wrapping_add(WINDOW_SLACK),
            depth,
            ..Self::default()
        };
    }

    /// Whether a first number is known.
    pub fn started(&self) -> bool {
        self.started
    }

    /// The SYN's number.
    pub fn isn(&self) -> u32 {
        self.isn
    }

    /// The number expected next.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// The number after the last one sent.
    pub fn max_end(&self) -> u32 {
        self.max_end
    }

    /// Bytes delivered (or told as gaps): the stream offset of what comes next.
    pub fn offset(&self) -> u64 {
        self.delivered
    }

    /// Depth reached, or told to stop.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Deliver nothing more; forget what waits.
    pub fn stop(&mut self, budget: &mut Budget) {
        self.stopped = true;
        self.segments.clear(budget);
    }

    /// Whether `len` bytes at `at` can be what the receiver accepts (old ones are, the wild future is not).
    #[inline]
    pub fn in_window(&self, at: u32, len: u32) -> bool {
        seq::le(at.wrapping_add(len), self.limit())
    }

    /// The furthest number the receiver can have allowed.
    #[inline]
    pub fn limit(&self) -> u32 {
        seq::max(self.edge, self.next.wrapping_add(WINDOW_SLACK))
    }

    /// Whether a RST at `at` hits: between what was acknowledged and the window's edge (RFC 9293 section 3.5.3).
    pub fn accepts_reset(&self, at: u32) -> bool {
        self.started && seq::le(seq::min(self.acked, self.next), at) && seq::le(at, self.limit())
    }

    /// The receiver acknowledged up to `ack` and allows `window` bytes beyond.
    #[inline]
    pub fn acknowledge(&mut self, ack: u32, window: u32) {
        self.acked = seq::max(self.acked, ack);
        self.edge = seq::max(self.edge, ack.wrapping_add(window));
    }

    /// A segment beyond the window ends at `end`: an attack, or much was lost on the way to us. The receiver will tell.
    pub fn note_wild(&mut self, end: u32) {
        self.wild = Some(end);
    }

    /// The receiver acknowledges a number beyond the limit. If that is data we saw and did not believe, the connection
    /// has moved on without us: what lies between is lost and `next` will go there.
    pub fn catch_up(&mut self, ack: u32) -> bool {
        let real = self.wild.is_some_and(|end| seq::le(ack, end) && seq::le(end, ack.wrapping_add(WINDOW_SLACK)));
        if real {
            self.wild = None;
            self.lost = true;
            self.acked = seq::max(self.acked, ack);
            self.edge = seq::max(self.edge, ack.wrapping_add(WINDOW_SLACK));
        }
        real
    }

    /// Whether the receiver has acknowledged this number.
    pub fn has_acked(&self, number: u32) -> bool {
        seq::lt(number, self.acked)
    }

    /// The sender finished: its FIN stands at `at`.
    pub fn finish_at(&mut self, at: u32) {
        self.fin.get_or_insert(at);
    }

    /// The FIN's number.
    pub fn fin(&self) -> Option<u32> {
        self.fin
    }

    /// Everything up to the FIN has been delivered.
    #[inline]
    pub fn at_end(&self) -> bool {
        self.fin.is_some_and(|fin| self.stopped || seq::le(fin, self.next))
    }

    /// The byte with number `at` is urgent: it is no part of the stream (RFC 6093 section 3.1).
    pub fn urgent(&mut self, at: u32) {
        if seq::le(self.next, at) && self.urgent.len() < MAX_URGENT && !self.urgent.contains(&at) {
            self.urgent.push(at);
        }
        self.skip_urgent();
    }

    fn skip_urgent(&mut self) {
        while let Some(i) = self.urgent.iter().position(|&u| u == self.next) {
            self.urgent.swap_remove(i);
            self.next = self.next.wrapping_add(1);
            self.max_end = seq::max(self.max_end, self.next);
        }
    }

    /// Take `data` that was sent at number `at`.
    #[inline]
    pub fn push<'a>(&mut self, at: u32, data: &'a [u8], policy: OverlapPolicy, budget: &mut Budget) -> Push<'a> {
        let data = match self.fin {
            // The receiver takes nothing behind the FIN.
            Some(fin) => &data[..data.len().min(seq::distance(at, fin) as usize)],
            None => data,
        };
        let end = at.wrapping_add(data.len() as u32);
        self.max_end = seq::max(self.max_end, end);
        if self.stopped || seq::le(end, self.next) {
            return Push::Nothing;
        }
        let old = seq::distance(at, self.next) as usize;
        if self.segments.is_empty() && seq::le(at, self.next) && self.urgent.is_empty() {
            let fresh = &data[old..];
            let len = self.advance(fresh.len(), budget);
            return if len == 0 { Push::Nothing } else { Push::Deliver(&fresh[..len]) };
        }
        if self.segments.insert(at.wrapping_add(old as u32), &data[old..], policy, budget) {
            Push::Queued
        } else {
            Push::Dropped
        }
    }

    /// Keep `data` that came before the handshake was whole (RFC 7413); [`HalfStream::pop`] hands it out later.
    pub fn hold(&mut self, at: u32, data: &[u8], policy: OverlapPolicy, budget: &mut Budget) {
        self.max_end = seq::max(self.max_end, at.wrapping_add(data.len() as u32));
        let old = seq::distance(at, self.next) as usize;
        if !self.stopped && old < data.len() {
            self.segments.insert(at.wrapping_add(old as u32), &data[old..], policy, budget);
        }
    }

    /// The next bytes that waited and are in order now.
    pub fn pop(&mut self, budget: &mut Budget) -> Option<Vec<u8>> {
        if self.segments.is_empty() {
            return None;
        }
        let mut data = self.segments.pop(self.next, budget)?;
        let len = self.advance(data.len(), budget);
        self.skip_urgent();
        data.truncate(len);
        Some(data)
    }

    /// A hole the receiver has acknowledged: its length. `next` is then behind the hole; ask [`HalfStream::pop`], then
    /// here again.
    ///
    /// An acknowledgement alone makes no hole: captures show it before the data it is for, when they are taken on the
    /// sender's host or through several queues. Something must lie behind the hole: data, a FIN that was acknowledged
    /// too, or a place we must catch up with.
    #[inline]
    pub fn take_gap(&mut self) -> Option<u32> {
        if !seq::lt(self.next, self.acked) || self.stopped {
            self.lost = false;
            return None;
        }
        if self.segments.is_empty() && !self.lost && !self.fin.is_some_and(|fin| self.has_acked(fin)) {
            return None;
        }
        let mut end = self.acked;
        if let Some(fin) = self.fin {
            end = seq::min(end, fin);
        }
        if let Some(first) = self.segments.first() {
            end = seq::min(end, first);
        }
        let gap = seq::distance(self.next, end);
        if gap == 0 {
            return None;
        }
        self.next = end;
        self.max_end = seq::max(self.max_end, end);
        self.delivered += u64::from(gap);
        Some(gap)
    }

    /// Nothing will fill the holes any more: skip the first one. `next` is then where data waits.
    pub fn skip_hole(&mut self) -> Option<u32> {
        let gap = seq::distance(self.next, self.segments.first()?);
        self.next = self.next.wrapping_add(gap);
        self.delivered += u64::from(gap);
        (gap > 0).then_some(gap)
    }

    /// Move over `len` bytes; how many of them are within the depth.
    fn advance(&mut self, len: usize, budget: &mut Budget) -> usize {
        self.next = self.next.wrapping_add(len as u32);
        let left = self.depth.saturating_sub(self.delivered);
        let within = (len as u64).min(left);
        self.delivered += within;
        if self.delivered >= self.depth {
            self.stop(budget);
        }
        within as usize
    }

    /// Forget what waits; the flow ends.
    pub fn release(&mut self, budget: &mut Budget) {
        self.segments.clear(budget);
    }
}

#[cfg(test)]
mod tests;
