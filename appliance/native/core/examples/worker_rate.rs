//! What flow, stream and application layer make of capture files, without rules: `worker_rate [--tell] FILE...`.
//!
//! Prints packets per second of processor time (decoding included) and the counters; with `--tell`, one line per stage
//! of each transaction with its facts.

#![allow(clippy::cast_precision_loss, clippy::cast_sign_loss)] // rates for people, from a clock that is never negative

use std::path::Path;
use vedette_core::capture::file::{CaptureFile, Step};
use vedette_core::decode::{Config, Decoded, Decoder};
use vedette_core::inspect::{Direction, FlowView, Inspector, Stage, StreamWindow, Transaction, Trigger};
use vedette_core::worker::{Worker, WorkerConfig};

/// Counts what it is told, so that nothing can be left out.
#[derive(Default)]
struct Counting {
    tell: bool,
    stream_bytes: u64,
    stages: u64,
}

impl Inspector for Counting {
    fn packet(&mut self, _: Trigger<'_>, _: Option<(&mut FlowView<'_>, Direction)>) {}

    fn stream(&mut self, _: Trigger<'_>, _: &mut FlowView<'_>, _: Direction, window: StreamWindow<'_>) {
        self.stream_bytes += (window.data.len() - window.new_from) as u64;
    }

    fn transaction(&mut self, _: Trigger<'_>, flow: &mut FlowView<'_>, stage: Stage, tx: &mut dyn Transaction) {
        self.stages += 1;
        if self.tell {
            let facts: Vec<_> = tx
                .facts()
                .into_iter()
                .map(|(name, value)| format!("{name}={:?}", String::from_utf8_lossy(&value)))
                .collect();
            println!("{:?} -> {:?} tx {} {stage:?} {}", flow.client, flow.server, tx.id(), facts.join(" "));
        }
    }
}

fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, std::ptr::from_mut(&mut time)) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn main() -> vedette_core::error::Result<()> {
    let (options, files): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let tell = options.iter().any(|word| word == "--tell");
    for path in &files {
        let file = CaptureFile::open(Path::new(path))?;
        let mut decoder = Decoder::new(Config { verify_checksums: false, ..Config::default() });
        let mut worker = Worker::new(WorkerConfig::default(), Counting { tell, ..Counting::default() });
        let mut reader = file.reader(0)?;
        let begin = cpu_ns();
        while let Step::Frame(frame) = reader.step() {
            if let Decoded::Packet(packet) = decoder.decode(&frame) {
                worker.packet(&packet);
            }
        }
        worker.finish();
        let cpu_s = (cpu_ns() - begin) as f64 / 1e9;
        let (frames, bytes) = (decoder.counters().frames, decoder.counters().bytes);
        println!(
            "{path}: {frames} frames in {cpu_s:.3} s: {:.2} Mpps, {:.1} Gbit/s; {} stream bytes and {} stages told",
            frames as f64 / cpu_s / 1e6,
            bytes as f64 * 8.0 / cpu_s / 1e9,
            worker.inspector().stream_bytes,
            worker.inspector().stages,
        );
        let counters: Vec<_> = worker
            .counters()
            .named()
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| format!("{name}={n}"))
            .collect();
        println!("  {}", counters.join(" "));
    }
    Ok(())
}
