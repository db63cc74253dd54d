//! SipHash-1-3 over 64-bit words: the keyed hash of the flow table and of flow ids.
//!
//! Keyed so that a sender who doesn't know the key cannot pile flows onto one bucket; the same on every platform so
//! that flow ids are reproducible. Source: Aumasson and Bernstein, "`SipHash`: a fast short-input PRF" (2012), with 1
//! and 3 rounds.

#[inline]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

/// SipHash-1-3 of `words` (each as eight little-endian bytes) under `key`.
#[inline]
pub fn siphash13(key: [u64; 2], words: &[u64]) -> u64 {
    let mut v = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    for &word in words {
        v[3] ^= word;
        round(&mut v);
        v[0] ^= word;
    }
    let tail = (words.len() as u64 * 8) << 56;
    v[3] ^= tail;
    round(&mut v);
    v[0] ^= tail;
    v[2] ^= 0xff;
    for _ in 0..3 {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

#[cfg(test)]
mod tests {
    use super::siphash13;
    use std::hash::Hasher;

    #[test]
    fn agrees_with_the_standard_library_under_the_zero_key() {
        // `DefaultHasher::new()` is SipHash-1-3 with both key halves zero.
        for len in 0..9_u64 {
            let words: Vec<u64> = (0..len).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
            let mut reference = std::collections::hash_map::DefaultHasher::new();
            for word in &words {
                reference.write(&word.to_le_bytes());
            }
            assert_eq!(siphash13([0, 0], &words), reference.finish(), "{len} words");
        }
    }

    #[test]
    fn another_key_gives_another_hash() {
        assert_ne!(siphash13([1, 2], &[7]), siphash13([1, 3], &[7]));
    }
}
