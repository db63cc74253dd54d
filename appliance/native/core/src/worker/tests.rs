use super::*;
use crate::inspect::{BufferId, FlowView, Stage, StreamWindow, Transaction};
use crate::packet::{tcp_flags, TcpHeader};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

/// An inspector that writes down what it is told.
#[derive(Default)]
struct Recorder {
    log: Vec<String>,
    /// Reassembled bytes per direction, of all flows one after another.
    streams: [Vec<u8>; 2],
    by_flow: HashMap<(u64, Direction), Vec<u8>>,
    ends: [u32; 2],
    packets: u64,
    in_stream: u64,
    ids: Vec<u64>,
}

impl Inspector for Recorder {
    fn packet(&mut self, _trigger: Trigger<'_>, flow: Option<(&mut FlowView<'_>, Direction)>) {
        self.packets += 1;
        if let Some((view, direction)) = flow {
            self.in_stream += u64::from(view.payload_in_stream);
            self.ids.push(view.id);
            self.log.push(format!("packet {direction:?} established={} {:?}", view.established, view.app));
        }
    }

    fn stream(&mut self, _trigger: Trigger<'_>, view: &mut FlowView<'_>, direction: Direction, window: StreamWindow<'_>) {
        let new = &window.data[window.new_from..];
        self.streams[direction as usize].extend_from_slice(new);
        let stream = self.by_flow.entry((view.id, direction)).or_default();
        assert_eq!(&stream[stream.len() - window.new_from..], &window.data[..window.new_from], "earlier bytes are those inspected before");
        stream.extend_from_slice(new);
        self.ends[direction as usize] += u32::from(window.last);
        self.log.push(format!("stream {direction:?} {:?} +{}{}", view.app, new.len(), if window.last { " last" } else { "" }));
    }

    fn transaction(&mut self, _trigger: Trigger<'_>, view: &mut FlowView<'_>, stage: Stage, tx: &mut dyn Transaction) {
        let buffer = [BufferId::HttpUri, BufferId::HttpResponseBody, BufferId::DnsQuery].iter().find_map(|&b| tx.buffer(b, 0));
        let text = String::from_utf8_lossy(buffer.unwrap_or_default());
        self.log.push(format!("tx {} {:?} {stage:?} {text}", tx.id(), view.app));
    }
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const MS: u64 = 1_000_000;

fn worker(change: impl FnOnce(&mut WorkerConfig)) -> Worker<Recorder> {
    let mut config = WorkerConfig::default();
    change(&mut config);
    Worker::new(config, Recorder::default())
}

#[derive(Clone)]
struct Segment {
    to_server: bool,
    port: u16,
    seq: u32,
    ack: u32,
    flags: u8,
    data: Vec<u8>,
    ts_ns: u64,
}

impl Segment {
    fn send(&self, worker: &mut Worker<Recorder>) {
        let (sport, dport) = if self.to_server { (self.port, 80) } else { (80, self.port) };
        let (src, dst) = if self.to_server { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let header = TcpHeader {
            sport,
            dport,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: 65_535,
            urgent: 0,
            window_scale: None,
            timestamps: None,
        };
        let packet = Packet {
            ts_ns: self.ts_ns,
            source: 0,
            vlan: [0, 0],
            ip: &[],
            src,
            dst,
            proto: ip_proto::TCP,
            l4: L4::Tcp(header),
            payload: &self.data,
        };
        worker.packet(&packet);
    }
}

/// Builds a conversation; numbers are chosen so that the server's wrap.
struct Script {
    port: u16,
    next: [u32; 2],
    now_ns: u64,
    segments: Vec<Segment>,
}

impl Script {
    fn new(port: u16) -> Self {
        Self { port, next: [1000, 0xffff_fffa], now_ns: 0, segments: Vec::new() }
    }

    fn raw(&mut self, to_server: bool, flags: u8, data: &[u8]) {
        let (us, them) = if to_server { (0, 1) } else { (1, 0) };
        self.now_ns += MS;
        let ack = if flags & tcp_flags::ACK != 0 { self.next[them] } else { 0 };
        let segment =
            Segment { to_server, port: self.port, seq: self.next[us], ack, flags, data: data.to_vec(), ts_ns: self.now_ns };
        let length = data.len() as u32 + u32::from(flags & (tcp_flags::SYN | tcp_flags::FIN) != 0);
        self.next[us] = self.next[us].wrapping_add(length);
        self.segments.push(segment);
    }

    fn open(mut self) -> Self {
        self.raw(true, tcp_flags::SYN, b"");
        self.raw(false, tcp_flags::SYN | tcp_flags::ACK, b"");
        self.raw(true, tcp_flags::ACK, b"");
        self
    }

    fn data(mut self, to_server: bool, data: &[u8]) -> Self {
        self.raw(to_server, tcp_flags::ACK, data);
        self
    }

    fn close(mut self) -> Self {
        self.raw(true, tcp_flags::ACK | tcp_flags::FIN, b"");
        self.raw(false, tcp_flags::ACK | tcp_flags::FIN, b"");
        self.raw(true, tcp_flags::ACK, b"");
        self
    }

    fn send(&self, worker: &mut Worker<Recorder>) {
        self.segments.iter().for_each(|s| s.send(worker));
    }
}

const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

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
fn tls_is_looked_at_until_encryption_begins() {
    let mut w = worker(|_| {});
    let hello = [&[22, 3, 1, 0, 4, 1, 0, 0, 0][..], &[20, 3, 3, 0, 1, 1]].concat();
    let secret = [&[23, 3, 3, 4, 0][..], &[7; 1024]].concat();
    let mut script = Script::new(5000).open().data(true, &hello);
    for _ in 0..20 {
        script = script.data(true, &secret);
    }
    script.send(&mut w);
    assert_eq!(w.inspector().streams[0], hello);
    assert_eq!((w.counters().stream_bypassed, w.counters().app.tls_flows), (1, 1));
    assert_eq!(w.inspector().in_stream, 21, "packet rules are not given the ciphertext instead");
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
        let mut script = script.open().data(true, b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n").data(true, &[b'x'; 1400]);
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

fn udp(worker: &mut Worker<Recorder>, to_server: bool, ports: (u16, u16), payload: &[u8], ts_ns: u64) {
    let (src, dst) = if to_server { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
    let (sport, dport) = if to_server { ports } else { (ports.1, ports.0) };
    let l4 = L4::Udp { sport, dport };
    worker.packet(&Packet { ts_ns, source: 0, vlan: [0, 0], ip: &[], src, dst, proto: ip_proto::UDP, l4, payload });
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
        w.packet(&Packet { ts_ns: 0, source: 0, vlan: [0, 0], ip: &[], src: CLIENT, dst: SERVER, proto, l4, payload: b"x" });
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
