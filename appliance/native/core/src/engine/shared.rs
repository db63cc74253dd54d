//! What the engine's threads and its owner share, and the part of a thread that all sources have in common.
//!
//! Rules of this file: the packet path touches two atomics; everything behind a lock is touched per block of packets, per alert
//! or less. Counters are published as copies, so that reading them never waits for a packet.

use super::cpu::thread_cpu_ns;
use super::pipeline::{Numbered, Pipeline, Weigh};
use super::queue::Queue;
use crate::decode::{tunnel, Config, Decoded, Decoder, Reason};
use crate::packet::Frame;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Warnings kept until somebody asks.
const MAX_WARNINGS: usize = 256;

impl<A: Weigh> Weigh for Numbered<A> {
    fn weight_bytes(&self) -> usize {
        self.alert.weight_bytes()
    }
}

/// The words of one thread's counters and their values.
type Snapshot = Vec<(&'static str, u64)>;

/// Everything shared.
#[derive(Debug)]
pub struct Shared<P: Pipeline> {
    pub queue: Queue<Numbered<P::Alert>>,
    pub stop: AtomicBool,
    pub read_bytes: AtomicU64,
    pub total_bytes: u64,
    generation: AtomicU64,
    rules: Mutex<Arc<P::Rules>>,
    failure: Mutex<Option<String>>,
    warnings: Mutex<Vec<String>>,
    snapshots: Vec<Mutex<Snapshot>>,
}

/// A panic elsewhere must not hide what is behind a lock; every value here is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<P: Pipeline> Shared<P> {
    pub fn new(rules: Arc<P::Rules>, threads: usize, total_bytes: u64) -> Self {
        Self {
            queue: Queue::new(threads),
            stop: AtomicBool::new(false),
            read_bytes: AtomicU64::new(0),
            total_bytes,
            generation: AtomicU64::new(0),
            rules: Mutex::new(rules),
            failure: Mutex::new(None),
            warnings: Mutex::new(Vec::new()),
            snapshots: (0..threads).map(|_| Mutex::new(Vec::new())).collect(),
        }
    }

    pub fn reload(&self, rules: Arc<P::Rules>) -> u64 {
        let mut current = lock(&self.rules);
        *current = rules;
        // Still under the lock: a thread that sees the number finds the rules it counts.
        self.generation.fetch_add(1, Ordering::Release) + 1
    }

    /// Tells of a thread that failed, and ends the others.
    pub fn fail(&self, reason: String) {
        lock(&self.failure).get_or_insert(reason);
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }

    pub fn warn(&self, warning: String) {
        let mut warnings = lock(&self.warnings);
        if warnings.len() < MAX_WARNINGS && !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.warnings))
    }

    pub fn stats(&self) -> BTreeMap<&'static str, u64> {
        let mut sums = BTreeMap::new();
        for snapshot in &self.snapshots {
            for &(name, value) in lock(snapshot).iter() {
                *sums.entry(name).or_insert(0) += value;
            }
        }
        sums
    }
}

/// One thread's decoder and pipeline, with its end of the queue.
#[derive(Debug)]
pub struct Worker<P: Pipeline> {
    shared: Arc<Shared<P>>,
    index: usize,
    decoder: Decoder,
    verify_checksums: bool,
    tunnelled: u64,
    pipeline: P,
    generation: u64,
    found: Vec<P::Alert>,
    alerts: u64,
    alerts_dropped: u64,
    kernel_drops: u64,
    /// Live: never wait for the consumer.
    pub dropping: bool,
}

impl<P: Pipeline> Worker<P> {
    pub fn new(shared: &Arc<Shared<P>>, index: usize, decode: Config, pipeline: P) -> Self {
        let mut worker = Self {
            shared: Arc::clone(shared),
            index,
            decoder: Decoder::new(decode),
            verify_checksums: decode.verify_checksums,
            tunnelled: 0,
            pipeline,
            generation: 0,
            found: Vec::new(),
            alerts: 0,
            alerts_dropped: 0,
            kernel_drops: 0,
            dropping: false,
        };
        // Every name is in `stats` from the start.
        worker.publish_at(0);
        worker
    }

    pub fn shared(&self) -> &Arc<Shared<P>> {
        &self.shared
    }

