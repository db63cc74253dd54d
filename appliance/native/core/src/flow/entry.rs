//! One flow: its ends, its times, and whatever the layers above keep for it.

use super::key::FlowKey;
use super::timeout::State;
use crate::inspect::Direction;
use std::net::IpAddr;

/// A flow in the table; `T` is what the layers above keep for it.
#[derive(Debug)]
pub struct Flow<T> {
    /// Identity.
    pub key: FlowKey,
    /// Public number, see [`FlowKey::id`].
    pub id: u64,
    /// Whether the client is the key's low end.
    pub client_is_low: bool,
    /// Address and port of the side that opened the flow.
    pub client: (IpAddr, u16),
    /// Address and port of the other side.
    pub server: (IpAddr, u16),
    /// IP protocol.
    pub proto: u8,
    /// Time of the first packet.
    pub first_ns: u64,
    /// Time of the latest packet.
    pub last_ns: u64,
    /// Source (file or interface) of the latest packet.
    pub source: u32,
    /// Packets were seen this way (indexed by `Direction`).
    pub seen: [bool; 2],
    /// What the layers above keep.
    pub data: T,
    pub(super) hash: u64,
    pub(super) state: State,
    pub(super) class: u8,
    pub(super) prev: u32,
    pub(super) next: u32,
}

impl<T> Flow<T> {
    /// The direction of a packet whose source is (`forward`) or is not the key's low end.
    #[inline]
    pub fn direction(&self, forward: bool) -> Direction {
        if forward == self.client_is_low {
            Direction::ToServer
        } else {
            Direction::ToClient
        }
    }

    /// How far the flow has come.
    pub fn state(&self) -> State {
        self.state
    }

    /// Packets were seen both ways.
    #[inline]
    pub fn both_ways(&self) -> bool {
        self.seen[0] && self.seen[1]
    }
}
