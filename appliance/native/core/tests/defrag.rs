//! IP defragmentation: whatever the order, the datagram comes out as if sent whole; attacks cost bounded memory.

#![allow(clippy::too_many_lines, clippy::type_complexity)] // tables of cases
mod support;

use support::{ethernet, frame, ipv4, ipv6, raw, tcp, udp, Xorshift};
use vedette_core::decode::{Config, Decoded, Decoder, Overlap, Reason};
use vedette_core::packet::{Frame, LinkType};

const MORE: u16 = 0x2000;

fn decoder(overlap: Overlap) -> Decoder {
    Decoder::new(Config { overlap, ..Config::default() })
}

/// Cuts `body` into pieces of `size` bytes (a multiple of 8), each an IPv4 datagram.
fn split4(id: u16, proto: u8, body: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = body.len().div_ceil(size);
    let piece = |(index, chunk): (usize, &[u8])| {
        let more = if index + 1 < count { MORE } else { 0 };
        ipv4(id, (index * size / 8) as u16 | more, proto, &[], chunk)
    };
    body.chunks(size).enumerate().map(piece).collect()
}

fn fragment6(id: u32, offset: usize, more: bool, next: u8, chunk: &[u8]) -> Vec<u8> {
    let mut body = vec![next, 0];
    body.extend((offset as u16 | u16::from(more)).to_be_bytes());
    body.extend(id.to_be_bytes());
    body.extend(chunk);
    ipv6(44, &body)
}

fn split6(id: u32, next: u8, body: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = body.len().div_ceil(size);
    let piece = |(index, chunk)| fragment6(id, index * size, index + 1 < count, next, chunk);
    body.chunks(size).enumerate().map(piece).collect()
}

/// What became of the last frame: the payload, or why not (None while held).
fn run(decoder: &mut Decoder, frames: &[Vec<u8>]) -> Option<Result<Vec<u8>, Reason>> {
    let mut last = None;
    for bytes in frames {
        last = match decoder.decode(&raw(bytes)) {
            Decoded::Packet(packet) => Some(Ok(packet.payload.to_vec())),
            Decoded::Fragment => None,
            Decoded::Ignored(reason) => Some(Err(reason)),
        };
    }
    last
}

#[test]
fn pieces_in_any_order_give_the_datagram_sent_whole() {
    let mut random = Xorshift(11);
    for round in 0..200 {
        let len = 9 + random.below(4000);
        let payload = random.bytes(len);
        let size = 8 * (1 + random.below(40));
        let (segment, v6) = (udp(&payload, round % 2 == 1), round % 2 == 1);
        let mut pieces = if v6 { split6(7, 17, &segment, size) } else { split4(7, 17, &segment, size) };
        if pieces.len() == 1 {
            continue;
        }
        random.shuffle(&mut pieces);
        let mut decoder = decoder(Overlap::Bsd);
        let (last, before) = pieces.split_last().unwrap();
        assert_eq!(run(&mut decoder, before), None);
        let whole = if v6 { ipv6(17, &segment) } else { ipv4(7, 0, 17, &[], &segment) };
        let Decoded::Packet(packet) = decoder.decode(&raw(last)) else { panic!("round {round}: not complete") };
        assert_eq!(packet.payload, payload);
        assert_eq!(packet.ip, whole, "header rewritten as if sent whole");
        assert_eq!(decoder.counters().reassembled, 1);
        assert_eq!(decoder.counters().fragments, pieces.len() as u64);
        assert_eq!(decoder.defrag_memory_bytes(), 0, "nothing stays behind");
    }
}

#[test]
fn fragments_of_one_byte_over_a_header_still_give_the_segment() {
    let segment = tcp(2, &[], b"GET / HTTP/1.1\r\n\r\n", false);
    assert_eq!(run(&mut decoder(Overlap::Bsd), &split4(1, 6, &segment, 8)), Some(Ok(segment[20..].to_vec())));
}

