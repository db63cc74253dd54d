//! TCP: order, recognition, holes, beginnings and ends of connections.

use super::*;

#[test]
fn one_http_exchange_is_told_in_the_order_in_which_it_becomes_known() {
    let mut w = worker(|_| {});
    Script::new(5000).open().data(true, REQUEST).data(false, ANSWER).close().send(&mut w);
    let expected = [
        "packet ToServer established=false Unknown",
        "packet ToClient established=false Unknown",
        "packet ToServer established=true Unknown",
        "packet ToServer established=true Unknown",
        "stream ToServer Http +28",
        "tx 0 Http Request /a",
        "tx 0 Http RequestBody /a",
        "packet ToClient established=true Http",
        "stream ToClient Http +41",
        "tx 0 Http Response /a",
        "tx 0 Http ResponseBody /a",
        "packet ToServer established=true Http",
        "stream ToServer Http +0 last",
        "packet ToClient established=true Http",
        "stream ToClient Http +0 last",
        "packet ToServer established=true Http",
    ];
    assert_eq!(w.inspector().log, expected);
    assert_eq!(w.inspector().in_stream, 2);
    w.finish();
    assert_eq!(w.inspector().log.len(), expected.len(), "nothing is told twice");
    assert_eq!(w.budget.used(), 0);
}

#[test]
fn a_beginning_that_is_undecided_is_held_back_and_then_told_whole() {
    let mut w = worker(|_| {});
    let mut script = Script::new(5000).open();
    for byte in REQUEST {
        script = script.data(true, &[*byte]);
    }
    script.data(false, ANSWER).close().send(&mut w);
    let log = &w.inspector().log;
    assert!(log.contains(&"stream ToServer Http +4".to_owned()), "{log:#?}");
    assert_eq!(w.inspector().streams[0], REQUEST);
    assert!(log.contains(&"tx 0 Http Request /a".to_owned()));
}

#[test]
fn what_never_becomes_a_protocol_is_still_told_to_stream_rules() {
    let mut w = worker(|_| {});
    Script::new(5000).open().data(true, b"GE").data(false, b"\x01\x02").close().send(&mut w);
    w.finish();
    assert_eq!(w.inspector().streams, [b"GE".to_vec(), b"\x01\x02".to_vec()]);
    assert_eq!(w.inspector().ends, [1, 1]);
}

#[test]
fn shuffled_and_repeated_segments_give_the_same_streams_and_transactions() {
    let body = "0123456789abcdef".repeat(2000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut x = 0x1357_2468_9bdf_ace0_u64;
    let mut next = move |n: usize| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 9) as usize % n
    };
    for round in 0..60 {
        let mut script = Script::new(5000).open().data(true, REQUEST);
        let first = script.segments.len();
        let mut rest = answer.as_bytes();
        while !rest.is_empty() {
            let n = (1 + next(1460)).min(rest.len());
            script = script.data(false, &rest[..n]);
            rest = &rest[n..];
        }
        // Only the answer is shuffled; its segments acknowledge nothing new.
        let last = script.segments.len();
        for i in (first + 1..last).rev() {
            let j = i - next(1 + (i - first).min(20));
            script.segments.swap(i, j);
        }
        for _ in 0..5 {
            let copy = script.segments[first + next(last - first)].clone();
            script.segments.insert(first + next(last - first), copy);
        }
        let mut w = worker(|_| {});
        script.close().send(&mut w);
        assert_eq!(w.inspector().streams[1], answer.as_bytes(), "round {round}");
        assert!(w.inspector().log.iter().any(|l| l.starts_with("tx 0 Http ResponseBody")));
        assert_eq!((w.counters().stream_gaps, w.budget.used()), (0, 0));
    }
}

#[test]
fn a_hole_that_the_receiver_acknowledged_is_skipped_and_counted() {
    let mut w = worker(|_| {});
    let mut script = Script::new(5000).open().data(true, b"one ").data(true, b"lost").data(true, b" three");
    script.segments.remove(4);
    script.data(false, b"ack").send(&mut w);
    assert_eq!(w.inspector().streams[0], b"one  three");
    assert_eq!((w.counters().stream_gaps, w.counters().stream_gap_bytes), (1, 4));
}

#[test]
fn without_a_handshake_nothing_is_reassembled_unless_midstream_is_allowed() {
    for midstream in [false, true] {
        let mut w = worker(|c| c.midstream = midstream);
        let mut script = Script::new(5000).open().data(true, REQUEST).data(false, ANSWER);
        script.segments.drain(..3);
        script.send(&mut w);
        w.finish();
        let told = w.inspector().log.iter().filter(|l| l.starts_with("tx")).count();
        assert_eq!(told, if midstream { 4 } else { 0 });
        assert_eq!(w.inspector().in_stream, if midstream { 2 } else { 0 });
        assert_eq!(w.counters().stream_no_session, if midstream { 0 } else { 2 });
    }
}

