//! Bytes as a pcap or pcapng file: refused at once, or walked forwards to an end or a named place where it breaks off.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vedette_core::capture::file::{Reader, Step};

fuzz_target!(|input: &[u8]| {
    let Ok(mut reader) = Reader::from_bytes(input, 0) else { return };
    let mut last = 0;
    loop {
        match reader.step() {
            Step::Frame(frame) => {
                assert!(reader.position_bytes() > last && frame.data.len() < input.len());
                last = reader.position_bytes();
            }
            Step::End => return,
            Step::Broken { offset, .. } => {
                assert!(offset >= last && offset <= input.len());
                return;
            }
        }
    }
});
