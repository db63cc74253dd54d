//! How often, in which order and for whom a detector tells: streams, flow bits, thresholds, directions, ends, reloads.

mod harness;

use harness::{load, Bench, FakeTx, SECOND_NS};
use std::sync::Arc;
use vedette_core::detect::Detector;
use vedette_core::inspect::{AppProto, BufferId, Direction, Stage};
use vedette_core::packet::ip_proto;

use Direction::{ToClient, ToServer};

const NOTHING: [u32; 0] = [];

#[test]
fn a_pattern_across_the_seam_of_two_windows_is_found_once() {
    let mut bench = Bench::new(r#"alert tcp any any -> any any (content:"abcdef"; sid:1;)"#);
    assert_eq!(bench.stream(ToServer, b"xxabc", 0, 0), NOTHING);
    assert_eq!(bench.stream(ToServer, b"xxabcdef", 0, 5), [1]);
    assert_eq!(bench.stream(ToServer, b"abcdefxx", 2, 6), NOTHING);
    assert_eq!(bench.stream(ToClient, b"abcdef", 0, 0), [1]);
}

#[test]
fn what_a_packet_was_searched_for_is_found_in_its_stream_wherever_the_seam_is() {
    let rules = "alert tcp any any -> any any (content:\"needle-in-the-stream\"; sid:1;)\n\
                 alert tcp any any -> any any (content:\"packet-needle\"; offset:3; sid:2;)\n\
                 alert tcp any any -> any any (content:\"needle\"; dsize:>0; sid:3;)\n\
                 alert tcp any any -> any any (content:\"needle-in-the-stream\"; pcre:\"/^y/R\"; sid:4;)";
    let stream = b"xxxxxxxxneedle-in-the-stream yyyypacket-needle zzzz";
    for cut in 0..stream.len() {
        let mut bench = Bench::new(rules);
        let mut told = bench.packet_in_stream(ToServer, b"", &stream[..cut]);
        told.extend(bench.packet_in_stream(ToServer, &stream[..cut], &stream[cut..]));
        let count = |sid| told.iter().filter(|&&other| other == sid).count();
        assert_eq!((count(1), count(2), count(4)), (1, 1, 0), "cut at {cut}: {told:?}");
        let halves = [&stream[..cut], &stream[cut..]];
        let with_needle = halves.iter().filter(|half| half.windows(6).any(|there| there == b"needle")).count();
        assert_eq!(count(3), with_needle, "cut at {cut}: {told:?}");
    }
}

#[test]
fn the_second_content_may_come_in_a_later_window_that_still_has_the_first() {
    let mut bench =
        Bench::new(r#"alert tcp any any -> any any (content:"first"; fast_pattern; content:"2"; distance:0; sid:1;)"#);
    assert_eq!(bench.stream(ToServer, b"first....", 0, 0), NOTHING);
    assert_eq!(bench.stream(ToServer, b"first........", 0, 9), NOTHING);
    assert_eq!(bench.stream(ToServer, b"first........2", 0, 13), [1]);
    let mut bench =
        Bench::new(r#"alert tcp any any -> any any (content:"first"; fast_pattern; content:"2"; distance:0; sid:1;)"#);
    assert_eq!(bench.stream(ToServer, b"first....", 0, 0), NOTHING);
    assert_eq!(bench.stream(ToServer, b"....2", 20, 0), NOTHING);
    assert!(bench.notes.waiting.is_empty());
}

#[test]
fn depth_and_offset_count_from_the_beginning_of_the_stream() {
    let rules = r#"alert tcp any any -> any any (content:"abc"; depth:3; flow:only_stream; sid:1;)
        alert tcp any any -> any any (content:"abc"; offset:12; depth:3; flow:only_stream; sid:2;)"#;
    let mut bench = Bench::new(rules);
    assert_eq!(bench.stream(ToServer, b"abc", 10, 0), NOTHING);
    assert_eq!(bench.stream(ToServer, b"xxabc", 10, 3), [2]);
    assert_eq!(Bench::new(rules).stream(ToServer, b"abc", 0, 0), [1]);
}

#[test]
fn a_content_bound_to_the_beginning_is_also_looked_for_in_packets_and_told_once() {
    let mut bench = Bench::new(r#"alert tcp any any -> any any (content:"abc"; depth:3; sid:1;)"#);
    assert_eq!(bench.packet(ToServer, b"abc"), [1]);
    assert_eq!(bench.stream(ToServer, b"abc", 0, 0), NOTHING);
    assert_eq!(bench.packet(ToServer, b"abc"), NOTHING);
    let mut free = Bench::new(r#"alert tcp any any -> any any (content:"abc"; sid:1;)"#);
    assert_eq!(free.packet(ToServer, b"abc"), NOTHING);
    let mut packets = Bench::new(r#"alert tcp-pkt any any -> any any (content:"abc"; sid:1;)"#);
    assert_eq!(packets.stream(ToServer, b"abc", 0, 0), NOTHING);
    assert_eq!(packets.packet(ToServer, b"abc"), [1]);
    assert_eq!(packets.packet(ToServer, b"abc"), [1]);
}

#[test]
fn payload_that_did_not_go_through_the_stream_is_looked_at_in_its_packet() {
    let mut bench = Bench::new(
        r#"alert tcp any any -> any any (content:"abc"; sid:1;)
        alert tcp any any -> any any (content:"abc"; flow:only_stream; sid:2;)
        alert tcp any any -> any any (content:"abc"; flow:established; sid:3;)"#,
    );
    bench.in_stream = false;
    bench.established = false;
    assert_eq!(bench.packet(ToServer, b"abc"), [1]);
    assert_eq!(bench.lone_packet(b"abc"), [1]);
}

#[test]
fn ciphertext_is_not_looked_into_but_its_headers_are() {
    let mut bench = Bench::new(
        r#"alert tcp-pkt any any -> any any (content:"abc"; sid:1;)
        alert tcp any any -> any 80 (flow:established; sid:2;)"#,
    );
    bench.ciphertext = true;
    assert_eq!(bench.packet(ToServer, b"abc"), [2]);
}

#[test]
fn a_threshold_counts_each_hit_in_a_stream_once() {
    let rule = r#"alert tcp any any -> any any (content:"fail"; depth:100; threshold:type threshold, track by_src, count 3, seconds 60; sid:1;)"#;
    let mut bench = Bench::new(rule);
    let mut stream = Vec::new();
    let mut told = Vec::new();
    for _ in 0..7 {
        let before = stream.len();
        stream.extend_from_slice(b"fail.....");
        told.push(bench.packet(ToServer, b"fail.....").len() + bench.stream(ToServer, &stream, 0, before).len());
    }
    assert_eq!(told, [0, 0, 1, 0, 0, 1, 0]);
}

#[test]
fn an_ip_rule_looks_into_streams_and_into_other_packets() {
    let rule = r#"alert ip any any -> any any (content:"uid=0|28|root|29|"; sid:1;)"#;
    assert_eq!(Bench::new(rule).stream(ToClient, b"uid=0(root)", 0, 0), [1]);
    assert_eq!(Bench::udp(rule).packet(ToClient, b"uid=0(root)"), [1]);
    let mut icmp = Bench { proto: ip_proto::ICMP, ..Bench::new(rule) };
    assert_eq!(icmp.lone_packet(b"uid=0(root)"), [1]);
}

#[test]
fn flow_state_and_direction_are_asked_for() {
    let cases: &[(&str, bool, bool, bool)] = &[
        // options, matches to server established, to client established, to server not established
        ("", true, true, true),
        ("flow:established;", true, true, false),
        ("flow:not_established;", false, false, true),
        ("flow:stateless;", true, true, true),
        ("flow:to_server;", true, false, true),
        ("flow:from_client,established;", true, false, false),
        ("flow:established,to_client;", false, true, false),
        ("flow:from_server;", false, true, false),
        ("flow:no_stream;", false, false, false),
    ];
    for (options, server, client, open) in cases {
        let rule = format!(r#"alert tcp any any -> any any (content:"abc"; {options} sid:1;)"#);
        assert_eq!(Bench::new(&rule).stream(ToServer, b"abc", 0, 0).len() == 1, *server, "{options}");
        assert_eq!(Bench::new(&rule).stream(ToClient, b"abc", 0, 0).len() == 1, *client, "{options}");
        let mut bench = Bench { established: false, ..Bench::new(&rule) };
        assert_eq!(bench.stream(ToServer, b"abc", 0, 0).len() == 1, *open, "{options}");
    }
    let mut lone = Bench {
        proto: ip_proto::UDP,
        ..Bench::new(r#"alert udp any any -> any any (content:"abc"; flow:to_server; sid:1;)"#)
    };
    assert_eq!(lone.lone_packet(b"abc"), NOTHING);
}

#[test]
fn ends_are_held_against_the_header() {
    let cases: &[(&str, bool, bool)] = &[
        // header, matches client to server, server to client (10.0.0.1:40000 and 203.0.113.5:80)
        ("any any -> any any", true, true),
        ("$HOME_NET any -> $EXTERNAL_NET any", true, false),
        ("$EXTERNAL_NET any -> $HOME_NET any", false, true),
        ("any any -> any 80", true, false),
        ("any any -> any $HTTP_PORTS", true, false),
        ("any 80 -> any any", false, true),
        ("any any -> any !80", false, true),
        ("any any -> any [1:79,81:]", false, true),
        ("any any <> any 80", true, true),
        ("$HOME_NET any <> 203.0.113.0/24 80", true, true),
        ("$HOME_NET any <> 203.0.114.0/24 80", false, false),
        ("10.0.0.1 40000 -> 203.0.113.5 80", true, false),
        ("any 1024: -> any :1023", true, false),
    ];
    for (header, server, client) in cases {
        let rule = format!(r#"alert udp {header} (content:"abc"; sid:1;)"#);
        assert_eq!(Bench::udp(&rule).packet(ToServer, b"abc").len() == 1, *server, "{header}");
        assert_eq!(Bench::udp(&rule).packet(ToClient, b"abc").len() == 1, *client, "{header}");
    }
}

#[test]
fn address_rules_are_told_once_per_flow_and_direction_and_per_packet_without_a_flow() {
    let rule = "alert ip [203.0.113.5,198.51.100.0/24] any -> $HOME_NET any (msg:\"listed\"; sid:1;)
        alert tcp any any -> any any (sid:2;)
        alert udp any any -> any any (sid:3;)";
    let mut bench = Bench::new(rule);
    assert_eq!(bench.packet(ToServer, b""), [2]);
    assert_eq!(bench.packet(ToServer, b"x"), NOTHING);
    assert_eq!(bench.packet(ToClient, b""), [1, 2]);
    assert_eq!(bench.packet(ToClient, b""), NOTHING);
    assert_eq!(bench.lone_packet(b""), [2]);
    assert_eq!(bench.lone_packet(b""), [2]);
}

#[test]
fn flow_bits_chain_rules_within_and_across_inspections() {
    let rules = r#"alert tcp any any -> any any (content:"three"; flowbits:isset,two; sid:1;)
        alert tcp any any -> any any (content:"two"; flowbits:isset,one; flowbits:set,two; sid:2;)
        alert tcp any any -> any any (content:"one"; flowbits:set,one; flowbits:noalert; sid:3;)
        alert tcp any any -> any any (content:"undo"; flowbits:unset,two; noalert; sid:4;)
        alert tcp any any -> any any (content:"either"; flowbits:isset,two|other; sid:5;)
        alert tcp any any -> any any (content:"none"; flowbits:isnotset,two; sid:6;)"#;
    let mut bench = Bench::new(rules);
    assert_eq!(bench.stream(ToServer, b"three two one", 0, 0), [1, 2]);
    let mut bench = Bench::new(rules);
    assert_eq!(bench.stream(ToServer, b"two", 0, 0), NOTHING);
    assert_eq!(bench.stream(ToClient, b"one", 0, 0), NOTHING);
    // The window still has "two", whose bit has come by now.
    assert_eq!(bench.stream(ToServer, b"two either", 0, 3), [2, 5]);
    assert_eq!(bench.stream(ToServer, b"undo", 100, 0), NOTHING);
    assert_eq!(bench.stream(ToServer, b"three none", 200, 0), [6]);
}

#[test]
fn a_rule_that_tests_and_sets_a_bit_comes_before_those_that_only_test_it() {
    let mut bench = Bench::udp(
        "alert udp any any -> any any (content:\"a\"; flowbits:isset,b; sid:1;)
         alert udp any any -> any any (content:\"a\"; flowbits:isnotset,b; flowbits:set,b; noalert; sid:2;)",
    );
    assert_eq!(bench.packet(ToServer, b"a"), [1]);
}

#[test]
fn the_payload_half_over_udp_is_the_datagram_of_the_transaction() {
    let rule =
        r#"alert dns any any -> any any (content:"|01 00|"; offset:2; depth:2; dns.query; content:"evil"; sid:1;)"#;
    let mut bench = Bench::udp(rule);
    bench.app = AppProto::Dns;
    bench.packet(ToServer, b"xx\x01\x00evil");
    assert_eq!(bench.transaction(Stage::Request, &mut FakeTx::dns(&[b"evil"])), [1]);
    bench.packet(ToServer, b"xx\x00\x00evil");
    assert_eq!(bench.transaction(Stage::Request, &mut FakeTx::dns(&[b"evil"])), NOTHING);
}

#[test]
fn header_keywords_are_held_against_each_packet() {
    // The bench's TCP packets have ACK and PSH, its ICMP packets type 8 and code 0.
    let tcp = [
        ("PA", true),
        ("A", false),
        ("A+", true),
        ("+A", true),
        ("*SA", true),
        ("*S", false),
        ("!S", true),
        ("PA,S", true),
        ("SPA,S", false),
        ("0", false),
    ];
    for (flags, expected) in tcp {
        let mut bench = Bench::new(&format!("alert tcp any any -> any any (flags:{flags}; sid:1;)"));
        assert_eq!(bench.packet(ToServer, b"").len() == 1, expected, "{flags}");
        assert_eq!(bench.packet(ToServer, b"").len() == 1, expected, "{flags}, each packet");
    }
    for (options, expected) in
        [("itype:8;", true), ("itype:>8;", false), ("icode:0; itype:<9;", true), ("icode:1;", false)]
    {
        let rule = format!("alert icmp any any -> any any ({options} sid:1;)");
        let mut bench = Bench { proto: ip_proto::ICMP, ..Bench::new(&rule) };
        assert_eq!(bench.lone_packet(b"").len() == 1, expected, "{options}");
    }
}

#[test]
fn a_toggled_bit_turns_over() {
    let mut bench = Bench::udp(
        "alert udp any any -> any any (content:\"t\"; flowbits:toggle,b; noalert; sid:1;)
         alert udp any any -> any any (content:\"?\"; flowbits:isset,b; sid:2;)",
    );
    assert_eq!(bench.packet(ToServer, b"t?"), [2]);
    assert_eq!(bench.packet(ToServer, b"t?"), NOTHING);
    assert_eq!(bench.packet(ToServer, b"?"), NOTHING);
}

#[test]
fn thresholds_follow_packet_time_and_their_track() {
    let mut bench = Bench::udp(
        "alert udp any any -> any any (content:\"a\"; threshold:type limit, track by_src, count 1, seconds 10; sid:1;)
         alert udp any any -> any any (content:\"a\"; threshold:type both, track by_both, count 3, seconds 10; sid:2;)",
    );
    let mut told = Vec::new();
    for second in [0, 1, 2, 3, 15, 16, 17] {
        bench.now_ns = second * SECOND_NS;
        told.push(bench.packet(ToServer, b"a"));
    }
    assert_eq!(told, [vec![1], vec![], vec![2], vec![], vec![1], vec![], vec![2]]);
    bench.client.0 = "10.0.0.2".parse().unwrap();
    assert_eq!(bench.packet(ToServer, b"a"), [1]);
}

#[test]
fn alerts_come_by_priority_then_number_and_carry_the_facts() {
    let mut bench = Bench::new(
        "alert http any any -> any any (http.uri; content:\"/a\"; priority:3; sid:1;)
         alert http any any -> any any (http.uri; content:\"/a\"; priority:1; sid:9;)
         alert http any any -> any any (http.uri; content:\"/a\"; classtype:trojan-activity; sid:4;)",
    );
    bench.app = AppProto::Http;
    let mut tx = FakeTx::http(&[(BufferId::HttpUri, b"/a")]);
    assert_eq!(bench.transaction(Stage::Request, &mut tx), [4, 9, 1]);
    assert_eq!(bench.transaction(Stage::Request, &mut tx), NOTHING);
}

#[test]
fn a_rule_is_judged_at_the_stage_where_its_last_buffer_is_final() {
    let mut bench = Bench::new(
        "alert http any any -> any any (http.request_body; content:\"x\"; http.uri; content:\"/needle\"; sid:1;)",
    );
    let mut tx = FakeTx::http(&[(BufferId::HttpUri, b"/needle")]);
    assert_eq!(bench.transaction(Stage::Request, &mut tx), NOTHING);
    tx.buffers.push((BufferId::HttpRequestBody, b"x".to_vec()));
    assert_eq!(bench.transaction(Stage::RequestBody, &mut tx), [1]);
    assert_eq!(bench.transaction(Stage::ResponseBody, &mut tx), NOTHING);
}

#[test]
fn payload_contents_of_application_rules_need_the_protocol_and_both_halves() {
    let plain = r#"alert http any any -> any any (content:"Secret"; sid:1;)"#;
    let mut bench = Bench::new(plain);
    assert_eq!(bench.stream(ToServer, b"GET / Secret", 0, 0), NOTHING);
    bench.app = AppProto::Http;
    assert_eq!(bench.stream(ToServer, b"GET / Secret more", 0, 12), [1]);

    let mixed = r#"alert tcp any any -> any 80 (flow:to_server; content:"Secret"; content:"/a"; http_uri; sid:1;)"#;
    let mut bench = Bench::new(mixed);
    let mut tx = FakeTx::http(&[(BufferId::HttpUri, b"/a")]);
    assert_eq!(bench.transaction(Stage::Request, &mut tx), NOTHING);
    assert_eq!(bench.stream(ToServer, b"GET /a Secret", 0, 0), NOTHING);
    let mut tx = FakeTx::http(&[(BufferId::HttpUri, b"/a")]);
    assert_eq!(bench.transaction(Stage::Request, &mut tx), [1]);
}

#[test]
fn a_rule_that_asks_for_the_protocol_alone_is_told_once_per_direction() {
    let mut bench = Bench::new("alert http any any -> any any (sid:1;)");
    assert_eq!(bench.packet(ToServer, b""), NOTHING);
    bench.app = AppProto::Http;
    assert_eq!(bench.packet(ToServer, b""), [1]);
    assert_eq!(bench.packet(ToServer, b""), NOTHING);
    assert_eq!(bench.packet(ToClient, b""), [1]);
}

#[test]
fn replacing_the_set_keeps_flow_bits_by_name_and_thresholds_by_rule() {
    let first = "alert tcp any any -> any any (content:\"a\"; flowbits:set,other; noalert; sid:1;)
        alert tcp any any -> any any (content:\"a\"; flowbits:set,kept; noalert; sid:2;)
        alert tcp any any -> any any (content:\"t\"; threshold:type limit, track by_rule, count 1, seconds 60; sid:3;)";
    let second = "alert tcp any any -> any any (content:\"b\"; flowbits:isset,kept; sid:7;)
        alert tcp any any -> any any (content:\"b\"; flowbits:isset,fresh; sid:8;)
        alert tcp any any -> any any (content:\"t\"; threshold:type limit, track by_rule, count 1, seconds 60; sid:3;)";
    let mut bench = Bench::new(first);
    assert_eq!(bench.stream(ToServer, b"a t", 0, 0), [3]);
    bench.detector.replace(Arc::new(load(second))).unwrap();
    assert_eq!(bench.stream(ToServer, b"b t", 10, 0), [7]);
}

#[test]
fn an_alert_says_whose_bytes_matched() {
    let set = Arc::new(load(r#"alert http any any -> any any (file_data; content:"x"; flow:to_client; sid:1;)"#));
    let mut bench = Bench::new("");
    bench.detector = Detector::new(set).unwrap();
    let mut tx = FakeTx::http(&[(BufferId::HttpResponseBody, b"x")]);
    bench.app = AppProto::Http;
    let taken = bench.transaction_alerts(Stage::ResponseBody, &mut tx);
    let alert = &taken[0];
    assert_eq!((alert.src, alert.dst), (bench.server, bench.client));
    assert!(!alert.to_server);
    assert_eq!((alert.flow_id, alert.tx_id, alert.app), (7, Some(3), AppProto::Http));
    assert_eq!(alert.facts, [("test", b"fact".to_vec())]);
    assert_eq!(alert.packet, b"datagram");
}
