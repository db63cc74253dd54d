//! Tests of DNS messages: cases as tables, hostile names, UDP and TCP framing.

use super::*;
use crate::app::{AppConfig, AppCounters, TransactionSink};
use crate::inspect::{BufferId, Transaction};

#[derive(Default)]
struct Recorder(Vec<String>);

impl TransactionSink for Recorder {
    fn transaction(&mut self, stage: Stage, tx: &mut dyn Transaction) {
        let queries: Vec<_> = (0..tx.buffer_count(BufferId::DnsQuery))
            .map(|i| String::from_utf8_lossy(tx.buffer(BufferId::DnsQuery, i).unwrap()).into_owned())
            .collect();
        let facts: Vec<_> = tx.facts().iter().map(|(k, v)| format!("{k}={}", String::from_utf8_lossy(v))).collect();
        self.0.push(format!("{} {stage:?} [{}] {}", tx.id(), queries.join(","), facts.join(" ")));
    }
}

fn run(parser: &mut dyn AppParser, chunks: &[(Direction, &[u8])]) -> (Vec<String>, AppCounters) {
    let mut sink = Recorder::default();
    let mut counters = AppCounters::default();
    let config = AppConfig { body_limit: 1000 };
    let mut cx = AppContext { sink: &mut sink, counters: &mut counters, config: &config, memory_full: false };
    for (direction, data) in chunks {
        parser.data(*direction, data, &mut cx);
    }
    parser.finish(&mut cx);
    (sink.0, counters)
}

const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01";
const ANSWER: &[u8] = b"\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01\
\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x06\x03web\xc0\x10\
\xc0\x2d\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07";

const TOLD: [&str; 2] = [
    "0 Request [www.example.com] dns.id=4660 dns.rrname=www.example.com dns.rrtype=A",
    "1 Response [] dns.id=4660 dns.rrname=www.example.com dns.rrtype=A dns.rcode=NOERROR dns.answer=CNAME web.example.com dns.answer=A 192.0.2.7",
];

#[test]
fn a_query_and_its_answer_over_udp() {
    let (told, counters) = run(&mut Dns::new(false), &[(Direction::ToServer, QUERY), (Direction::ToClient, ANSWER)]);
    assert_eq!(told, TOLD);
    assert_eq!((counters.dns_transactions, counters.dns_malformed), (2, 0));
}

#[test]
fn framed_messages_read_the_same_however_the_stream_is_cut() {
    let framed = |m: &[u8]| [&(m.len() as u16).to_be_bytes()[..], m].concat();
    let stream = [framed(QUERY), framed(QUERY)].concat();
    for size in 1..=stream.len() {
        let chunks: Vec<_> = stream.chunks(size).map(|c| (Direction::ToServer, c)).collect();
        let (told, _) = run(&mut Dns::new(true), &chunks);
        assert_eq!(told.len(), 2, "cut by {size}");
        assert_eq!(told[0], TOLD[0]);
    }
}

#[test]
fn a_message_that_breaks_off_is_counted_and_the_answers_before_the_break_are_kept() {
    for n in 0..QUERY.len() {
        let (told, counters) = run(&mut Dns::new(false), &[(Direction::ToServer, &QUERY[..n])]);
        assert_eq!((told.len(), counters.dns_malformed), (0, 1), "{n}");
    }
    let (told, _) = run(&mut Dns::new(false), &[(Direction::ToClient, &ANSWER[..ANSWER.len() - 2])]);
    assert!(told[0].ends_with("dns.answer=CNAME web.example.com"), "{told:?}");
}

#[test]
fn pointers_do_not_make_a_kilobyte_of_each_question() {
    let name = [&b"\x3f"[..], &[b'a'; 63]].concat().repeat(15);
    let mut message = b"\x12\x34\x01\x00\x00\x20\x00\x00\x00\x00\x00\x00".to_vec();
    message.extend([&name[..], b"\x00\x00\x01\x00\x01"].concat());
    message.extend(b"\xc0\x0c\x00\x01\x00\x01".repeat(31));
    let (told, counters) = run(&mut Dns::new(false), &[(Direction::ToServer, &message)]);
    assert_eq!(told[0].matches("dns.rrname").count(), 4, "959 bytes each, 4096 in all");
    assert_eq!((counters.dns_transactions, counters.dns_cut), (1, 1));
}

#[test]
fn random_messages_never_panic() {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..20_000 {
        let mut data = if round % 2 == 0 { ANSWER.to_vec() } else { QUERY.to_vec() };
        for _ in 0..=round % 5 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            let i = (x >> 8) as usize % data.len();
            data[i] = x as u8;
        }
        data.truncate(1 + (x >> 32) as usize % (data.len() + 8));
        run(&mut Dns::new(false), &[(Direction::ToClient, &data)]);
        run(&mut Dns::new(true), &[(Direction::ToClient, &data), (Direction::ToServer, &data)]);
    }
}

#[test]
fn recognition_is_lenient_on_port_53_and_strict_elsewhere() {
    let udp = |data, direction, ports| probe_udp(&Probe { data, direction, ports });
    let cases: [(&[u8], (u16, u16), Match); 6] = [
        (QUERY, (40_000, 53), Match::Yes),
        (QUERY, (40_000, 8053), Match::Yes),
        (QUERY, (5353, 5353), Match::No),
        (&QUERY[..20], (40_000, 8053), Match::No),
        (b"\x12\x34\x28\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01", (40_000, 8053), Match::No),
        (b"short", (40_000, 53), Match::No),
    ];
    for (data, ports, expected) in cases {
        assert_eq!(udp(data, Direction::ToServer, ports), expected, "{data:?} {ports:?}");
    }
    assert_eq!(udp(ANSWER, Direction::ToServer, (40_000, 8053)), Match::No, "an answer from the client");
    let framed = [&(QUERY.len() as u16).to_be_bytes()[..], QUERY].concat();
    for n in 0..14 {
        let probe = Probe { data: &framed[..n], direction: Direction::ToServer, ports: (1, 53) };
        assert_eq!(probe_tcp(&probe), Match::More, "{n}");
    }
    assert_eq!(probe_tcp(&Probe { data: &framed, direction: Direction::ToServer, ports: (1, 853) }), Match::Yes);
}
