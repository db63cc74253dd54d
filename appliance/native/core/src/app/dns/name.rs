//! Domain names on the wire: labels and compression pointers (RFC 1035 sections 3.1 and 4.1.4).
//!
//! Invariants: at most 255 bytes of text, at most `MAX_POINTERS` jumps, every pointer points before the place it stands at, so that
//! reading always ends. Bytes of labels are kept as they are.

use super::message::Malformed;

const MAX_NAME_BYTES: usize = 255;
const MAX_POINTERS: usize = 64;

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
                    return Err(Malformed);
                }
                at += 1 + len;
            }
            0xc0 => {
                let low = usize::from(*message.get(at + 1).ok_or(Malformed)?);
                let target = (len & 0x3f) << 8 | low;
                behind.get_or_insert(at + 2);
                jumps += 1;
                if target >= at || jumps > MAX_POINTERS {
                    return Err(Malformed);
                }
                at = target;
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
    }

    #[test]
    fn loops_forward_pointers_reserved_bits_and_cut_names_are_refused() {
        let long: Vec<u8> = std::iter::repeat_n([&[63_u8][..], &[b'a'; 63]].concat(), 5).flatten().chain([0]).collect();
        let cases: [(&[u8], usize); 9] = [
            (b"\xc0\x00", 0),
            (b"\x01a\xc0\x00", 0),
            (b"\x01a\xc0\x00", 2),
            (b"\xc0\x02\x00", 0),
            (b"\x40a", 0),
            (b"\x80a", 0),
            (b"\x05ab", 0),
            (b"\xc0", 0),
            (&long, 0),
        ];
        for (message, at) in cases {
            assert_eq!(read(message, at), Err(Malformed), "{message:?} at {at}");
        }
    }
}
