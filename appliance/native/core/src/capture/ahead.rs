//! Fetches what will be read next into the processor's cache while the frame before it is inspected.
//!
//! Rules of this file: a hint only; it never changes what is read. Frames lie too far apart for the processor to guess.

/// How much of a frame is fetched: the capture's own header, link, IP and TCP headers, and the payload's beginning.
const FETCHED_BYTES: usize = 256;
/// What one fetch brings.
const LINE_BYTES: usize = 64;

/// Fetches the bytes at `at`, as far as there are any.
#[inline]
pub(super) fn fetch(bytes: &[u8], at: usize) {
    let Some(ahead) = bytes.get(at..) else { return };
    for line in ahead[..ahead.len().min(FETCHED_BYTES)].chunks(LINE_BYTES) {
        fetch_line(line.as_ptr());
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn fetch_line(line: *const u8) {
    use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
    // SAFETY: a hint that reads nothing; any address is allowed, and this one is within a slice.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
}

#[cfg(target_arch = "aarch64")]
#[inline]
fn fetch_line(line: *const u8) {
    // SAFETY: a hint that reads nothing; any address is allowed, and this one is within a slice.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{line}]", line = in(reg) line, options(readonly, nostack, preserves_flags))
    };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline]
fn fetch_line(_: *const u8) {}
