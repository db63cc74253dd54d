//! HTTP: any bytes, cut anywhere, both ways, with gaps. The parser neither panics nor holds more than its bounds, and every
//! transaction's stages come once and in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vedette_core::app::{http, AppConfig, AppContext, AppCounters, TransactionSink};
use vedette_core::inspect::{BufferId, Direction, Stage, Transaction};

const BODY_LIMIT: usize = 4096;

#[derive(Default)]
struct Stages(std::collections::HashMap<u64, usize>);

impl TransactionSink for Stages {
    fn transaction(&mut self, stage: Stage, tx: &mut dyn Transaction) {
        let told = self.0.entry(tx.id()).or_default();
        assert_eq!(*told, stage as usize);
        *told += 1;
        for id in [BufferId::HttpRequestBody, BufferId::HttpResponseBody] {
            assert!(tx.buffer(id, 0).is_none_or(|body| body.len() <= BODY_LIMIT));
        }
        tx.facts();
    }
}

fuzz_target!(|data: &[u8]| {
    let (mut sink, mut counters) = (Stages::default(), AppCounters::default());
    let config = AppConfig { body_limit: BODY_LIMIT };
    let mut parser = (http::PROTOCOL.new)();
    let mut rest = data;
    // A command byte, a length byte, then that many bytes.
    while let [command, len, tail @ ..] = rest {
        let mut cx = AppContext {
            sink: &mut sink,
            counters: &mut counters,
            config: &config,
            memory_full: command & 0xc0 == 0xc0,
        };
        let direction = if command & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let (piece, behind) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = behind;
        match command >> 1 & 15 {
            0 => parser.gap(direction, u64::from(*len) + 1, &mut cx),
            1 => parser.end(direction, &mut cx),
            _ => parser.data(direction, piece, &mut cx),
        }
        assert!(parser.memory() < 8 << 20);
    }
    let mut cx = AppContext { sink: &mut sink, counters: &mut counters, config: &config, memory_full: false };
    parser.finish(&mut cx);
    assert!(sink.0.values().all(|told| *told == 4));
});
