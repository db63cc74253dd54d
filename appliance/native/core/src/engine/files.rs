//! The thread of a file source: one file after another, as one stream of time.
//!
//! Rules of this file: the loop only. A file that breaks off becomes a warning, and the next one is read.

use super::pipeline::Pipeline;
use super::shared::Worker;
use crate::capture::file::{CaptureFile, Step};
use std::sync::atomic::Ordering;

/// Frames between two looks at the clock of the outside world: progress, counters, a wish to stop.
const FRAMES_PER_ROUND: u32 = 2_048;

/// Reads all files, or until asked to stop.
pub fn run<P: Pipeline>(worker: &mut Worker<P>, files: &[CaptureFile]) {
    let mut before = 0;
    for (source, file) in files.iter().enumerate() {
        let mut reader = match file.reader(source as u32) {
            Ok(reader) => reader,
            Err(error) => {
                worker.shared().warn(error.to_string());
                continue;
            }
        };
        'file: loop {
            for _ in 0..FRAMES_PER_ROUND {
                match reader.step() {
                    Step::Frame(frame) => worker.frame(&frame),
                    Step::End => break 'file,
                    Step::Broken { offset, reason } => {
                        worker.shared().warn(file.broken(offset, &reason).to_string());
                        break 'file;
                    }
                }
            }
            worker.shared().read_bytes.store(before + reader.position_bytes() as u64, Ordering::Relaxed);
            worker.publish(0);
            if worker.is_stopped() {
                return;
            }
        }
        before += file.size_bytes() as u64;
        worker.shared().read_bytes.store(before, Ordering::Relaxed);
    }
}
