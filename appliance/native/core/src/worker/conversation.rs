//! What a worker keeps for a flow beside its identity.

use crate::app::AppLayer;
use crate::inspect::FlowScratch;
use crate::stream::{InspectWindow, TcpSession};

/// A flow's state in the layers above.
#[derive(Debug, Default)]
pub struct Conversation {
    /// The application layer.
    pub app: AppLayer,
    /// Detection's notes.
    pub scratch: FlowScratch,
    /// TCP, once a handshake has begun.
    pub tcp: Option<Box<TcpPart>>,
    /// Bytes of the budget that windows, parser and notes hold.
    pub accounted: usize,
}

/// The TCP part.
#[derive(Debug)]
pub struct TcpPart {
    /// The connection.
    pub session: TcpSession,
    /// What stream rules look at, per direction.
    pub windows: [Window; 2],
}

/// A direction's window, and how much of it waits because the protocol is undecided.
#[derive(Debug, Default)]
pub struct Window {
    /// The bytes.
    pub bytes: InspectWindow,
    /// None of the bytes in the window has been inspected or parsed yet.
    pub held: bool,
    /// Nothing more of this direction is looked at.
    pub opaque: bool,
    /// Stream rules and parser have been told that this direction is over.
    pub ended: bool,
}

impl Conversation {
    /// Bytes that windows, parser and detection's notes hold.
    pub fn memory(&self) -> usize {
        self.scratch.memory()
            + self.app.memory()
            + self.tcp.as_ref().map_or(0, |tcp| tcp.windows.iter().map(|w| w.bytes.memory()).sum())
    }
}