    /// The owner wants the threads to end.
    #[inline]
    pub fn is_stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    /// Takes one frame all the way.
    #[inline]
    pub fn frame(&mut self, frame: &Frame<'_>) {
        if self.shared.generation.load(Ordering::Relaxed) != self.generation {
            self.adopt();
        }
        if let Decoded::Packet(mut packet) = self.decoder.decode(frame) {
            self.pipeline.packet(&packet);
            for _ in 0..tunnel::MAX_LEVELS {
                let Some(inner) = tunnel::inside(&packet, self.verify_checksums) else { break };
                self.tunnelled += 1;
                self.pipeline.packet(&inner);
                packet = inner;
            }
            self.hand_over();
        }
    }

    /// Passes the time without a packet.
    pub fn idle(&mut self, now_ns: u64) {
        if self.shared.generation.load(Ordering::Relaxed) != self.generation {
            self.adopt();
        }
        self.pipeline.advance(now_ns);
        self.hand_over();
    }

    /// The input is over.
    pub fn finish(&mut self) {
        self.pipeline.finish();
        self.hand_over();
        self.publish(self.kernel_drops);
    }

    #[cold]
    fn adopt(&mut self) {
        // What was found belongs to the rules that found it.
        self.hand_over();
        let rules = {
            let current = lock(&self.shared.rules);
            self.generation = self.shared.generation.load(Ordering::Acquire);
            Arc::clone(&current)
        };
        if let Err(error) = self.pipeline.reload(&rules) {
            self.shared.fail(error.to_string());
        }
    }

    #[inline]
    fn hand_over(&mut self) {
        self.pipeline.take_alerts(&mut self.found);
        if !self.found.is_empty() {
            self.push();
        }
    }

    #[cold]
    fn push(&mut self) {
        let generation = self.generation;
        self.alerts += self.found.len() as u64;
        let numbered = self.found.drain(..).map(|alert| Numbered { generation, alert });
        if self.dropping {
            self.alerts_dropped += self.shared.queue.push_or_drop(numbered);
        } else {
            self.shared.queue.push_waiting(numbered);
        }
    }

    /// Makes the counters visible. `kernel_drops` are those since the start.
    pub fn publish(&mut self, kernel_drops: u64) {
        self.kernel_drops = kernel_drops;
        self.publish_at(thread_cpu_ns());
    }

    fn publish_at(&mut self, engine_cpu_ns: u64) {
        let decoded = self.decoder.counters();
        let mut snapshot = vec![
            ("packets", decoded.frames),
            ("bytes", decoded.bytes),
            ("alerts", self.alerts),
            ("alerts_dropped", self.alerts_dropped),
            ("kernel_drops", self.kernel_drops),
            ("engine_cpu_ns", engine_cpu_ns),
            ("decoded_packets", decoded.packets),
            ("decoded_ipv4", decoded.ipv4),
            ("decoded_ipv6", decoded.ipv6),
            ("decoded_tcp", decoded.tcp),
            ("decoded_udp", decoded.udp),
            ("decoded_icmp", decoded.icmp),
            ("decoded_vlan", decoded.vlan),
            ("decoded_truncated", decoded.truncated),
            ("decoded_tunnelled", self.tunnelled),
            ("tcp_header_bad", decoded.tcp_header_bad),
            ("udp_header_bad", decoded.udp_header_bad),
            ("icmp_header_bad", decoded.icmp_header_bad),
            ("decode_unknown", decoded.unknown()),
            ("checksum_bad", decoded.checksum_bad()),
            ("fragments", decoded.fragments),
            ("fragments_reassembled", decoded.reassembled),
            ("fragments_dropped", decoded.fragments_dropped()),
            ("fragments_overlapping", decoded.fragment_overlaps),
            ("datagrams_timed_out", decoded.datagrams_timed_out),
            ("datagrams_evicted", decoded.datagrams_evicted),
            ("defrag_memory_bytes", self.decoder.defrag_memory_bytes() as u64),
        ];
        snapshot.extend(Reason::ALL.iter().map(|reason| (reason.stat_name(), decoded.ignored.get(*reason))));
        self.pipeline.counters(&mut |name, value| snapshot.push((name, value)));
        if let Some(slot) = self.shared.snapshots.get(self.index) {
            *lock(slot) = snapshot;
        }
    }
}

impl<P: Pipeline> Drop for Worker<P> {
    fn drop(&mut self) {
        self.shared.queue.leave();
    }
}