#[test]
fn a_syn_ack_seen_first_makes_its_receiver_the_client() {
    let mut w = worker(|_| {});
    let mut script = Script::new(5000).open();
    script.segments.remove(0);
    script.send(&mut w);
    assert!(w.inspector().log[0].starts_with("packet ToClient"), "{:?}", w.inspector().log);
    assert!(w.inspector().log[1].ends_with("established=false Unknown"));
}

#[test]
fn a_handshake_captured_out_of_order_is_one_flow_and_counts() {
    let mut w = worker(|_| {});
    let mut script = Script::new(5000).open().data(true, REQUEST).data(false, ANSWER);
    script.segments.swap(0, 1);
    script.send(&mut w);
    assert_eq!((w.counters().flows_created, w.counters().app.http_transactions), (1, 1));
}

#[test]
fn data_that_came_with_the_syn_is_told_once_the_handshake_is_whole() {
    let mut w = worker(|_| {});
    let mut script = Script::new(5000);
    script.raw(true, tcp_flags::SYN, b"");
    script.segments[0].data = REQUEST.to_vec();
    script.next[0] += REQUEST.len() as u32;
    script.raw(false, tcp_flags::SYN | tcp_flags::ACK, b"");
    script.raw(true, tcp_flags::ACK, b"");
    script.data(false, ANSWER).send(&mut w);
    assert_eq!(w.inspector().streams[0], REQUEST);
    assert!(w.inspector().log.iter().any(|l| l.starts_with("tx 0 Http ResponseBody")));
}

#[test]
fn ports_used_again_are_another_flow() {
    let mut w = worker(|_| {});
    Script::new(5000).open().data(true, REQUEST).data(false, ANSWER).close().send(&mut w);
    let mut again = Script::new(5000);
    again.next = [77_777, 88_888];
    again.now_ns = 100 * MS;
    again.open().data(true, REQUEST).data(false, ANSWER).close().send(&mut w);
    assert_eq!(w.counters().flows_created, 2);
    assert_eq!(w.counters().app.http_transactions, 2);
    let mut ids = w.inspector().ids.clone();
    ids.dedup();
    assert_eq!(ids.len(), 2);
}

#[test]
fn a_new_connection_whose_predecessors_end_was_not_seen_is_another_flow() {
    let mut w = worker(|_| {});
    Script::new(5000).open().data(true, REQUEST).send(&mut w);
    let mut again = Script::new(5000);
    again.next = [0x7777_7777, 88_888];
    again.now_ns = 100 * MS;
    again.open().data(true, REQUEST).data(false, ANSWER).send(&mut w);
    assert_eq!((w.counters().flows_created, w.counters().app.http_transactions), (2, 2));
    assert!(w.inspector().log.iter().any(|l| l == "tx 0 Http ResponseBody abc" || l == "tx 0 Http ResponseBody /a"));
}

#[test]
fn a_reset_ends_both_directions_and_what_was_open() {
    let mut w = worker(|_| {});
    let mut script = Script::new(5000).open().data(true, REQUEST).data(false, b"HTTP/1.1 200 OK\r\n\r\nhalf");
    script.raw(false, tcp_flags::RST, b"");
    script.send(&mut w);
    assert!(w.inspector().log.last().unwrap().starts_with("tx 0 Http ResponseBody"), "{:#?}", w.inspector().log);
    assert_eq!((w.inspector().ends, w.budget.used()), ([1, 1], 0));
}

#[test]
fn tls_is_looked_at_until_application_data_has_come() {
    let mut w = worker(|_| {});
    let hello = [&[22, 3, 1, 0, 4, 1, 0, 0, 0][..], &[20, 3, 3, 0, 1, 1]].concat();
    let secret = [&[23, 3, 3, 4, 0][..], &[7; 1024]].concat();
    let mut script = Script::new(5000).open().data(true, &hello);
    for _ in 0..20 {
        script = script.data(true, &secret);
    }
    script.send(&mut w);
    assert_eq!(w.inspector().streams[0], [hello, secret].concat());
    assert_eq!((w.counters().stream_bypassed, w.counters().app.tls_flows), (1, 1));
    assert_eq!(w.inspector().in_stream, 21, "packet rules are not given the ciphertext instead");
}
