//! Tests of one direction's reassembly: order, overlaps by policy, holes.

use super::*;

const ISN: u32 = 0xffff_ff00; // every test crosses the wrap

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}

fn half(depth: u64) -> (HalfStream, Budget) {
    let mut budget = Budget::new(1 << 20);
    let mut half = HalfStream::default();
    half.start(ISN, depth, &mut budget);
    (half, budget)
}

fn at(offset: usize) -> u32 {
    ISN.wrapping_add(1).wrapping_add(offset as u32)
}

/// Push one segment and drain what is ready.
fn feed(half: &mut HalfStream, budget: &mut Budget, offset: usize, data: &[u8], policy: OverlapPolicy) -> Vec<u8> {
    let mut out = Vec::new();
    if let Push::Deliver(bytes) = half.push(at(offset), data, policy, budget) {
        out.extend_from_slice(bytes);
    }
    while let Some(bytes) = half.pop(budget) {
        out.extend(bytes);
    }
    out
}

#[test]
fn segments_in_order_are_delivered_without_a_copy() {
    let (mut half, mut budget) = half(u64::MAX);
    let data = b"hello";
    match half.push(at(0), data, OverlapPolicy::Bsd, &mut budget) {
        Push::Deliver(bytes) => assert!(std::ptr::eq(bytes, data.as_slice())),
        other => panic!("{other:?}"),
    }
    assert_eq!(half.push(at(0), data, OverlapPolicy::Bsd, &mut budget), Push::Nothing, "a retransmission");
    assert_eq!(half.push(at(3), b"lo world", OverlapPolicy::Bsd, &mut budget), Push::Deliver(b" world"), "partly old");
}

#[test]
fn any_order_and_any_consistent_overlap_gives_the_same_bytes() {
    let stream: Vec<u8> = (0..5000_u32).map(|i| (i * 31 % 253) as u8).collect();
    for seed in 1..200_u64 {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut pieces = Vec::new();
        let mut offset = 0;
        while offset < stream.len() {
            let len = (1 + rng.below(200)).min(stream.len() - offset);
            let back = rng.below(60).min(offset);
            let ahead = rng.below(60).min(stream.len() - offset - len);
            pieces.push((offset - back, &stream[offset - back..offset + len + ahead]));
            offset += len;
        }
        for i in (1..pieces.len()).rev() {
            let j = i.saturating_sub(rng.below(1 + i.min(40)));
            pieces.swap(i, j);
        }
        for policy in [OverlapPolicy::First, OverlapPolicy::Last, OverlapPolicy::Bsd, OverlapPolicy::Linux] {
            let (mut half, mut budget) = half(u64::MAX);
            let mut out = Vec::new();
            for (offset, data) in &pieces {
                out.extend(feed(&mut half, &mut budget, *offset, data, policy));
            }
            assert_eq!(out, stream, "seed {seed} {policy:?}");
            assert_eq!(budget.used(), 0, "seed {seed}: everything given back");
            assert_eq!(half.offset(), stream.len() as u64);
        }
    }
}

#[test]
fn contradicting_bytes_behind_a_hole_are_settled_by_the_policy() {
    // Offsets 0..2 are the hole. (old, new) segments, then what each policy makes of bytes 2..
    type Case<'a> = ((usize, &'a [u8]), (usize, &'a [u8]), [&'a [u8]; 4]);
    let cases: [Case; 4] = [
        ((4, b"oooo"), (2, b"NNNN"), [b"NNoooo", b"NNNNoo", b"NNNNoo", b"NNNNoo"]),
        ((2, b"oooo"), (2, b"NNNNNN"), [b"ooooNN", b"NNNNNN", b"ooooNN", b"NNNNNN"]),
        ((2, b"oooo"), (4, b"NNNN"), [b"ooooNN", b"ooNNNN", b"ooooNN", b"ooooNN"]),
        ((2, b"oooo"), (2, b"NNNN"), [b"oooo", b"NNNN", b"oooo", b"oooo"]),
    ];
    let policies = [OverlapPolicy::First, OverlapPolicy::Last, OverlapPolicy::Bsd, OverlapPolicy::Linux];
    for (old, new, expected) in cases {
        for (policy, expected) in policies.into_iter().zip(expected) {
            let (mut half, mut budget) = half(u64::MAX);
            assert!(feed(&mut half, &mut budget, old.0, old.1, policy).is_empty());
            assert!(feed(&mut half, &mut budget, new.0, new.1, policy).is_empty());
            let out = feed(&mut half, &mut budget, 0, b"..", policy);
            assert_eq!(&out[2..], expected, "{policy:?} {old:?} {new:?}");
        }
    }
}

