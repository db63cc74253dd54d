//! The bytes of one direction that stream rules look at: the new ones, and enough of what came before to match across
//! the seam.
//!
//! Invariant: holds at most twice what is to be kept (but for one larger chunk); after that many bytes have passed, at
//! least the bytes to keep are still there. A gap empties it: no match may span bytes that were not seen.

/// Earlier bytes that a match may begin in.
pub const KEEP_BYTES: usize = 8 * 1024;
/// The same when memory is short: a match may still span a few segments' seams.
pub const KEEP_BYTES_TIGHT: usize = 1024;

/// The last bytes of a direction.
#[derive(Debug, Default)]
pub struct InspectWindow {
    data: Vec<u8>,
    base_offset: u64,
}

impl InspectWindow {
    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.data.capacity()
    }

    /// What is held.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Stream offset of the first byte held.
    pub fn base_offset(&self) -> u64 {
        self.base_offset
    }

    /// Append `chunk`, which stands at stream offset `offset`, while `keep` earlier bytes stay in reach; the index of
    /// its first byte in [`InspectWindow::data`].
    pub fn append(&mut self, chunk: &[u8], offset: u64, keep: usize) -> usize {
        if self.data.is_empty() {
            self.base_offset = offset;
        } else if self.data.len() + chunk.len() > 2 * keep {
            let cut = self.data.len() - self.data.len().min(keep);
            self.data.drain(..cut);
            self.base_offset += cut as u64;
        }
        let new_from = self.data.len();
        self.data.extend_from_slice(chunk);
        if self.data.capacity() > 4 * keep {
            self.data.shrink_to(2 * keep);
        }
        new_from
    }

    /// Remember `chunk` after it was inspected in place (the window was empty): only its end is kept.
    pub fn remember(&mut self, chunk: &[u8], offset: u64, keep: usize) {
        let cut = chunk.len().saturating_sub(keep);
        self.base_offset = offset + cut as u64;
        self.data.clear();
        self.data.extend_from_slice(&chunk[cut..]);
    }

    /// Bytes are missing: begin anew.
    pub fn clear(&mut self) {
        self.data.clear();
    }

    /// Give the memory back too.
    pub fn free(&mut self) {
        self.data = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_bytes_stay_within_reach_and_offsets_stay_true() {
        let stream: Vec<u8> = (0..200_000_u32).map(|i| (i * 7 % 251) as u8).collect();
        let mut window = InspectWindow::default();
        let mut offset = 0;
        for chunk in stream.chunks(1461) {
            let new_from = window.append(chunk, offset as u64, KEEP_BYTES);
            assert_eq!(&window.data()[new_from..], chunk);
            let base = window.base_offset() as usize;
            assert_eq!(window.data(), &stream[base..offset + chunk.len()]);
            assert!(window.data().len() <= 2 * KEEP_BYTES);
            assert!(base == 0 || offset - base >= KEEP_BYTES, "{base} {offset}");
            offset += chunk.len();
        }
    }

    #[test]
    fn a_chunk_larger_than_the_window_is_held_whole_until_the_next() {
        let mut window = InspectWindow::default();
        window.append(&[1; 10], 0, KEEP_BYTES);
        let big = vec![2; 6 * KEEP_BYTES];
        assert_eq!(window.append(&big, 10, KEEP_BYTES), 10);
        assert_eq!(window.append(&[3; 5], 10 + big.len() as u64, KEEP_BYTES), KEEP_BYTES);
        assert_eq!(window.data().len(), KEEP_BYTES + 5);
    }

    #[test]
    fn after_a_gap_nothing_of_before_is_seen() {
        let mut window = InspectWindow::default();
        window.append(b"before", 0, KEEP_BYTES);
        window.clear();
        assert_eq!(window.append(b"after", 100, KEEP_BYTES), 0);
        assert_eq!((window.data(), window.base_offset()), (&b"after"[..], 100));
    }
}
