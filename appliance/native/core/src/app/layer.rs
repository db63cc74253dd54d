//! The application layer of one flow: undecided at first, then one protocol's parser, or none.
//!
//! Rules: a direction is tried until it matches or cannot match any more; the first match decides for the flow. Keeps
//! no bytes itself: the caller holds back what is undecided and brings it again with what follows.

use super::{AppContext, AppParser, Match, Probe, Protocol, Transport, PROTOCOLS};
use crate::inspect::{AppProto, Direction};

/// Longest beginning that is looked at; what has not matched by then is no protocol of ours.
const MAX_PROBE_BYTES: usize = 512;

/// What a look at a beginning gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Hold the bytes back and ask again with more.
    Undecided,
    /// Nothing to wait for: hand the bytes on.
    Decided,
}

/// A flow's protocol and parser.
#[derive(Default)]
pub struct AppLayer {
    parser: Option<Box<dyn AppParser>>,
    proto: AppProto,
    failed: [bool; 2],
}

impl std::fmt::Debug for AppLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppLayer").field("proto", &self.proto).field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl AppLayer {
    /// The protocol, as far as it is known.
    #[inline]
    pub fn proto(&self) -> AppProto {
        self.proto
    }

    /// Whether this direction's beginning is still being looked at.
    #[inline]
    pub fn detecting(&self, direction: Direction) -> bool {
        self.proto == AppProto::Unknown && !self.failed[direction as usize]
    }

    /// Look at a direction's beginning.
    pub fn probe(&mut self, transport: Transport, probe: &Probe<'_>) -> Decision {
        if !self.detecting(probe.direction) {
            return Decision::Decided;
        }
        let mut more = false;
        for protocol in PROTOCOLS.iter().filter(|p| p.transport == transport) {
            match (protocol.probe)(probe) {
                Match::Yes => {
                    self.start(protocol);
                    return Decision::Decided;
                }
                Match::More => more = true,
                Match::No => {}
            }
        }
        if more && transport == Transport::Tcp && probe.data.len() < MAX_PROBE_BYTES {
            return Decision::Undecided;
        }
        self.give_up(probe.direction);
        Decision::Decided
    }

    /// This direction's beginning was lost or never matched.
    pub fn give_up(&mut self, direction: Direction) {
        if self.detecting(direction) {
            self.failed[direction as usize] = true;
            if self.failed == [true; 2] {
                self.proto = AppProto::None;
            }
        }
    }

    fn start(&mut self, protocol: &Protocol) {
        self.proto = protocol.app;
        self.parser = Some((protocol.new)());
    }

    /// Hand bytes to the parser, if there is one. A direction that failed before the other matched has no beginning: it
    /// is told as lost.
    #[inline]
    pub fn data(&mut self, direction: Direction, data: &[u8], cx: &mut AppContext<'_>) {
        let failed = self.failed[direction as usize];
        if let Some(parser) = &mut self.parser {
            if failed {
                parser.gap(direction, data.len() as u64, cx);
            } else {
                parser.data(direction, data, cx);
            }
        }
    }

    /// Tell the parser of missing bytes.
    pub fn gap(&mut self, direction: Direction, len: u64, cx: &mut AppContext<'_>) {
        self.give_up(direction);
        if let Some(parser) = &mut self.parser {
            parser.gap(direction, len, cx);
        }
    }

    /// Tell the parser of a direction's end.
    pub fn end(&mut self, direction: Direction, cx: &mut AppContext<'_>) {
        if let Some(parser) = &mut self.parser {
            parser.end(direction, cx);
        }
    }

    /// Tell the parser that the flow is over and let it go.
    pub fn finish(&mut self, cx: &mut AppContext<'_>) {
        if let Some(mut parser) = self.parser.take() {
            parser.finish(cx);
        }
    }

    /// Bytes the parser holds.
    #[inline]
    pub fn memory(&self) -> usize {
        self.parser.as_ref().map_or(0, |p| p.memory())
    }

    /// Nothing of this direction is worth looking at from here on.
    #[inline]
    pub fn opaque(&self, direction: Direction) -> bool {
        self.parser.as_ref().is_some_and(|p| p.opaque(direction))
    }
}
