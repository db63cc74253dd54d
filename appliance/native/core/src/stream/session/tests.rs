//! Tests of TCP sessions: the state table, handshakes, resets, acceptance.

use super::*;
use crate::packet::tcp_flags::{ACK, FIN, RST, SYN};
use crate::stream::OverlapPolicy;
use Direction::{ToClient, ToServer};

const C: u32 = 1000;
const S: u32 = 0xffff_fff0;

fn header(seq: u32, ack: u32, flags: u8) -> TcpHeader {
    TcpHeader { sport: 1, dport: 2, seq, ack, flags, window: 8192, urgent: 0, window_scale: None, timestamps: None }
}

struct Peer {
    session: TcpSession,
    budget: Budget,
}

impl Peer {
    fn new() -> Self {
        Self { session: TcpSession::new(1 << 20), budget: Budget::new(1 << 20) }
    }

    fn see(&mut self, direction: Direction, header: TcpHeader, len: usize) -> Verdict {
        let verdict = self.session.segment(&header, direction, len, &mut self.budget);
        if verdict == Verdict::Accept && len > 0 && self.session.established() {
            let data = vec![0; len];
            self.session.half_mut(direction).push(header.seq, &data, OverlapPolicy::default(), &mut self.budget);
        }
        verdict
    }

    fn open() -> Self {
        let mut peer = Self::new();
        assert_eq!(peer.see(ToServer, header(C, 0, SYN), 0), Verdict::Accept);
        assert_eq!(peer.see(ToClient, header(S, C + 1, SYN | ACK), 0), Verdict::Accept);
        assert!(!peer.session.established());
        assert_eq!(peer.see(ToServer, header(C + 1, S.wrapping_add(1), ACK), 0), Verdict::Accept);
        assert!(peer.session.established());
        peer
    }
}

#[test]
fn a_handshake_establishes_and_two_fins_close() {
    let mut p = Peer::open();
    assert_eq!(p.see(ToServer, header(C + 1, S.wrapping_add(1), ACK), 10), Verdict::Accept);
    p.see(ToServer, header(C + 11, S.wrapping_add(1), ACK | FIN), 0);
    assert_eq!(p.session.settle(), [true, false]);
    assert_eq!(p.session.state(), TcpState::ClientClosing);
    p.see(ToClient, header(S.wrapping_add(1), C + 12, ACK | FIN), 0);
    assert_eq!(p.session.settle(), [false, true]);
    p.see(ToServer, header(C + 12, S.wrapping_add(2), ACK), 0);
    p.session.settle();
    assert_eq!(p.session.state(), TcpState::Closed);
}

#[test]
fn data_that_completes_the_handshake_counts_and_so_does_the_servers() {
    for direction in [ToServer, ToClient] {
        let mut p = Peer::new();
        p.see(ToServer, header(C, 0, SYN), 0);
        p.see(ToClient, header(S, C + 1, SYN | ACK), 0);
        let first = match direction {
            ToServer => header(C + 1, S.wrapping_add(1), ACK),
            ToClient => header(S.wrapping_add(1), C + 1, ACK),
        };
        assert_eq!(p.see(direction, first, 5), Verdict::Accept);
        assert!(p.session.established());
    }
}

#[test]
fn a_handshake_with_a_wrong_acknowledgement_is_none() {
    let mut p = Peer::new();
    p.see(ToServer, header(C, 0, SYN), 0);
    assert_eq!(p.see(ToClient, header(S, C + 77, SYN | ACK), 0), Verdict::Invalid);
    assert_eq!(p.see(ToServer, header(C + 1, S.wrapping_add(1), ACK), 5), Verdict::Invalid);
    assert!(!p.session.established());
}

