//! What a worker counts; every loss has a number.

use crate::app::AppCounters;

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    /// Packets taken.
    pub packets: u64,
    /// Their IP bytes.
    pub bytes: u64,
    /// Flows created.
    pub flows_created: u64,
    /// Flows alive now.
    pub flows_active: u64,
    /// Flows ended by silence.
    pub flows_timed_out: u64,
    /// Flows given up because the table was full.
    pub flows_evicted: u64,
    /// TCP packets without a connection (no handshake seen).
    pub stream_no_session: u64,
    /// TCP segments that the receiver would drop.
    pub stream_invalid: u64,
    /// Bytes delivered in order.
    pub stream_bytes: u64,
    /// Holes in streams that the receiver had acknowledged.
    pub stream_gaps: u64,
    /// Their bytes.
    pub stream_gap_bytes: u64,
    /// Directions that reached the inspection depth.
    pub stream_depth_reached: u64,
    /// Segments dropped because a connection held too many or memory was used up.
    pub stream_dropped: u64,
    /// Requests for stream memory that were refused.
    pub stream_memcap_drops: u64,
    /// Stream memory in use now.
    pub stream_memory_bytes: u64,
    /// Directions no longer looked at because they are encrypted.
    pub stream_bypassed: u64,
    /// The application layer's.
    pub app: AppCounters,
}

impl Counters {
    /// Name and value of each counter, names as in the engine's statistics.
    pub fn named(&self) -> [(&'static str, u64); 24] {
        [
            ("packets", self.packets),
            ("bytes", self.bytes),
            ("flows_created", self.flows_created),
            ("flows_active", self.flows_active),
            ("flows_timed_out", self.flows_timed_out),
            ("flows_evicted", self.flows_evicted),
            ("stream_no_session", self.stream_no_session),
            ("stream_invalid", self.stream_invalid),
            ("stream_bytes", self.stream_bytes),
            ("stream_gaps", self.stream_gaps),
            ("stream_gap_bytes", self.stream_gap_bytes),
            ("stream_depth_reached", self.stream_depth_reached),
            ("stream_dropped", self.stream_dropped),
            ("stream_memcap_drops", self.stream_memcap_drops),
            ("stream_memory_bytes", self.stream_memory_bytes),
            ("stream_bypassed", self.stream_bypassed),
            ("http_transactions", self.app.http_transactions),
            ("http_errors", self.app.http_errors),
            ("http_decode_errors", self.app.http_decode_errors),
            ("http_memory_drops", self.app.http_memory_drops),
            ("dns_transactions", self.app.dns_transactions),
            ("dns_cut", self.app.dns_cut),
            ("dns_malformed", self.app.dns_malformed),
            ("tls_flows", self.app.tls_flows),
        ]
    }
}
