//! Sequence number arithmetic modulo 2^32 (RFC 9293 section 3.4): numbers are ordered as long as they lie within 2^31.

/// `a` comes before `b`.
#[inline]
pub fn lt(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) > 0x7fff_ffff
}

/// `a` comes before `b` or is `b`.
#[inline]
pub fn le(a: u32, b: u32) -> bool {
    !lt(b, a)
}

/// The later of the two.
#[inline]
pub fn max(a: u32, b: u32) -> u32 {
    if lt(a, b) {
        b
    } else {
        a
    }
}

/// The earlier of the two.
#[inline]
pub fn min(a: u32, b: u32) -> u32 {
    if lt(a, b) {
        a
    } else {
        b
    }
}

/// How far `b` lies after `a`; 0 when it does not.
#[inline]
pub fn distance(a: u32, b: u32) -> u32 {
    if lt(a, b) {
        b.wrapping_sub(a)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_holds_across_the_wrap() {
        for (a, b) in [(0, 1), (u32::MAX, 0), (0xffff_fff0, 0x10), (0x7fff_ffff, 0x8000_0000)] {
            assert!(lt(a, b) && !lt(b, a) && le(a, b) && !le(b, a));
            assert_eq!((max(a, b), min(a, b)), (b, a));
            assert_eq!(distance(a, b), b.wrapping_sub(a));
            assert_eq!(distance(b, a), 0);
        }
        assert!(le(5, 5) && !lt(5, 5));
    }
}
