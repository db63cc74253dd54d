//! Flows: timeouts, bounds, protocols without connections, determinism.

use super::*;

#[test]
fn silence_ends_a_flow_and_tells_what_was_open() {
    let mut w = worker(|_| {});
    Script::new(5000).open().data(true, REQUEST).send(&mut w);
    w.advance(500_000 * MS);
    assert_eq!(w.counters().flows_active, 1);
    w.advance(700_000 * MS);
    assert_eq!((w.counters().flows_active, w.counters().flows_timed_out), (0, 1));
    assert!(w.inspector().log.last().unwrap().starts_with("tx 0 Http ResponseBody"));
}

#[test]
fn beyond_the_depth_a_direction_is_told_as_ended_once() {
    let mut w = worker(|c| c.stream_depth_kib = 1);
    let mut script = Script::new(5000).open();
    for _ in 0..10 {
        script = script.data(true, &[b'x'; 500]);
    }
    script.close().send(&mut w);
    w.finish();
    assert_eq!((w.inspector().streams[0].len(), w.inspector().ends), (1024, [1, 0]));
    assert_eq!(w.counters().stream_depth_reached, 1);
}

#[test]
fn a_full_table_gives_flows_up_and_memory_stays_bounded() {
    let mut w = worker(|c| {
        c.flow_memcap_mib = 1;
        c.stream_memcap_mib = 1;
    });
    for i in 0..5_000_u16 {
        let mut script = Script::new(i + 1);
        script.now_ns = u64::from(i) * MS;
        let mut script =
            script.open().data(true, b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n").data(true, &[b'x'; 1400]);
        script.raw(true, tcp_flags::ACK, &[b'y'; 1400]);
        let last = script.segments.last_mut().unwrap();
        last.seq = last.seq.wrapping_add(100);
        script.send(&mut w);
        assert!(w.budget.used() < (1 << 20) + 16_384, "{}", w.budget.used());
    }
    let counters = w.counters();
    assert!(counters.flows_evicted > 3_000, "{counters:?}");
    assert!(counters.flows_active as usize <= w.flows.capacity());
    w.finish();
    assert_eq!((w.budget.used(), w.counters().flows_active), (0, 0));
}

#[test]
fn what_http_holds_of_many_flows_at_once_stays_within_the_budget() {
    /// Longest single piece of data: what one call may add before the budget is looked at again.
    const PIECE: usize = 1400;
    let line = [&b"X: "[..], &[b'h'; PIECE - 5], b"\r\n"].concat();
    let unfinished = [b'u'; PIECE];
    let pipelined = b"GET / HTTP/1.1\r\n\r\n".repeat(70);
    let answer = [&b"HTTP/1.1 200 OK\r\nX: "[..], &[b'h'; PIECE - 40], b"\r\n"].concat();
    for (to_server, piece) in
        [(true, &line[..]), (true, &unfinished), (true, &pipelined), (false, &answer), (false, &line)]
    {
        let mut w = worker(|c| c.stream_memcap_mib = 1);
        let mut scripts: Vec<Script> = (0..200).map(|i| Script::new(5000 + i).open()).collect();
        for script in &mut scripts {
            script.raw(true, tcp_flags::ACK, if to_server { b"GET / HTTP/1.1\r\n" } else { REQUEST });
        }
        for _ in 0..12 {
            for script in &mut scripts {
                script.raw(to_server, tcp_flags::ACK, piece);
                script.now_ns = 0;
            }
        }
        for place in 0..scripts[0].segments.len() {
            for script in &scripts {
                script.segments[place].send(&mut w);
            }
        }
        // A transaction takes about 40 times the bytes of the shortest request: one piece of those may come in beyond.
        assert!(w.budget.used() < (1 << 20) + 128 * 1024, "{} for {:?}", w.budget.used(), &piece[..8]);
        assert!(w.counters().app.http_memory_drops > 0 || w.counters().stream_memcap_drops > 0);
        w.finish();
        assert_eq!(w.budget.used(), 0);
    }
}

#[test]
fn the_end_of_time_is_a_time_like_any_other() {
    let mut w = worker(|_| {});
    for ts_ns in [0, u64::MAX, 1, u64::MAX - 1] {
        let mut script = Script::new(5000).open().data(true, REQUEST);
        script.segments.iter_mut().for_each(|segment| segment.ts_ns = ts_ns);
        script.send(&mut w);
        w.advance(ts_ns);
    }
    w.finish();
    assert_eq!(w.counters().flows_active, 0);
}

#[test]
fn dns_over_udp_is_known_before_its_packet_is_judged() {
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x01b\x00\x00\x01\x00\x01";
    let mut answer = query.to_vec();
    answer[2] = 0x81;
    let mut w = worker(|_| {});
    udp(&mut w, true, (4000, 53), query, 0);
    udp(&mut w, false, (4000, 53), &answer, MS);
    let expected = [
        "packet ToServer established=false Dns",
        "tx 0 Dns Request a.b",
        "packet ToClient established=true Dns",
        "tx 1 Dns Response ",
    ];
    assert_eq!(w.inspector().log, expected);
}

#[test]
fn a_flow_that_was_silent_for_too_long_is_another_one() {
    let mut w = worker(|_| {});
    udp(&mut w, true, (4000, 9), b"x", 0);
    udp(&mut w, true, (4000, 9), b"x", 29_000 * MS);
    assert_eq!(w.counters().flows_created, 1);
    udp(&mut w, true, (4000, 9), b"x", 60_000 * MS);
    assert_eq!(w.counters().flows_created, 2);
}

#[test]
fn later_fragments_have_no_flow_and_other_protocols_have_one() {
    let mut w = worker(|_| {});
    for (proto, flows) in [(ip_proto::TCP, 0), (ip_proto::UDP, 0), (47, 1)] {
        let l4 = L4::Other;
        w.packet(&Packet {
            ts_ns: 0,
            source: 0,
            vlan: [0, 0],
            ip: &[],
            src: CLIENT,
            dst: SERVER,
            proto,
            l4,
            payload: b"x",
        });
        assert_eq!(w.counters().flows_created, flows);
    }
    assert_eq!(w.inspector().packets, 3);
}

#[test]
fn the_same_packets_are_told_the_same_way() {
    let run = || {
        let mut w = worker(|c| c.seed = 42);
        for port in 0..50 {
            Script::new(1000 + port).open().data(true, REQUEST).data(false, ANSWER).send(&mut w);
        }
        w.finish();
        (w.inspector().log.clone(), w.inspector().ids.clone())
    };
    assert_eq!(run(), run());
}

#[test]
fn random_segments_never_panic_and_leave_nothing_behind() {
    let texts: [&[u8]; 5] = [REQUEST, ANSWER, b"GE", &[22, 3, 1, 0, 4, 1], b""];
    let mut x = 0xfeed_face_0bad_f00d_u64;
    let mut next = move |n: usize| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 9) as usize % n
    };
    for _ in 0..200 {
        let mut w = worker(|c| c.midstream = next(2) == 0);
        for i in 0..300 {
            let to_server = next(2) == 0;
            let data = texts[next(texts.len())].to_vec();
            let flags = [tcp_flags::ACK, tcp_flags::SYN, tcp_flags::SYN | tcp_flags::ACK, next(64) as u8][next(4)];
            let seq = (if to_server { 1000 } else { 9000 }) + next(300) as u32;
            let ack = (if to_server { 9000 } else { 1000 }) + next(300) as u32;
            Segment { to_server, port: 1 + next(3) as u16, seq, ack, flags, data, ts_ns: i * MS }.send(&mut w);
        }
        w.finish();
        assert_eq!(w.budget.used(), 0);
        assert_eq!(w.inspector().packets, 300);
    }
}
