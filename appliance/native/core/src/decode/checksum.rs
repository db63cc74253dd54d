//! The Internet checksum (RFC 1071), over whole buffers.
//!
//! Rules of this file: arithmetic only. Sums are taken in the machine's byte order, which RFC 1071 section 2 (B) allows as
//! long as the result is stored, or compared with all ones, in the same order. Every piece but the last has an even length.

use std::net::IpAddr;

/// Adds `data` to a running sum. A last odd byte counts as if a zero followed.
#[inline]
pub fn add(sum: u64, data: &[u8]) -> u64 {
    let mut words = data.chunks_exact(4);
    let mut total = 0_u64;
    for word in &mut words {
        total += u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    }
    let mut last = [0_u8; 4];
    let rest = words.remainder();
    last[..rest.len()].copy_from_slice(rest);
    sum + total + u64::from(u32::from_ne_bytes(last))
}

/// Folds a running sum to the 16-bit one's complement sum.
#[inline]
pub fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// True when `data`, its checksum field included, sums to all ones.
#[inline]
pub fn is_valid(sum: u64) -> bool {
    fold(sum) == 0xffff
}

/// The sum over the pseudo header of TCP, UDP and `ICMPv6` (RFC 9293 section 3.1, RFC 8200 section 8.1).
#[inline]
pub fn pseudo_header(src: IpAddr, dst: IpAddr, proto: u8, len: usize) -> u64 {
    let mut sum = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => add(add(0, &src.octets()), &dst.octets()),
        (IpAddr::V6(src), IpAddr::V6(dst)) => add(add(0, &src.octets()), &dst.octets()),
        _ => 0,
    };
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    sum = add(sum, &len.to_be_bytes());
    add(sum, &[0, 0, 0, proto])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071_section_3_sums_to_ddf2() {
        let sum = fold(add(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]));
        assert_eq!(sum.to_ne_bytes(), [0xdd, 0xf2]);
    }

    #[test]
    fn an_odd_byte_counts_as_the_high_half_of_a_word() {
        for len in 0..12_usize {
            let odd: Vec<u8> = (0..len as u8).map(|byte| byte.wrapping_mul(37)).collect();
            let mut words = 0_u64;
            for pair in odd.chunks(2) {
                words += u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            }
            assert_eq!(fold(add(0, &odd)).to_ne_bytes(), fold(words).to_be_bytes(), "length {len}");
        }
    }
}
