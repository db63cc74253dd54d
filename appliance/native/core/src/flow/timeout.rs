//! How long a flow may be silent, by protocol and state: one table.
//!
//! Values are Suricata's defaults (its yaml, `flow-timeouts`), so that both sides cut flows at the same place.

use crate::packet::ip_proto;

/// Protocol classes with their own timeouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Proto {
    /// TCP.
    Tcp = 0,
    /// UDP.
    Udp = 1,
    /// ICMP for IPv4 and IPv6.
    Icmp = 2,
    /// Everything else.
    Other = 3,
}

impl Proto {
    /// The class of an IP protocol number.
    #[inline]
    pub fn of(proto: u8) -> Self {
        match proto {
            ip_proto::TCP => Self::Tcp,
            ip_proto::UDP => Self::Udp,
            ip_proto::ICMP | ip_proto::ICMPV6 => Self::Icmp,
            _ => Self::Other,
        }
    }
}

/// How far a flow has come; a full table gives up the lowest state first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// TCP only: both sides are done.
    Closed = 0,
    /// Packets one way only, or an unfinished handshake.
    New = 1,
    /// Packets both ways; TCP: after the handshake.
    Established = 2,
}

/// Every state, in the order in which a full table gives them up.
pub const EVICTION_ORDER: [State; 3] = [State::Closed, State::New, State::Established];

/// Number of (protocol, state) classes.
pub const CLASSES: usize = 12;

/// Seconds of silence: rows are `Proto`, columns `State`.
const TIMEOUT_S: [[u64; 3]; 4] = [
    // closed, new, established
    [60, 60, 600], // TCP
    [0, 30, 300],  // UDP
    [0, 30, 300],  // ICMP
    [0, 30, 300],  // other
];

/// Index of a class.
#[inline]
pub fn class(proto: Proto, state: State) -> u8 {
    proto as u8 * 3 + state as u8
}

/// Nanoseconds of silence after which a flow of this class has ended.
#[inline]
pub fn timeout_ns(class: u8) -> u64 {
    TIMEOUT_S[usize::from(class / 3)][usize::from(class % 3)] * 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_distinct_and_within_bounds() {
        let mut seen = [false; CLASSES];
        for proto in [Proto::Tcp, Proto::Udp, Proto::Icmp, Proto::Other] {
            for state in EVICTION_ORDER {
                let c = usize::from(class(proto, state));
                assert!(!std::mem::replace(&mut seen[c], true));
            }
        }
        assert!(seen.iter().all(|s| *s));
        assert_eq!(timeout_ns(class(Proto::Tcp, State::Established)), 600_000_000_000);
    }
}