#[test]
fn overlaps_go_to_whom_the_policy_names() {
    // Three 8-byte units. The rows are pieces (unit, length, letter) in order of arrival; the last policy column wins per unit.
    type Row = (&'static str, &'static [(usize, usize, u8)], [&'static [u8]; 4]);
    let cases: [Row; 5] = [
        ("later one further right", &[(0, 2, b'a'), (1, 2, b'b')], [b"aab", b"abb", b"aab", b"aab"]),
        ("later one further left", &[(1, 2, b'b'), (0, 2, b'a')], [b"abb", b"aab", b"aab", b"aab"]),
        ("same range", &[(0, 1, b'a'), (0, 1, b'b'), (1, 2, b'c')], [b"acc", b"bcc", b"acc", b"bcc"]),
        ("same begin, longer", &[(0, 1, b'a'), (0, 2, b'b'), (2, 1, b'c')], [b"abc", b"bbc", b"abc", b"bbc"]),
        ("inside (teardrop)", &[(0, 2, b'a'), (1, 1, b'b'), (2, 1, b'c')], [b"aac", b"abc", b"aac", b"aac"]),
    ];
    let policies = [Overlap::First, Overlap::Last, Overlap::Bsd, Overlap::Linux];
    for (name, pieces, expected) in cases {
        for (policy, units) in policies.into_iter().zip(expected) {
            let frames: Vec<_> = pieces
                .iter()
                .map(|&(unit, len, letter)| {
                    let more = if unit + len < 3 { MORE } else { 0 };
                    ipv4(3, unit as u16 | more, 200, &[], &vec![letter; len * 8])
                })
                .collect();
            let mut decoder = decoder(policy);
            let expected: Vec<u8> = units.iter().flat_map(|&letter| [letter; 8]).collect();
            assert_eq!(run(&mut decoder, &frames), Some(Ok(expected)), "{name}, {policy:?}");
            assert_eq!(decoder.counters().fragment_overlaps, 1, "{name}, {policy:?}");
        }
    }
}

#[test]
fn fragments_no_host_would_take_are_refused() {
    let data = [7_u8; 64];
    let unfinished = ipv4(9, MORE, 17, &[], &data);
    let options = [1_u8; 40];
    let cases: Vec<(&str, Vec<Vec<u8>>, Reason)> = vec![
        ("ping of death", vec![ipv4(1, 0x1fff, 1, &[], &data)], Reason::FragmentBad),
        (
            "ping of death by a long first header",
            { vec![ipv4(1, 0x1ff8, 1, &[], &[7; 10]), ipv4(1, MORE, 1, &options, &[7; 65_472])] },
            Reason::FragmentBad,
        ),
        ("ipv6, past the end", vec![fragment6(1, 0xfff8, false, 17, &data)], Reason::FragmentBad),
        ("empty", vec![ipv4(1, MORE, 17, &[], &[])], Reason::FragmentBad),
        ("ipv6, 12 bytes in the middle", vec![fragment6(1, 0, true, 17, &data[..12])], Reason::FragmentBad),
        ("less than 8 bytes in the middle", vec![ipv4(1, MORE, 17, &[], &data[..7])], Reason::FragmentBad),
        ("beyond the end", vec![ipv4(9, 1, 17, &[], &data[..8]), unfinished.clone()], Reason::FragmentConflict),
        ("a second end", vec![ipv4(9, 8, 17, &[], &data), ipv4(9, 16, 17, &[], &data)], Reason::FragmentConflict),
        ("an end before data", vec![unfinished, ipv4(9, 1, 17, &[], &data[..8])], Reason::FragmentConflict),
        (
            "ipv6, a fragment in a fragment",
            {
                let inner = [&[17_u8, 0, 0, 1, 0, 0, 0, 1][..], &data].concat();
                split6(1, 44, &inner, 40)
            },
            Reason::FragmentNested,
        ),
    ];
    for (name, frames, reason) in cases {
        let mut decoder = decoder(Overlap::Bsd);
        assert_eq!(run(&mut decoder, &frames), Some(Err(reason)), "{name}");
        assert_eq!(decoder.counters().fragments_dropped(), 1, "{name}");
    }
}

#[test]
fn a_fragment_the_capture_cut_is_not_put_together() {
    let bytes = ipv4(1, MORE, 17, &[], &[0; 64]);
    let cut = Frame { original_len: bytes.len() as u32, ..raw(&bytes[..60]) };
    let decoded = decoder(Overlap::Bsd).decode(&cut).into_reason();
    assert_eq!(decoded, Some(Reason::FragmentCut));
}

trait IntoReason {
    fn into_reason(self) -> Option<Reason>;
}

impl IntoReason for Decoded<'_> {
    fn into_reason(self) -> Option<Reason> {
        match self {
            Self::Ignored(reason) => Some(reason),
            _ => None,
        }
    }
}

#[test]
fn a_middle_piece_with_a_ragged_end_is_cut_to_whole_units() {
    let data: Vec<u8> = (0..24).collect();
    let frames = [ipv4(1, MORE, 200, &[], &data[..15]), ipv4(1, 1, 200, &[], &data[8..])];
    assert_eq!(run(&mut decoder(Overlap::First), &frames), Some(Ok(data)));
}

#[test]
fn the_same_id_in_another_vlan_is_another_datagram() {
    let pieces = split4(1, 17, &udp(&[1; 40], false), 24);
    let tagged = |vlan: u8, ip: &[u8]| ethernet(0x8100, &[&[0, vlan, 8, 0][..], ip].concat());
    let mut decoder = decoder(Overlap::Bsd);
    for (vlan, piece, whole) in [(1, 0, false), (2, 1, false), (2, 0, true), (1, 1, true)] {
        let bytes = tagged(vlan, &pieces[piece]);
        let outcome = decoder.decode(&frame(LinkType::Ethernet, &bytes));
        assert_eq!(matches!(outcome, Decoded::Packet(_)), whole, "vlan {vlan} piece {piece}");
    }
}

#[test]
fn an_incomplete_datagram_is_given_up_after_sixty_seconds_of_packet_time() {
    let pieces = split4(1, 17, &udp(&[1; 40], false), 24);
    for (wait_s, complete) in [(60, true), (61, false)] {
        let mut decoder = decoder(Overlap::Bsd);
        decoder.decode(&raw(&pieces[0]));
        let late = Frame { ts_ns: raw(&pieces[1]).ts_ns + wait_s * 1_000_000_000, ..raw(&pieces[1]) };
        assert_eq!(matches!(decoder.decode(&late), Decoded::Packet(_)), complete, "{wait_s} s");
        assert_eq!(decoder.counters().datagrams_timed_out, u64::from(!complete));
    }
}

#[test]
fn a_flood_of_first_fragments_stays_within_its_memory_and_drops_the_oldest() {
    let memcap = 1 << 20;
    let mut decoder = Decoder::new(Config { defrag_memcap_bytes: memcap, ..Config::default() });
    for id in 0..5_000_u16 {
        let bytes = ipv4(id, MORE, 17, &[], &[0; 1_480]);
        assert!(matches!(decoder.decode(&raw(&bytes)), Decoded::Fragment));
        assert!(decoder.defrag_memory_bytes() <= memcap);
    }
    assert!(decoder.counters().datagrams_evicted > 3_000);
    let last = ipv4(4_999, 185, 17, &[], &[0; 8]);
    assert!(matches!(decoder.decode(&raw(&last)), Decoded::Packet(_)), "a young one is complete");
    let first = ipv4(0, 185, 17, &[], &[0; 8]);
    assert!(matches!(decoder.decode(&raw(&first)), Decoded::Fragment), "the oldest one is forgotten");
}

#[test]
fn overlapping_pieces_of_one_datagram_are_bounded_in_number() {
    let mut decoder = decoder(Overlap::Last);
    let bytes = ipv4(1, MORE | 0x64, 17, &[], &[0; 1_480]);
    for _ in 0..1_024 {
        assert!(matches!(decoder.decode(&raw(&bytes)), Decoded::Fragment));
    }
    assert!(matches!(decoder.decode(&raw(&bytes)), Decoded::Ignored(Reason::FragmentLimit)));
}
