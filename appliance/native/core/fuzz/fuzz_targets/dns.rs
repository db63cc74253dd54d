//! DNS: any bytes as a datagram, and as a stream cut in two. No panic, bounded names, bounded memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vedette_core::app::{dns, AppConfig, AppContext, AppCounters, TransactionSink};
use vedette_core::inspect::{BufferId, Direction, Stage, Transaction};

struct Names;

impl TransactionSink for Names {
    fn transaction(&mut self, _stage: Stage, tx: &mut dyn Transaction) {
        for index in 0..tx.buffer_count(BufferId::DnsQuery) {
            assert!(tx.buffer(BufferId::DnsQuery, index).is_some_and(|name| name.len() <= 1025));
        }
        tx.facts();
    }
}

fuzz_target!(|data: &[u8]| {
    let (mut sink, mut counters) = (Names, AppCounters::default());
    let config = AppConfig { body_limit: 0 };
    for (protocol, at) in [(&dns::OVER_UDP, 0), (&dns::OVER_TCP, data.len() / 3)] {
        let mut cx = AppContext { sink: &mut sink, counters: &mut counters, config: &config, memory_full: false };
        let mut parser = (protocol.new)();
        let (first, second) = data.split_at(at);
        parser.data(Direction::ToServer, first, &mut cx);
        parser.data(Direction::ToServer, second, &mut cx);
        assert!(parser.memory() < 256 * 1024);
        parser.finish(&mut cx);
    }
});
