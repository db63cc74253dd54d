//! The settings of a worker, named as in the engine's Python face.

use crate::stream::OverlapPolicy;

/// Settings; the defaults are those of a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Memory for flows and TCP sessions.
    pub flow_memcap_mib: usize,
    /// Memory for what waits or is half read: queued segments, windows, parsers.
    pub stream_memcap_mib: usize,
    /// Bytes of a TCP direction that are inspected; 0: all.
    pub stream_depth_kib: usize,
    /// Bytes of a message body that are kept for inspection.
    pub body_limit_kib: usize,
    /// Inspect connections whose handshake was not seen.
    pub midstream: bool,
    /// Whose bytes win where segments overlap.
    pub overlap_policy: OverlapPolicy,
    /// Key of the flow hash and of flow ids: give a secret one on the wire, a fixed one for reproducible runs.
    pub seed: u64,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            flow_memcap_mib: 64,
            stream_memcap_mib: 64,
            stream_depth_kib: 1024,
            body_limit_kib: 100,
            midstream: false,
            overlap_policy: OverlapPolicy::Bsd,
            seed: 0,
        }
    }
}

impl WorkerConfig {
    /// The depth in bytes.
    pub(super) fn depth_bytes(&self) -> u64 {
        match self.stream_depth_kib {
            0 => u64::MAX,
            kib => kib as u64 * 1024,
        }
    }
}
