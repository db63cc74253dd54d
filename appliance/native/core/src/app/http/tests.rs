//! Tests of HTTP/1: messages whole, byte by byte and split anywhere.

mod cases;

use super::*;
use crate::app::{AppConfig, AppCounters, TransactionSink};
use crate::inspect::{BufferId, Transaction};
use cases::CASES;

const LIMIT: usize = 1000;

#[derive(Default)]
struct Recorder(Vec<String>);

impl TransactionSink for Recorder {
    fn transaction(&mut self, stage: Stage, tx: &mut dyn Transaction) {
        let show = |id| tx.buffer(id, 0).map(|b| String::from_utf8_lossy(b).into_owned());
        let fact = |name| {
            let found = tx.facts().into_iter().find(|(n, _)| *n == name);
            found.map_or("-".to_owned(), |(_, v)| String::from_utf8_lossy(&v).into_owned())
        };
        let what = match stage {
            Stage::Request => format!(
                "{} {} {}",
                show(BufferId::HttpMethod).unwrap_or("-".into()),
                show(BufferId::HttpUri).unwrap_or("-".into()),
                show(BufferId::HttpUserAgent).unwrap_or("-".into())
            ),
            Stage::RequestBody => show(BufferId::HttpRequestBody).unwrap_or("-".into()),
            Stage::Response => fact("http.status"),
            Stage::ResponseBody => show(BufferId::HttpResponseBody).unwrap_or("-".into()),
        };
        self.0.push(format!("{} {}: {what}", tx.id(), stage as u8));
    }
}

type Chunk<'a> = (Direction, &'a [u8]);

fn run(chunks: &[Chunk]) -> (Vec<String>, AppCounters) {
    let mut parser = Http::default();
    let (mut sink, mut counters, config) =
        (Recorder::default(), AppCounters::default(), AppConfig { body_limit: LIMIT });
    let mut cx = AppContext { sink: &mut sink, counters: &mut counters, config: &config, memory_full: false };
    for (direction, data) in chunks {
        parser.data(*direction, data, &mut cx);
    }
    parser.finish(&mut cx);
    assert_eq!(parser.held, 0);
    (sink.0, counters)
}

use Direction::{ToClient, ToServer};

#[test]
fn cases_whole() {
    for (name, pieces, expected) in CASES {
        let chunks: Vec<Chunk> = pieces.iter().map(|(d, t)| (*d, t.as_bytes())).collect();
        assert_eq!(run(&chunks).0, *expected, "{name}");
    }
}

#[test]
fn cases_byte_by_byte() {
    for (name, pieces, expected) in CASES {
        let chunks: Vec<Chunk> =
            pieces.iter().flat_map(|(d, t)| t.as_bytes().chunks(1).map(move |b| (*d, b))).collect();
        assert_eq!(run(&chunks).0, *expected, "{name}");
    }
}

#[test]
fn cases_split_at_every_place() {
    for (name, pieces, expected) in CASES {
        for (i, (_, text)) in pieces.iter().enumerate() {
            for at in 1..text.len() {
                let mut chunks: Vec<Chunk> = pieces.iter().map(|(d, t)| (*d, t.as_bytes())).collect();
                let (direction, whole) = chunks[i];
                chunks[i].1 = &whole[..at];
                chunks.insert(i + 1, (direction, &whole[at..]));
                assert_eq!(run(&chunks).0, *expected, "{name}, piece {i} split at {at}");
            }
        }
    }
}

