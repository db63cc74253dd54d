//! The engine's threads: from sources to alerts, without knowing what a packet means.
//!
//! Rules of this folder: threads, queues and clocks live here and nowhere else. What a thread does with a packet is a
//! [`Pipeline`]. A file source has one thread and loses nothing: it waits for its consumer. Live sources have as many threads as
//! asked for and never wait: what the consumer does not take in time is dropped and counted. A panic in a thread stops the engine
//! and is told by [`Engine::next_batch`].

mod cpu;
mod detection;
mod files;
mod live;
mod pipeline;
mod queue;
mod shared;

pub use detection::Detection;
pub use pipeline::{Numbered, Pipeline, Weigh};

use crate::capture::afpacket::{self, Ring};
use crate::capture::file::CaptureFile;
use crate::decode;
use crate::error::{Error, Result};
use queue::Taken;
use shared::{Shared, Worker};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running engine: threads that read, a queue of alerts, counters.
#[derive(Debug)]
pub struct Engine<P: Pipeline> {
    shared: Arc<Shared<P>>,
    threads: Vec<JoinHandle<()>>,
}

impl<P: Pipeline> Engine<P> {
    /// Reads capture files one after another as one stream of time, on one thread, so that runs repeat exactly.
    ///
    /// # Errors
    /// A file cannot be opened or is no capture file. One that breaks off later is told in [`Engine::warnings`].
    pub fn files<Q: AsRef<Path>>(
        paths: &[Q],
        decode: decode::Config,
        rules: Arc<P::Rules>,
        make: impl FnOnce(&Arc<P::Rules>) -> Result<P>,
    ) -> Result<Self> {
        let files = paths.iter().map(|path| CaptureFile::open(path.as_ref())).collect::<Result<Vec<_>>>()?;
        let total_bytes = files.iter().map(|file| file.size_bytes() as u64).sum();
        let pipeline = make(&rules)?;
        let shared = Arc::new(Shared::new(rules, 1, total_bytes));
        let worker = Worker::new(&shared, 0, decode, pipeline);
        let threads = vec![spawn(0, worker, move |worker| files::run(worker, &files))?];
        Ok(Self { shared, threads })
    }

    /// Captures from interfaces. Each thread has one ring on every interface: the fanout's hash sends both directions of a
    /// flow to the same thread even when a tap delivers them on two interfaces.
    ///
    /// # Errors
    /// An interface does not exist, may not be opened, or a setting is out of its range.
    pub fn interfaces(
        names: &[String],
        capture: &afpacket::Config,
        decode: decode::Config,
        rules: Arc<P::Rules>,
        make: impl Fn(&Arc<P::Rules>) -> Result<P>,
    ) -> Result<Self> {
        if names.is_empty() {
            return Err(Error::Setting {
                name: "names".into(),
                reason: "no interface given, at least one is needed".into(),
            });
        }
        if !(1..=256).contains(&capture.threads) {
            let reason = format!("{} given, 1 to 256 are allowed", capture.threads);
            return Err(Error::Setting { name: "threads".into(), reason });
        }
        let mut rings_of: Vec<Vec<Ring>> = (0..capture.threads).map(|_| Vec::new()).collect();
        for (source, name) in names.iter().enumerate() {
            for (rings, ring) in rings_of.iter_mut().zip(afpacket::open(name, source as u32, capture)?) {
                rings.push(ring);
            }
        }
        let pipelines = rings_of.iter().map(|_| make(&rules)).collect::<Result<Vec<P>>>()?;
        let shared = Arc::new(Shared::new(rules, pipelines.len(), 0));
        let mut engine = Self { shared, threads: Vec::new() };
        // All workers first: the queue must not look finished while threads are still being started.
        let workers: Vec<_> = pipelines
            .into_iter()
            .enumerate()
            .map(|(index, pipeline)| Worker::new(&engine.shared, index, decode, pipeline))
            .collect();
        for (index, (worker, mut rings)) in workers.into_iter().zip(rings_of).enumerate() {
            let names = names.to_vec();
            engine.threads.push(spawn(index, worker, move |worker| live::run(worker, &mut rings, &names))?);
        }
        Ok(engine)
    }

    /// Up to `max` alerts in order; empty when `timeout` passed without any; `None` once the input is exhausted, or
    /// [`Engine::stop`] was called, and every alert has been handed over.
    ///
    /// # Errors
    /// [`Error::Thread`] when a thread failed, after the alerts found until then. It stays so.
    pub fn next_batch(&self, max: usize, timeout: Duration) -> Result<Option<Vec<Numbered<P::Alert>>>> {
        match self.shared.queue.take(max.max(1), Instant::now() + timeout) {
            Taken::Some(alerts) => Ok(Some(alerts)),
            Taken::Nothing => match self.shared.failure() {
                Some(reason) => Err(Error::Thread(reason)),
                None => Ok(Some(Vec::new())),
            },
            Taken::Closed => self.shared.failure().map_or(Ok(None), |reason| Err(Error::Thread(reason))),
        }
    }

    /// (bytes read, bytes in all); the second is 0 for interfaces.
    pub fn progress(&self) -> (u64, u64) {
        (self.shared.read_bytes.load(Ordering::Relaxed), self.shared.total_bytes)
    }

    /// Swaps the rules between two packets of each thread; flows are kept. Returns the new generation.
    pub fn reload(&self, rules: Arc<P::Rules>) -> u64 {
        self.shared.reload(rules)
    }

    /// Asks the threads to stop reading, inspect what is open and hand over what is left. Idempotent; does not wait.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// Counters since the start, summed over the threads. They lag behind by at most a few thousand packets.
    pub fn stats(&self) -> BTreeMap<&'static str, u64> {
        self.shared.stats()
    }

    /// What went wrong without stopping the capture, in words; each told once.
    pub fn warnings(&self) -> Vec<String> {
        self.shared.take_warnings()
    }
}

impl<P: Pipeline> Drop for Engine<P> {
    fn drop(&mut self) {
        self.stop();
        // A thread that waits for its consumer is let go: there is none any more.
        self.shared.queue.abandon();
        for thread in self.threads.drain(..) {
            // Its panic, if any, was caught and told already.
            let _ = thread.join();
        }
    }
}

fn spawn<P: Pipeline>(
    index: usize,
    mut worker: Worker<P>,
    run: impl FnOnce(&mut Worker<P>) + Send + 'static,
) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(format!("vedette-{index}"))
        .spawn(move || {
            let shared = Arc::clone(worker.shared());
            // Nothing the closure leaves half done is used afterwards: a failed worker is dropped, its counters are copies.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                run(&mut worker);
                worker.finish();
            }));
            if let Err(panic) = outcome {
                let words = panic.downcast_ref::<&str>().map(ToString::to_string);
                let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
                shared.fail(words.unwrap_or_else(|| "panic without words".to_string()));
            }
            // Dropping the worker closes its end of the queue, in this order: who sees the end also sees the failure.
            drop(worker);
        })
        .map_err(|error| Error::Thread(format!("cannot be started: {error}")))
}
