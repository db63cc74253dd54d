//! How rare a byte is in traffic: for searching by a content's rarest byte and for choosing fast patterns.
//!
//! A coarse rank, written down from what text protocols carry; only speed depends on it, never an answer.

/// 0 (everywhere) to 255 (hardly ever).
pub fn rank(byte: u8) -> u8 {
    match byte {
        0x00 | b' ' | b'e' => 5,
        b'a' | b't' | b'i' | b'n' | b'o' | b's' | b'r' => 15,
        b'l' | b'c' | b'd' | b'p' | b'm' | b'u' | b'h' | b'/' | b'.' | b'-' => 30,
        b'\r' | b'\n' | b':' | b'=' | b'"' | b'<' | b'>' | b'0' | b'1' => 40,
        b'g' | b'f' | b'b' | b'y' | b'w' | b'v' | b',' | b';' | b'2'..=b'9' | 0xff => 55,
        b'k' | b'x' | b'_' | b'&' | b'?' | b'(' | b')' | b'A' | b'C' | b'E' | b'S' | b'T' => 75,
        b'A'..=b'Z' | 0x01 => 95,
        b'j' | b'q' | b'z' | b'%' | b'+' | b'\'' | b'*' | b'#' => 120,
        0x02..=0x1f => 140,
        0x20..=0x7f => 150,
        0x80..=0xfe => 170,
    }
}

/// Rank when upper and lower case count as one.
pub fn rank_nocase(byte: u8) -> u8 {
    rank(byte.to_ascii_lowercase()).min(rank(byte.to_ascii_uppercase()))
}

/// Index of the rarest byte.
pub fn rarest(bytes: &[u8], nocase: bool) -> usize {
    let rank = |byte: u8| if nocase { rank_nocase(byte) } else { rank(byte) };
    (0..bytes.len()).max_by_key(|&at| (rank(bytes[at]), std::cmp::Reverse(at))).unwrap_or(0)
}