#[test]
fn a_handshake_captured_out_of_order_counts_when_its_numbers_fit() {
    for (isn, whole) in [(C, true), (C + 5, false)] {
        let mut p = Peer::new();
        let answer = header(S, C + 1, SYN | ACK);
        p.session = TcpSession::answered(&answer, 1 << 20, &mut p.budget);
        assert_eq!(p.see(ToClient, answer, 0), Verdict::Accept);
        assert_eq!(p.see(ToServer, header(isn, 0, SYN), 0), Verdict::Accept);
        p.see(ToServer, header(isn + 1, S.wrapping_add(1), ACK), 0);
        assert_eq!(p.session.established(), whole);
    }
}

#[test]
fn a_simultaneous_open_establishes() {
    let mut p = Peer::new();
    p.see(ToServer, header(C, 0, SYN), 0);
    assert_eq!(p.see(ToClient, header(S, 0, SYN), 0), Verdict::Accept);
    assert_eq!(p.see(ToServer, header(C, S.wrapping_add(1), SYN | ACK), 0), Verdict::Accept);
    assert_eq!(p.see(ToClient, header(S, C + 1, SYN | ACK), 0), Verdict::Accept);
    assert_eq!(p.see(ToServer, header(C + 1, S.wrapping_add(1), ACK), 3), Verdict::Accept);
    assert!(p.session.established());
}

#[test]
fn a_reset_closes_only_when_its_number_is_acceptable() {
    let mut p = Peer::open();
    assert_eq!(p.see(ToClient, header(S.wrapping_add(0x1000_0000), 0, RST), 0), Verdict::Invalid);
    assert!(p.session.established());
    assert_eq!(p.see(ToClient, header(S.wrapping_add(1), 0, RST), 0), Verdict::Ignore);
    assert_eq!(p.session.state(), TcpState::Closed);
}

#[test]
fn a_refused_connection_closes_and_a_forged_refusal_does_not() {
    let mut p = Peer::new();
    p.see(ToServer, header(C, 0, SYN), 0);
    assert_eq!(p.see(ToClient, header(0, C + 9, RST | ACK), 0), Verdict::Invalid);
    assert_eq!(p.see(ToClient, header(0, C + 1, RST | ACK), 0), Verdict::Ignore);
    assert_eq!(p.session.state(), TcpState::Closed);
}

#[test]
fn a_refusal_that_echoes_an_older_time_is_forged() {
    for (echo, closed) in [(50, false), (100, true), (105, true), (0, true)] {
        let mut p = Peer::new();
        p.see(ToServer, TcpHeader { timestamps: Some((100, 0)), ..header(C, 0, SYN) }, 0);
        p.see(ToClient, TcpHeader { timestamps: Some((7, echo)), ..header(0, C + 1, RST | ACK) }, 0);
        assert_eq!(p.session.state() == TcpState::Closed, closed, "echo {echo}");
    }
}

#[test]
fn data_far_outside_the_window_and_wild_acknowledgements_change_nothing() {
    let mut p = Peer::open();
    assert_eq!(p.see(ToServer, header(C + 0x0100_0000, S.wrapping_add(1), ACK), 10), Verdict::Invalid);
    assert_eq!(p.see(ToServer, header(C + 1, S.wrapping_add(0x0100_0000), ACK), 10), Verdict::Invalid);
    assert_eq!(p.see(ToServer, header(C + 1, S.wrapping_add(1), ACK), 10), Verdict::Accept);
    assert_eq!(p.see(ToServer, header(C + 11, 0, 0), 10), Verdict::Invalid, "no ACK flag");
}

#[test]
fn after_a_great_loss_the_receivers_acknowledgement_tells_where_the_connection_is() {
    let mut p = Peer::open();
    let far = C + 0x0100_0000;
    assert_eq!(p.see(ToServer, header(far, S.wrapping_add(1), ACK), 10), Verdict::Invalid);
    assert_eq!(
        p.see(ToClient, header(S.wrapping_add(1), far + 0x0010_0000, ACK), 0),
        Verdict::Invalid,
        "not what was seen"
    );
    assert_eq!(p.see(ToClient, header(S.wrapping_add(1), far + 10, ACK), 0), Verdict::Accept);
    let half = p.session.half_mut(ToServer);
    assert_eq!(half.take_gap(), Some(far + 10 - (C + 1)));
    assert_eq!(p.see(ToServer, header(far + 10, S.wrapping_add(1), ACK), 10), Verdict::Accept);
}

