//! How fast capture files are read and decoded, without flows or rules: `decode_rate FILE [verify]`.
//!
//! Prints packets per second of processor time for each of five passes; the first one also pays for reading the disk.

#![allow(clippy::cast_precision_loss, clippy::cast_sign_loss)] // rates for people, from a clock that is never negative

use std::path::Path;
use vedette_core::capture::file::{CaptureFile, Step};
use vedette_core::decode::{Config, Decoded, Decoder};

fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, std::ptr::from_mut(&mut time)) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn main() -> vedette_core::error::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_default();
    let verify_checksums = arguments.next().is_some_and(|word| word == "verify");
    let file = CaptureFile::open(Path::new(&path))?;
    for pass in 1..=5 {
        let mut decoder = Decoder::new(Config { verify_checksums, ..Config::default() });
        let mut reader = file.reader(0)?;
        let begin = cpu_ns();
        // Something that depends on every packet, so that decoding cannot be left out.
        let mut mark = 0_u64;
        while let Step::Frame(frame) = reader.step() {
            if let Decoded::Packet(packet) = decoder.decode(&frame) {
                let (sport, dport) = packet.ports();
                mark = mark.rotate_left(1) ^ packet.payload.len() as u64 ^ u64::from(sport) << 32 ^ u64::from(dport);
            }
        }
        let cpu_s = (cpu_ns() - begin) as f64 / 1e9;
        let counters = decoder.counters();
        println!(
            "pass {pass}: {} frames, {} packets in {cpu_s:.3} s: {:.2} Mpps, {:.1} Gbit/s (mark {mark:016x})",
            counters.frames,
            counters.packets,
            counters.frames as f64 / cpu_s / 1e6,
            counters.bytes as f64 * 8.0 / cpu_s / 1e9,
        );
    }
    Ok(())
}
