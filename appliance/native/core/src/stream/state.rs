//! The states of a TCP connection as seen from the middle, and what moves it: one table.
//!
//! Coarser than RFC 9293 section 3.3.2 because two machines' states are seen as one: what matters is whether the
//! handshake was whole, who has finished, and whether it is over. Sequence numbers were checked before an event reaches
//! this table.

use crate::flow::State;
use TcpState::{BothClosing, ClientClosing, Closed, Crossed, Established, Listen, ServerClosing, SynReceived, SynSent};

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum TcpState {
    /// Nothing seen.
    Listen,
    /// The client's SYN.
    SynSent,
    /// SYNs both ways (simultaneous open, RFC 9293 section 3.5 figure 7).
    Crossed,
    /// The server's SYN-ACK that answers the client's SYN.
    SynReceived,
    /// The handshake is whole.
    Established,
    /// The client has finished.
    ClientClosing,
    /// The server has finished.
    ServerClosing,
    /// Both have finished, not both acknowledged.
    BothClosing,
    /// Over.
    Closed,
}

/// What moves a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum TcpEvent {
    /// A SYN by the client.
    Syn,
    /// A SYN by the server without an acknowledgement.
    SynCrossed,
    /// A SYN that acknowledges the other side's SYN.
    SynAck,
    /// An acknowledgement of the SYN-ACK (or of a crossed SYN), or data that presupposes it.
    Acked,
    /// The client's FIN, in order.
    ClientFin,
    /// The server's FIN, in order.
    ServerFin,
    /// Both FINs are acknowledged.
    FinsAcked,
    /// A RST with an acceptable sequence number.
    Rst,
}

const NONE: Option<TcpState> = None;

/// Rows are states, columns events; None: the event has no meaning here and changes nothing.
const TABLE: [[Option<TcpState>; 8]; 9] = [
    // Syn, SynCrossed, SynAck, Acked, ClientFin, ServerFin, FinsAcked, Rst
    [Some(SynSent), NONE, Some(SynReceived), NONE, NONE, NONE, NONE, NONE], // Listen
    [Some(SynSent), Some(Crossed), Some(SynReceived), NONE, NONE, NONE, NONE, Some(Closed)], // SynSent
    [NONE, NONE, Some(SynReceived), Some(Established), NONE, NONE, NONE, Some(Closed)], // Crossed
    [NONE, NONE, Some(SynReceived), Some(Established), NONE, NONE, NONE, Some(Closed)], // SynReceived
    [NONE, NONE, NONE, NONE, Some(ClientClosing), Some(ServerClosing), NONE, Some(Closed)], // Established
    [NONE, NONE, NONE, NONE, NONE, Some(BothClosing), NONE, Some(Closed)],  // ClientClosing
    [NONE, NONE, NONE, NONE, Some(BothClosing), NONE, NONE, Some(Closed)],  // ServerClosing
    [NONE, NONE, NONE, NONE, NONE, NONE, Some(Closed), Some(Closed)],       // BothClosing
    [NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE],                       // Closed
];

/// The state after `event`, None when it has no meaning in `state`.
#[inline]
pub fn next_state(state: TcpState, event: TcpEvent) -> Option<TcpState> {
    TABLE[state as usize][event as usize]
}

impl TcpState {
    /// The flow table's coarser view.
    pub fn flow_state(self) -> State {
        match self {
            Listen | SynSent | Crossed | SynReceived => State::New,
            Established | ClientClosing | ServerClosing | BothClosing => State::Established,
            Closed => State::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TcpEvent::{Acked, ClientFin, FinsAcked, Rst, ServerFin, Syn, SynAck, SynCrossed};

    const EVENTS: [TcpEvent; 8] = [Syn, SynCrossed, SynAck, Acked, ClientFin, ServerFin, FinsAcked, Rst];

    #[test]
    fn columns_and_rows_are_where_the_table_says() {
        for (i, event) in EVENTS.iter().enumerate() {
            assert_eq!(*event as usize, i);
        }
        assert_eq!(Closed as usize, TABLE.len() - 1);
    }

    #[test]
    fn the_usual_life_of_a_connection() {
        let life = [Syn, SynAck, Acked, ClientFin, ServerFin, FinsAcked];
        let end = life.iter().try_fold(Listen, |state, &event| next_state(state, event));
        assert_eq!(end, Some(Closed));
    }

    #[test]
    fn nothing_leaves_closed_and_a_reset_always_closes_what_was_open() {
        for event in EVENTS {
            assert_eq!(next_state(Closed, event), None);
        }
        for state in [SynSent, Crossed, SynReceived, Established, ClientClosing, ServerClosing, BothClosing] {
            assert_eq!(next_state(state, Rst), Some(Closed));
        }
    }

    #[test]
    fn no_event_goes_back_before_the_handshake() {
        for state in [Established, ClientClosing, ServerClosing, BothClosing] {
            for event in EVENTS {
                assert!(next_state(state, event).is_none_or(|s| s >= Established));
            }
        }
    }
}
