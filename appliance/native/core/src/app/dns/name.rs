//! Domain names on the wire: labels and compression pointers (RFC 1035 sections 3.1 and 4.1.4).
//!
//! Invariants: at most `MAX_NAME_BYTES` of text and `MAX_POINTERS` jumps, so that reading always ends. A name that
//! exceeds them by way of a pointer is cut there (its end in the message is known), another one is malformed. Bytes of
//! labels are kept as they are.

use super::message::Malformed;

/// More than the 255 bytes of RFC 1035: implementations pass longer names on, and rules should see them. Suricata's
/// limit.
const MAX_NAME_BYTES: usize = 1025;
const MAX_POINTERS: usize = 255;

/// Append the name at `at` to `out` as dotted text without the last dot; the offset behind it.
pub fn read_name(message: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, Malformed> {
    let begin = out.len();
    let (mut at, mut behind, mut jumps) = (at, None, 0);
    loop {
        let len = usize::from(*message.get(at).ok_or(Malformed)?);
        match len & 0xc0 {
            0x00 if len == 0 => return Ok(behind.unwrap_or(at + 1)),
            0x00 => {
                let label = message.get(at + 1..at + 1 + len).ok_or(Malformed)?;
                if out.len() > begin {
                    out.push(b'.');
                }
                out.extend_from_slice(label);
                if out.len() - begin > MAX_NAME_BYTES {
                    out.truncate(begin + MAX_NAME_BYTES);
                    return behind.ok_or(Malformed);
                }
                at += 1 + len;
            }
            0xc0 => {
                let low = usize::from(*message.get(at + 1).ok_or(Malformed)?);
                behind.get_or_insert(at + 2);
                jumps += 1;
                if jumps > MAX_POINTERS {
                    return behind.ok_or(Malformed);
                }
                at = (len & 0x3f) << 8 | low;
            }
            // 0x40 and 0x80 are reserved.
            _ => return Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &[u8], at: usize) -> Result<(String, usize), Malformed> {
        let mut out = Vec::new();
        let behind = read_name(message, at, &mut out)?;
        Ok((String::from_utf8_lossy(&out).into_owned(), behind))
    }

    #[test]
    fn labels_and_pointers_give_dotted_text() {
        let message = b"\x03www\x07example\x03com\x00\x04mail\xc0\x04";
        assert_eq!(read(message, 0), Ok(("www.example.com".into(), 17)));
        assert_eq!(read(message, 17), Ok(("mail.example.com".into(), 24)));
        assert_eq!(read(b"\x00", 0), Ok((String::new(), 1)));
        assert_eq!(read(b"\xc0\x02\x01a\x00", 0), Ok(("a".into(), 2)), "a pointer forward");
    }

    #[test]
    fn a_loop_of_pointers_ends_with_the_name_cut() {
        assert_eq!(read(b"\xc0\x00", 0), Ok((String::new(), 2)));
        let (name, behind) =
            read(b"\x3faaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc0\x00", 0).unwrap();
        assert_eq!((name.len(), behind), (MAX_NAME_BYTES, 66));
    }

    #[test]
    fn reserved_bits_cut_names_and_endless_names_are_refused() {
        let long: Vec<u8> =
            std::iter::repeat_n([&[63_u8][..], &[b'a'; 63]].concat(), 17).flatten().chain([0]).collect();
        let cases: [&[u8]; 5] = [b"\x40a", b"\x80a", b"\x05ab", b"\xc0", &long];
        for message in cases {
            assert_eq!(read(message, 0), Err(Malformed), "{message:?}");
        }
    }
}
