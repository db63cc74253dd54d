//! A thread of a live source: its rings on every interface, merged by time.
//!
//! Rules of this file: the loop only; never waits for the consumer. Blocks that are ready at the same moment are merged frame by
//! frame in order of time, so that a tap with one interface per direction gives conversations in order; how far apart the
//! kernel hands over blocks of different interfaces is bounded by the block timeout.

use super::cpu::run_before_others;
use super::pipeline::Pipeline;
use super::shared::Worker;
use crate::capture::afpacket::{wait, Block, Ring};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long an idle thread waits before it looks whether it shall stop.
const WAIT_MS: i32 = 100;
/// How old counters may be.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);

/// Captures until asked to stop.
pub fn run<P: Pipeline>(worker: &mut Worker<P>, rings: &mut [Ring], names: &[String]) {
    worker.dropping = true;
    run_before_others();
    let mut published = Instant::now();
    while !worker.is_stopped() {
        if !round(worker, rings) {
            worker.idle(wall_clock_ns());
            pause(worker, rings, names);
        }
        if published.elapsed() >= PUBLISH_EVERY {
            worker.publish(rings.iter_mut().map(Ring::drops).sum());
            published = Instant::now();
        }
    }
    // What the kernel has handed over already is still inspected.
    round(worker, rings);
    worker.publish(rings.iter_mut().map(Ring::drops).sum());
}

/// Takes the blocks that are ready. False when there was none.
fn round<P: Pipeline>(worker: &mut Worker<P>, rings: &mut [Ring]) -> bool {
    let mut blocks: Vec<Block<'_>> = rings.iter_mut().filter_map(Ring::try_block).collect();
    let mut bytes = 0;
    if let [block] = blocks.as_mut_slice() {
        while let Some(frame) = block.next_frame() {
            bytes += u64::from(frame.original_len);
            worker.frame(&frame);
        }
    } else {
        while let Some(block) = earliest(&mut blocks) {
            if let Some(frame) = block.next_frame() {
                bytes += u64::from(frame.original_len);
                worker.frame(&frame);
            }
        }
    }
    worker.shared().read_bytes.fetch_add(bytes, Ordering::Relaxed);
    !blocks.is_empty()
}

/// The block whose next frame is the oldest; finished blocks do not count.
fn earliest<'b, 'r>(blocks: &'b mut [Block<'r>]) -> Option<&'b mut Block<'r>> {
    let index = (0..blocks.len())
        .filter_map(|index| Some((blocks[index].peek_ts_ns()?, index)))
        .min()
        .map(|(_, index)| index)?;
    blocks.get_mut(index)
}

fn pause<P: Pipeline>(worker: &Worker<P>, rings: &[Ring], names: &[String]) {
    match wait(rings, WAIT_MS) {
        Ok(errors) => {
            for (index, error) in errors {
                let name = names.get(index).map_or("?", String::as_str);
                worker.shared().warn(format!("interface {name}: {error}; waiting for it to come back"));
            }
        }
        Err(error) => {
            worker.shared().warn(format!("waiting for frames: {error}"));
            // Without this a lasting failure would spin.
            std::thread::sleep(Duration::from_millis(WAIT_MS as u64));
        }
    }
}

fn wall_clock_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
