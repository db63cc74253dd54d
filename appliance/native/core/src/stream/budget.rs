//! A byte budget shared by all flows of a worker: what is queued, windowed or half parsed.
//!
//! Invariant: `used` never exceeds `limit` by way of [`Budget::take`]; who takes gives back the same number.

/// Bytes in use against a limit.
#[derive(Debug)]
pub struct Budget {
    used: usize,
    limit: usize,
    /// Requests refused because the limit was reached.
    pub refused: u64,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { used: 0, limit, refused: 0 }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Whether nothing is left.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.used >= self.limit
    }

    /// Whether more than half is used: time to keep less.
    #[inline]
    pub fn is_tight(&self) -> bool {
        self.used > self.limit / 2
    }

    /// Take `bytes`, or nothing: false, and the refusal is counted.
    #[inline]
    pub fn take(&mut self, bytes: usize) -> bool {
        if self.used + bytes > self.limit {
            self.refused += 1;
            return false;
        }
        self.used += bytes;
        true
    }

    /// Give `bytes` back.
    #[inline]
    pub fn give(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "gave back {bytes} of {}", self.used);
        self.used = self.used.saturating_sub(bytes);
    }

    /// Account for something that went from `before` to `after` bytes and may not fail.
    #[inline]
    pub fn adjust(&mut self, before: usize, after: usize) {
        self.used = (self.used + after).saturating_sub(before);
    }
}
