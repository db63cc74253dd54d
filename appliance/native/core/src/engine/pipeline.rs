//! What an engine thread drives, and what comes out of it.
//!
//! Rules of this file: the seam only. The real pipeline (flow, stream, application layer, detection) is `detection`'s; tests
//! of the threads bring their own.

use crate::error::Result;
use crate::packet::Packet;
use std::fmt::Debug;
use std::sync::Arc;

/// Something that takes memory while it waits in the queue.
pub trait Weigh {
    /// Bytes it holds, roughly.
    fn weight_bytes(&self) -> usize;
}

/// One thread's work on decoded packets. Deterministic: the same packets give the same alerts.
pub trait Pipeline: Send + 'static {
    /// A compiled set of rules, shared by the threads.
    type Rules: Send + Sync + Debug + 'static;
    /// One alert.
    type Alert: Weigh + Send + Debug + 'static;

    /// Takes one packet.
    fn packet(&mut self, packet: &Packet<'_>);
    /// Tells the time when no packet does, so that timeouts pass.
    fn advance(&mut self, now_ns: u64);
    /// The input is over: inspect what is open.
    fn finish(&mut self);
    /// Judge by these rules from now on; flows are kept.
    ///
    /// # Errors
    /// It cannot (no memory). The engine stops and tells.
    fn reload(&mut self, rules: &Arc<Self::Rules>) -> Result<()>;
    /// Moves the alerts found since the last call to the end of `into`.
    fn take_alerts(&mut self, into: &mut Vec<Self::Alert>);
    /// Tells every counter by name. The names never change between calls.
    fn counters(&self, tell: &mut dyn FnMut(&'static str, u64));
}

/// An alert and the generation of the rules that raised it: 0 for those the engine started with, one more per reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered<A> {
    /// The generation.
    pub generation: u64,
    /// The alert.
    pub alert: A,
}