#[test]
fn an_acknowledged_hole_is_told_as_a_gap_and_what_waited_follows() {
    let (mut half, mut budget) = half(u64::MAX);
    assert!(feed(&mut half, &mut budget, 10, b"later", OverlapPolicy::Bsd).is_empty());
    assert_eq!(half.take_gap(), None, "nobody has acknowledged it yet");
    half.acknowledge(at(15), 1000);
    assert_eq!(half.take_gap(), Some(10));
    assert_eq!(half.pop(&mut budget).as_deref(), Some(&b"later"[..]));
    assert_eq!((half.take_gap(), half.offset(), budget.used()), (None, 15, 0));
}

#[test]
fn an_acknowledgement_that_was_captured_before_its_data_makes_no_gap() {
    let (mut half, mut budget) = half(u64::MAX);
    half.acknowledge(at(5), 1000);
    assert_eq!(half.take_gap(), None);
    assert_eq!(feed(&mut half, &mut budget, 0, b"after", OverlapPolicy::Bsd), b"after");
    half.acknowledge(at(9), 1000);
    half.finish_at(at(8));
    assert_eq!(half.take_gap(), Some(3), "what an acknowledged FIN shows to be missing is missing");
}

#[test]
fn the_number_of_a_fin_is_no_gap() {
    let (mut half, mut budget) = half(u64::MAX);
    feed(&mut half, &mut budget, 0, b"all", OverlapPolicy::Bsd);
    half.finish_at(at(3));
    assert!(half.at_end());
    half.acknowledge(at(4), 1000);
    assert_eq!(half.take_gap(), None);
}

#[test]
fn nothing_behind_a_fin_is_delivered() {
    let (mut half, mut budget) = half(u64::MAX);
    half.finish_at(at(3));
    assert_eq!(feed(&mut half, &mut budget, 0, b"abcdef", OverlapPolicy::Bsd), b"abc");
    assert!(feed(&mut half, &mut budget, 6, b"gh", OverlapPolicy::Bsd).is_empty());
    assert_eq!(budget.used(), 0);
}

#[test]
fn nothing_is_delivered_or_kept_beyond_the_depth() {
    let (mut half, mut budget) = half(100);
    assert!(feed(&mut half, &mut budget, 90, &[1; 50], OverlapPolicy::Bsd).is_empty());
    let out = feed(&mut half, &mut budget, 0, &[2; 90], OverlapPolicy::Bsd);
    assert_eq!(out.len(), 100);
    assert!(half.stopped());
    assert!(feed(&mut half, &mut budget, 140, &[3; 50], OverlapPolicy::Bsd).is_empty());
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_flood_of_tiny_segments_behind_a_hole_is_bounded() {
    let (mut half, mut budget) = half(u64::MAX);
    let mut dropped = 0;
    for i in 0..50_000 {
        if half.push(at(2 + i * 2), b"x", OverlapPolicy::Bsd, &mut budget) == Push::Dropped {
            dropped += 1;
        }
    }
    assert!(dropped > 48_000 && budget.used() < 64 * 1024, "{dropped} {}", budget.used());
    half.release(&mut budget);
    assert_eq!(budget.used(), 0);
}

#[test]
fn an_exhausted_budget_drops_and_counts() {
    let mut budget = Budget::new(1000);
    let mut half = HalfStream::default();
    half.start(ISN, u64::MAX, &mut budget);
    assert_eq!(half.push(at(10), &[0; 900], OverlapPolicy::Bsd, &mut budget), Push::Queued);
    assert_eq!(half.push(at(2000), &[0; 900], OverlapPolicy::Bsd, &mut budget), Push::Dropped);
    assert_eq!(budget.refused, 1);
}

#[test]
fn an_urgent_byte_is_no_part_of_the_stream() {
    let (mut half, mut budget) = half(u64::MAX);
    let mut out = feed(&mut half, &mut budget, 0, b"ab", OverlapPolicy::Bsd);
    half.urgent(at(2));
    out.extend(feed(&mut half, &mut budget, 3, b"cd", OverlapPolicy::Bsd));
    assert_eq!(out, b"abcd");
    assert_eq!(half.offset(), 4);
}

#[test]
fn wild_numbers_are_outside_the_window() {
    let (mut half, _) = half(u64::MAX);
    assert!(half.in_window(at(0), 1460));
    assert!(half.in_window(at(0).wrapping_sub(5000), 1460), "old data is no attack");
    assert!(!half.in_window(at(70_000), 1));
    half.acknowledge(at(0), 1 << 20);
    assert!(half.in_window(at(70_000), 1), "the receiver's window allows it");
    assert!(!half.in_window(at(0).wrapping_add(0x7000_0000), 1));
}
