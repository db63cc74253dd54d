//! Tests of content codings: what is inflated, in pieces of any size, within its bound.

use super::*;
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

fn gzip(data: &[u8], flags: u8, optional: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
    out.extend_from_slice(optional);
    out.extend(compress_to_vec(data, 6));
    out.extend([0; 8]);
    out
}

fn decode(encoding: &str, input: &[u8], size: usize) -> (Vec<u8>, bool) {
    let mut decoder = Decoder::for_encoding(encoding.as_bytes(), 1 << 20).unwrap();
    let mut out = Vec::new();
    let mut broken = false;
    for chunk in input.chunks(size) {
        match decoder.feed(chunk, &mut |bytes| {
            out.extend_from_slice(bytes);
            out.len() < 1 << 20
        }) {
            Ok(true) => {}
            Ok(false) => break,
            Err(Broken) => {
                broken = true;
                break;
            }
        }
    }
    (out, broken)
}

#[test]
fn every_form_is_decoded_whatever_was_declared_and_however_it_is_split() {
    let text = b"some text that repeats, some text that repeats".repeat(9);
    let two = [gzip(&text[..100], 0, b""), gzip(&text[100..], 0, b"")].concat();
    let cases: [(&str, Vec<u8>); 9] = [
        ("gzip", gzip(&text, 0, b"")),
        ("x-gzip", gzip(&text, 4 | 8 | 16 | 2, b"\x03\x00abcname\0comment\0\x12\x34")),
        ("gzip", gzip(&text, 4, b"\x00\x00")),
        ("deflate", compress_to_vec_zlib(&text, 6)),
        ("deflate", compress_to_vec(&text, 6)),
        ("gzip", compress_to_vec_zlib(&text, 6)),
        ("deflate", gzip(&text, 0, b"")),
        ("gzip", two),
        ("gzip, deflate", gzip(&compress_to_vec_zlib(&text, 6), 0, b"")),
    ];
    for (i, (encoding, input)) in cases.iter().enumerate() {
        for size in [1, 2, 3, 7, 50, input.len()] {
            let (out, broken) = decode(encoding, input, size);
            assert!(out == text && !broken, "case {i} {encoding} by {size}: {:?}", String::from_utf8_lossy(&out));
        }
    }
}

#[test]
fn what_is_not_compressed_is_passed_on() {
    for text in [&b"<html>plain</html>"[..], b"Hello there, this is no deflate at all"] {
        for size in [1, 2, 5, text.len()] {
            let (out, _) = decode("gzip", text, size);
            assert_eq!(out, text, "by {size}");
        }
    }
}

#[test]
fn a_bomb_stops_where_the_caller_says_and_a_nested_one_at_the_inner_bound() {
    let bomb = gzip(&vec![0; 50 << 20], 0, b"");
    let (out, _) = decode("gzip", &bomb, 1460);
    assert!(out.len() >= 1 << 20 && out.len() < (1 << 20) + OUTPUT_BYTES);
    // The inner layer reads a gzip name that never ends: no output, bounded input.
    let mut inner = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
    inner.resize(50 << 20, b'n');
    let mut decoder = Decoder::for_encoding(b"gzip, gzip", 1 << 20).unwrap();
    let stopped = gzip(&inner, 0, b"").chunks(1460).position(|c| decoder.feed(c, &mut |_| true) == Ok(false));
    assert!(stopped.is_some());
    assert!(decoder.layers[0].produced <= (2 << 20) + INNER_ROOM_BYTES + OUTPUT_BYTES);
}

#[test]
fn a_flood_of_empty_blocks_and_members_ends_in_what_follows_them() {
    // An empty block with fixed codes is ten bits (RFC 1951 section 3.2.6): 0, 1 0, 0000000. Four of them are five bytes.
    let blocks = [0x02, 0x08, 0x20, 0x80, 0x00].repeat(250_000);
    let last = compress_to_vec(b"text", 6);
    let flood = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &blocks, &last, &[0; 8]].concat();
    assert_eq!(decode("gzip", &flood, 1460), (b"text".to_vec(), false));
    let members = [gzip(b"", 0, b"").repeat(50_000), gzip(b"text", 0, b"")].concat();
    assert_eq!(decode("gzip", &members, 1460), (b"text".to_vec(), false));
}

#[test]
fn more_layers_than_allowed_and_unknown_codings_stay() {
    assert!(Decoder::for_encoding(b"br", 9).is_none());
    assert!(Decoder::for_encoding(b"identity", 9).is_none());
    assert_eq!(Decoder::for_encoding(b"gzip, gzip, gzip", 9).unwrap().layers.len(), MAX_LAYERS);
}

#[test]
fn broken_streams_end_in_an_error_never_in_a_panic() {
    let text = b"some text that repeats, some text that repeats".repeat(9);
    let good = gzip(&text, 8, b"n\0");
    let mut x = 0xdead_beef_cafe_f00d_u64;
    for _ in 0..5_000 {
        let mut bad = good.clone();
        for _ in 0..3 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            let i = (x >> 8) as usize % bad.len();
            bad[i] = x as u8;
        }
        decode("gzip", &bad, 1 + (x >> 40) as usize % 40);
        decode("gzip, gzip", &bad, 1 + (x >> 40) as usize % 40);
    }
}
