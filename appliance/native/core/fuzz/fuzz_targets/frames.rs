//! A sequence of frames through one decoder: each ends as packet, held fragment or reason; memory stays within its budget.
//!
//! The input is cut into frames: one byte of link type and cut, one byte of length, then the bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vedette_core::decode::{tunnel, Config, Decoded, Decoder, Overlap};
use vedette_core::packet::{Frame, LinkType};

const LINKS: [LinkType; 7] = [
    LinkType::Ethernet,
    LinkType::Raw,
    LinkType::Null,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
    LinkType::Ppp,
    LinkType::Unknown(9_999),
];
const POLICIES: [Overlap; 4] = [Overlap::First, Overlap::Last, Overlap::Bsd, Overlap::Linux];
const MEMCAP_BYTES: usize = 16 << 10;

fuzz_target!(|input: &[u8]| {
    let Some((&settings, mut rest)) = input.split_first() else { return };
    let mut decoder = Decoder::new(Config {
        verify_checksums: settings & 4 != 0,
        overlap: POLICIES[usize::from(settings & 3)],
        defrag_memcap_bytes: MEMCAP_BYTES,
        ..Config::default()
    });
    let mut ts_ns = 0;
    while let [kind, len, tail @ ..] = rest {
        let (data, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        ts_ns += 1_000_000_000;
        let frame = Frame {
            ts_ns,
            link: LINKS[usize::from(kind & 0x0f) % LINKS.len()],
            data,
            original_len: data.len() as u32 + u32::from(kind >> 4),
            source: 0,
            kernel_vlan: 0,
        };
        if let Decoded::Packet(packet) = decoder.decode(&frame) {
            assert!(packet.ip.len() >= 20 && packet.payload.len() <= packet.ip.len() - 20);
            tunnel::inside(&packet, settings & 4 != 0);
        }
        assert!(decoder.defrag_memory_bytes() <= MEMCAP_BYTES);
    }
});
