//! How large a capture ring is and how it is cut into blocks: arithmetic only.
//!
//! The ring has two promises to keep, one per kind of traffic:
//! - **fast**: it holds `ring_mib` of frames, whatever time that is. 64 MiB are 0.5 s of a full 1 Gbit/s link; whoever taps
//!   more takes a larger ring (MiB = Gbit/s x 120 x seconds).
//! - **slow**: the kernel hands a block over when it is full or after the block timeout, however little is in it. So N blocks
//!   last at least (N - 1) timeouts (one is being read), and the timeout is chosen as `ring_ms` / (N - 1): a stall of `ring_ms`
//!   loses nothing at any rate up to the one above. The timeout is also how long a lone frame waits to be seen.
//!
//! An interface's ring is shared evenly among its threads, because the fanout shares its traffic among them.

/// Blocks as large as this keep the cost of a hand-over small; smaller ones serve small rings.
const BLOCK_BYTES: u32 = 1 << 20;
/// A block must hold the largest frame there is (64 KiB of a segment put together by the card) with its headers.
const MIN_BLOCK_BYTES: u32 = 128 << 10;
/// With fewer blocks, one being read is too large a part of the ring.
const FEW_BLOCKS: u32 = 16;
/// Below this the ring cannot be cut at all.
const MIN_BLOCKS: u32 = 4;

/// The geometry of one thread's ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingPlan {
    /// Bytes per block, a power of two.
    pub block_bytes: u32,
    /// Number of blocks.
    pub blocks: u32,
    /// Milliseconds after which the kernel hands over a block that is not full.
    pub block_timeout_ms: u32,
}

impl RingPlan {
    /// Plans one thread's part of an interface's ring.
    ///
    /// The error says what came and what is allowed: `ring_mib` from half a MiB per thread to 4,096 in all, `ring_ms` from 1 to
    /// 60,000.
    pub fn new(ring_mib: u32, ring_ms: u32, threads: u32) -> Result<Self, String> {
        if !(1..=60_000).contains(&ring_ms) {
            return Err(format!("ring_ms {ring_ms}: 1 to 60000 are allowed"));
        }
        if !(1..=4_096).contains(&ring_mib) {
            return Err(format!("ring_mib {ring_mib}: 1 to 4096 are allowed"));
        }
        let share = (u64::from(ring_mib) << 20) / u64::from(threads.max(1));
        let mut block_bytes = BLOCK_BYTES;
        while block_bytes > MIN_BLOCK_BYTES && share / u64::from(block_bytes) < u64::from(FEW_BLOCKS) {
            block_bytes /= 2;
        }
        let blocks = (share / u64::from(block_bytes)) as u32;
        if blocks < MIN_BLOCKS {
            let needed = (u64::from(MIN_BLOCKS * MIN_BLOCK_BYTES) * u64::from(threads)).div_ceil(1 << 20);
            return Err(format!("ring_mib {ring_mib}: {threads} threads need at least {needed}"));
        }
        Ok(Self { block_bytes, blocks, block_timeout_ms: ring_ms.div_ceil(blocks - 1) })
    }

    /// The ring's size.
    pub fn bytes(&self) -> usize {
        self.block_bytes as usize * self.blocks as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_of_any_size_lasts_the_time_asked_for_when_blocks_are_handed_over_by_timeout() {
        for ring_mib in [1, 2, 3, 8, 16, 64, 100, 1_000, 4_096] {
            for ring_ms in [1, 10, 500, 60_000] {
                for threads in [1, 2, 3, 4, 16, 64] {
                    let Ok(plan) = RingPlan::new(ring_mib, ring_ms, threads) else {
                        assert!(ring_mib * 2 < threads, "{ring_mib} MiB for {threads} threads");
                        continue;
                    };
                    assert!((plan.blocks - 1) * plan.block_timeout_ms >= ring_ms);
                    assert!(plan.bytes() * threads as usize <= (ring_mib as usize) << 20);
                    assert!(plan.block_bytes.is_power_of_two() && plan.block_bytes >= MIN_BLOCK_BYTES);
                }
            }
        }
    }

    #[test]
    fn the_defaults_are_64_blocks_of_a_mebibyte_handed_over_after_8_ms() {
        let plan = RingPlan::new(64, 500, 1).unwrap();
        assert_eq!(plan, RingPlan { block_bytes: 1 << 20, blocks: 64, block_timeout_ms: 8 });
    }

    #[test]
    fn what_cannot_be_cut_is_refused_with_what_is_allowed() {
        for (ring_mib, ring_ms, threads, expected) in
            [(0, 500, 1, "1 to 4096"), (5_000, 500, 1, "1 to 4096"), (64, 0, 1, "1 to 60000"), (1, 1, 3, "at least 2")]
        {
            let error = RingPlan::new(ring_mib, ring_ms, threads).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
