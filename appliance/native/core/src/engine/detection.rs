//! The real pipeline: flows, streams and application layers with the detector as their judge.
//!
//! Rules of this file: joins `worker` and `detect` to the threads; no decisions.

use super::pipeline::{Pipeline, Weigh};
use crate::detect::{Alert, Detector};
use crate::error::Result;
use crate::packet::Packet;
use crate::rule::RuleSet;
use crate::worker::{Worker, WorkerConfig};
use std::fmt;
use std::sync::Arc;

impl Weigh for Alert {
    fn weight_bytes(&self) -> usize {
        let facts: usize = self.facts.iter().map(|(_, value)| value.len() + size_of::<(&str, Vec<u8>)>()).sum();
        size_of::<Self>() + self.packet.len() + facts
    }
}

/// One thread's flows and judge.
pub struct Detection {
    worker: Worker<Detector>,
}

impl Detection {
    /// A pipeline that has seen nothing.
    ///
    /// # Errors
    /// There is no memory for the matcher.
    pub fn new(config: WorkerConfig, rules: &Arc<RuleSet>) -> Result<Self> {
        Ok(Self { worker: Worker::new(config, Detector::new(Arc::clone(rules))?) })
    }
}

impl fmt::Debug for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detection").field("counters", &self.worker.counters()).finish_non_exhaustive()
    }
}

impl Pipeline for Detection {
    type Rules = RuleSet;
    type Alert = Alert;

    #[inline]
    fn packet(&mut self, packet: &Packet<'_>) {
        self.worker.packet(packet);
    }

    fn advance(&mut self, now_ns: u64) {
        self.worker.advance(now_ns);
    }

    fn finish(&mut self) {
        self.worker.finish();
    }

    fn reload(&mut self, rules: &Arc<RuleSet>) -> Result<()> {
        self.worker.inspector_mut().replace(Arc::clone(rules))
    }

    #[inline]
    fn take_alerts(&mut self, into: &mut Vec<Alert>) {
        if self.worker.inspector().has_alerts() {
            into.append(&mut self.worker.inspector_mut().take_alerts());
        }
    }

    fn counters(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        for (name, value) in self.worker.counters().named() {
            // The engine counts these by frame, before decoding.
            if !matches!(name, "packets" | "bytes") {
                tell(name, value);
            }
        }
    }
}