#[test]
fn a_body_is_told_once_at_its_limit_and_the_next_message_is_found_behind_it() {
    let body = "z".repeat(5 * LIMIT);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
        body.len()
    );
    let (told, _) =
        run(&[(ToServer, b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"), (ToClient, answer.as_bytes())]);
    assert_eq!(told[5].len(), "0 3: ".len() + LIMIT);
    assert_eq!(told[6..], ["1 2: 404", "1 3: -"]);
}

#[test]
fn a_compressed_answer_is_told_decoded_however_it_is_split() {
    let text = "the quick brown fox ".repeat(20);
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    gzip.extend(miniz_oxide::deflate::compress_to_vec(text.as_bytes(), 6));
    gzip.extend([0; 8]);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", gzip.len());
    let answer = [head.as_bytes(), &gzip].concat();
    for size in 1..answer.len() {
        let mut chunks: Vec<Chunk> = vec![(ToServer, b"GET / HTTP/1.1\r\n\r\n")];
        chunks.extend(answer.chunks(size).map(|c| (ToClient, c)));
        let (told, counters) = run(&chunks);
        assert_eq!(told[3], format!("0 3: {text}"), "split by {size}");
        assert_eq!(counters.http_decode_errors, 0);
    }
}

#[test]
fn more_body_than_was_announced_and_junk_before_an_answer_are_read_as_browsers_do() {
    let (told, _) = run(&[
        (ToServer, b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"),
        (ToClient, b"foobar\r\nHTTP/1.1 200 ok\r\nContent-Length: 4( 8)\r\n\r\n01234567"),
        (ToClient, b"HTTP/1.1 404 no\r\nContent-Length: 0\r\n\r\n"),
    ]);
    assert_eq!(told[4..], ["0 2: 200", "0 3: 01234567", "1 2: 404", "1 3: -"]);
}

#[test]
fn empty_lines_behind_a_body_are_looked_at_once() {
    // A megabyte of them: looked at again for each line, this would take hours.
    let blank = b"\n".repeat(1 << 20);
    let answer = [&b"HTTP/1.1 200 ok\r\nContent-Length: 1\r\n\r\nx"[..], &blank, b"zzzz"].concat();
    let (told, _) = run(&[(ToServer, b"GET /1 HTTP/1.1\r\n\r\n"), (ToClient, &answer)]);
    assert_eq!(told[3].trim_end_matches('\n'), "0 3: x", "they belong to the body, up to its limit");
    assert_eq!(told[3].len(), "0 3: ".len() + LIMIT);
}

#[test]
fn a_compressed_request_body_is_told_decoded() {
    let body = miniz_oxide::deflate::compress_to_vec_zlib(b"name=value", 6);
    let head = format!("POST / HTTP/1.1\r\nContent-Encoding: deflate\r\nContent-Length: {}\r\n\r\n", body.len());
    let (told, _) = run(&[(ToServer, head.as_bytes()), (ToServer, &body)]);
    assert_eq!(told[1], "0 1: name=value");
}

#[test]
fn a_gap_inside_a_body_is_passed_over_and_one_outside_gives_the_direction_up() {
    let mut parser = Http::default();
    let (mut sink, mut counters, config) =
        (Recorder::default(), AppCounters::default(), AppConfig { body_limit: LIMIT });
    let mut cx = AppContext { sink: &mut sink, counters: &mut counters, config: &config, memory_full: false };
    parser.data(ToServer, b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", &mut cx);
    parser.data(ToClient, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab", &mut cx);
    parser.gap(ToClient, 2, &mut cx);
    parser.data(ToClient, b"efHTTP/1.1 200 OK\r\nContent-", &mut cx);
    parser.gap(ToClient, 7, &mut cx);
    parser.data(ToClient, b"\r\nwhatever", &mut cx);
    parser.data(ToServer, b"GET /3 HTTP/1.1\r\n\r\n", &mut cx);
    assert!(parser.open.is_empty(), "nothing waits for answers that cannot be read");
    parser.finish(&mut cx);
    assert_eq!(counters.http_errors, 1);
    let expected = [
        "0 0: GET /1 -",
        "0 1: -",
        "1 0: GET /2 -",
        "1 1: -",
        "0 2: 200",
        "0 3: abef",
        "1 2: 200",
        "1 3: -",
        "2 0: GET /3 -",
        "2 1: -",
        "2 2: -",
        "2 3: -",
    ];
    assert_eq!(sink.0, expected);
}

#[test]
fn floods_of_requests_lines_and_fields_are_bounded() {
    for (name, text) in [
        ("requests", "GET / HTTP/1.1\r\n\r\n".repeat(100_000)),
        ("one line", "GET /".to_owned() + &"a".repeat(10_000_000)),
        ("fields", "GET / HTTP/1.1\r\n".to_owned() + &"a: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n".repeat(100_000)),
        ("body", "POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n".to_owned() + &"a".repeat(1_000_000)),
    ] {
        let mut parser = Http::default();
        let (mut sink, mut counters, config) =
            (Recorder::default(), AppCounters::default(), AppConfig { body_limit: LIMIT });
        let mut cx = AppContext { sink: &mut sink, counters: &mut counters, config: &config, memory_full: false };
        for chunk in text.as_bytes().chunks(1460) {
            parser.data(ToServer, chunk, &mut cx);
            assert!(parser.memory() < 1 << 20, "{name}: {}", parser.memory());
        }
    }
}

#[test]
fn random_traffic_never_panics() {
    let words: [&[u8]; 24] = [
        b"GET ",
        b"POST ",
        b"CONNECT ",
        b"HEAD ",
        b"/a",
        b" HTTP/1.1",
        b"HTTP/1.1 ",
        b"200 ",
        b"100 ",
        b"101 ",
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"Content-Length: ",
        b"5",
        b"Transfer-Encoding: chunked",
        b"Content-Encoding: gzip, deflate",
        b"Expect: 100-continue",
        b"0\r\n",
        b"A\r\n",
        b" ",
        b"\x1f\x8b\x08\x04",
        b"\0",
        b"x",
    ];
    let mut x = 0x0123_4567_89ab_cdef_u64;
    let mut next = move |n: usize| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 9) as usize % n
    };
    for _ in 0..20_000 {
        let pieces: Vec<_> =
            (0..next(40)).map(|_| (if next(2) == 0 { ToServer } else { ToClient }, words[next(words.len())])).collect();
        run(&pieces);
    }
}

#[test]
fn beginnings_are_recognised_as_far_as_they_go() {
    let look = |data: &[u8], direction| probe(&Probe { data, direction, ports: (1, 80) });
    let cases: [(&[u8], Direction, Match); 9] = [
        (b"GET /", ToServer, Match::Yes),
        (b"get\t/", ToServer, Match::Yes),
        (b"VERSION-CONTROL /", ToServer, Match::Yes),
        (b"PRO", ToServer, Match::More),
        (b"GETX", ToServer, Match::No),
        (b"SSH-2.0", ToServer, Match::No),
        (b"HTTP/1.1 200", ToClient, Match::Yes),
        (b"HTTP/", ToClient, Match::More),
        (b"HTTP/2.0", ToClient, Match::No),
    ];
    for (data, direction, expected) in cases {
        assert_eq!(look(data, direction), expected, "{:?}", String::from_utf8_lossy(data));
    }
}