#[test]
fn a_segment_with_an_older_timestamp_is_dropped_as_the_receiver_would() {
    let stamped = |seq, ack, flags, ts| TcpHeader { timestamps: Some((ts, 0)), ..header(seq, ack, flags) };
    let mut p = Peer::new();
    p.see(ToServer, stamped(C, 0, SYN, 100), 0);
    p.see(ToClient, stamped(S, C + 1, SYN | ACK, 500), 0);
    p.see(ToServer, stamped(C + 1, S.wrapping_add(1), ACK, 101), 0);
    assert_eq!(p.see(ToServer, stamped(C + 1, S.wrapping_add(1), ACK, 50), 10), Verdict::Invalid);
    assert_eq!(p.see(ToServer, stamped(C + 1, S.wrapping_add(1), ACK, 102), 10), Verdict::Accept);
}

#[test]
fn a_new_connection_on_living_ports_needs_the_servers_answer() {
    let mut p = Peer::open();
    assert_eq!(p.see(ToServer, header(99_000, 0, SYN), 0), Verdict::Ignore);
    assert!(p.session.established(), "a forged SYN does not end a connection");
    assert_eq!(p.see(ToClient, header(7, 99_001, SYN | ACK), 0), Verdict::NewConnection(99_000));
}

#[test]
fn a_syn_after_the_end_opens_anew() {
    let mut p = Peer::open();
    assert!(!p.session.reused_by(&header(99_000, 0, SYN)));
    p.see(ToClient, header(S.wrapping_add(1), 0, RST), 0);
    assert!(p.session.reused_by(&header(99_000, 0, SYN)));
}

#[test]
fn windows_are_scaled_only_when_both_sides_asked() {
    for (server_scale, accepted) in [(Some(7), true), (None, false)] {
        let mut p = Peer::new();
        p.see(ToServer, TcpHeader { window_scale: Some(7), ..header(C, 0, SYN) }, 0);
        p.see(ToClient, TcpHeader { window_scale: server_scale, ..header(S, C + 1, SYN | ACK) }, 0);
        p.see(ToServer, header(C + 1, S.wrapping_add(1), ACK), 0);
        p.see(ToClient, header(S.wrapping_add(1), C + 1, ACK), 0);
        let verdict = p.see(ToServer, header(C + 1 + 500_000, S.wrapping_add(1), ACK), 10);
        assert_eq!(verdict == Verdict::Accept, accepted, "{server_scale:?}");
    }
}

#[test]
fn a_connection_picked_up_in_the_middle_takes_both_directions() {
    let mut budget = Budget::new(1 << 20);
    let first = header(5000, 9000, ACK);
    let mut session = TcpSession::midstream(&first, ToServer, 1 << 20, &mut budget);
    assert!(session.established());
    assert_eq!(session.segment(&first, ToServer, 10, &mut budget), Verdict::Accept);
    assert_eq!(session.segment(&header(9000, 5010, ACK), ToClient, 10, &mut budget), Verdict::Accept);
}

#[test]
fn random_segments_never_panic_and_never_leak_budget() {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..300 {
        let mut p = Peer::new();
        for _ in 0..200 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            let direction = if x & 1 == 0 { ToServer } else { ToClient };
            let near = |bits: u64, base: u32| base.wrapping_add((bits % 4096) as u32).wrapping_sub(64);
            let (base, other) = if x & 1 == 0 { (C, S) } else { (S, C) };
            let mut h = header(near(x >> 8, base), near(x >> 24, other), (x >> 40) as u8 & 0x3f);
            if (x >> 48) % 4 == 0 {
                h.seq = (x >> 3) as u32;
            }
            p.see(direction, h, (x >> 52) as usize % 300);
            p.session.settle();
        }
        p.session.release(&mut p.budget);
        assert_eq!(p.budget.used(), 0);
    }
}
