//! One alert: a rule matched. Data only.

use crate::inspect::AppProto;
use std::net::IpAddr;

/// A rule matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Index of the rule in the set that `generation` counts.
    pub rule: u32,
    /// 0 for the set the detector began with, one more for every replacement.
    pub generation: u32,
    /// Time of the packet (or of the flow's end), nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// Index of the source.
    pub source: u32,
    /// IP protocol.
    pub proto: u8,
    /// Source address and port of the bytes that matched.
    pub src: (IpAddr, u16),
    /// Destination address and port of the bytes that matched.
    pub dst: (IpAddr, u16),
    /// The flow, 0 without one.
    pub flow_id: u64,
    /// The bytes that matched travel to the server.
    pub to_server: bool,
    /// Application protocol of the flow.
    pub app: AppProto,
    /// The transaction, when the match was in one.
    pub tx_id: Option<u64>,
    /// What the application layer knows of the transaction.
    pub facts: Vec<(&'static str, Vec<u8>)>,
    /// The IP datagram that set the inspection off; empty when a flow's end did.
    pub packet: Vec<u8>,
}
