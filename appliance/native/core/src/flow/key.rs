//! What makes two packets one flow: addresses, ports, protocol and VLAN ids, the same for both directions.
//!
//! ICMP has no ports: the message type and the type that answers it stand in, so that an echo and its reply are one
//! flow.

use super::hash::siphash13;
use crate::packet::{ip_proto, Packet, L4};
use std::net::IpAddr;

/// A flow's identity; equal for packets of both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowKey {
    low: u128,
    high: u128,
    ports: (u16, u16),
    vlan: [u16; 2],
    proto: u8,
    v6: bool,
}

fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    }
}

/// The message type that answers `kind`, or `kind` itself where there is none (RFC 792, RFC 950, RFC 4443, RFC 4861).
fn icmp_counterpart(proto: u8, kind: u8) -> u8 {
    match (proto, kind) {
        (ip_proto::ICMP, 0) => 8,
        (ip_proto::ICMP, 8) => 0,
        (ip_proto::ICMP, 9) => 10,
        (ip_proto::ICMP, 10) => 9,
        (ip_proto::ICMP, 13) => 14,
        (ip_proto::ICMP, 14) => 13,
        (ip_proto::ICMP, 15) => 16,
        (ip_proto::ICMP, 16) => 15,
        (ip_proto::ICMP, 17) => 18,
        (ip_proto::ICMP, 18) => 17,
        (ip_proto::ICMPV6, 128) => 129,
        (ip_proto::ICMPV6, 129) => 128,
        (ip_proto::ICMPV6, 133) => 134,
        (ip_proto::ICMPV6, 134) => 133,
        (ip_proto::ICMPV6, 135) => 136,
        (ip_proto::ICMPV6, 136) => 135,
        _ => kind,
    }
}

impl FlowKey {
    /// The key of a packet's flow, and whether the packet's source is the key's low end.
    #[inline]
    pub fn of(packet: &Packet<'_>) -> (Self, bool) {
        let (sport, dport) = match packet.l4 {
            L4::Icmp { kind, .. } => (u16::from(kind), u16::from(icmp_counterpart(packet.proto, kind))),
            _ => packet.ports(),
        };
        let src = (bits(packet.src), sport);
        let dst = (bits(packet.dst), dport);
        let forward = src <= dst;
        let (low, high) = if forward { (src, dst) } else { (dst, src) };
        let key = Self {
            low: low.0,
            high: high.0,
            ports: (low.1, high.1),
            vlan: packet.vlan,
            proto: packet.proto,
            v6: packet.src.is_ipv6(),
        };
        (key, forward)
    }

    /// The key as words for hashing.
    #[inline]
    fn words(&self) -> [u64; 5] {
        let tail = u64::from(self.ports.0) << 48
            | u64::from(self.ports.1) << 32
            | u64::from(self.vlan[0] & 0xfff) << 20
            | u64::from(self.vlan[1] & 0xfff) << 8
            | u64::from(self.proto);
        [(self.low >> 64) as u64, self.low as u64, (self.high >> 64) as u64, self.high as u64, tail]
    }

    /// Place in the table.
    #[inline]
    pub fn hash(&self, seed: u64) -> u64 {
        siphash13([seed, 0x666c_6f77], &self.words())
    }

    /// Public number of a flow with this key that began at `first_ns` as the `count`-th of the run: 63 bits, never
    /// zero.
    pub fn id(&self, seed: u64, first_ns: u64, count: u64) -> u64 {
        let w = self.words();
        let words = [w[0], w[1], w[2], w[3], w[4], first_ns, count];
        (siphash13([seed, 0x6964], &words) >> 1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(src: &str, dst: &str, l4: L4, proto: u8, vlan: [u16; 2]) -> FlowKey {
        let p = Packet {
            ts_ns: 0,
            source: 0,
            vlan,
            ip: &[],
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            proto,
            l4,
            payload: &[],
        };
        FlowKey::of(&p).0
    }

    #[test]
    fn both_directions_have_one_key() {
        let a = packet("10.0.0.1", "10.0.0.2", L4::Udp { sport: 1, dport: 2 }, 17, [0, 0]);
        let b = packet("10.0.0.2", "10.0.0.1", L4::Udp { sport: 2, dport: 1 }, 17, [0, 0]);
        assert_eq!(a, b);
        assert_eq!(a.hash(9), b.hash(9));
    }

    #[test]
    fn ports_vlans_protocols_and_address_families_tell_flows_apart() {
        let base = packet("10.0.0.1", "10.0.0.2", L4::Udp { sport: 1, dport: 2 }, 17, [0, 0]);
        for other in [
            packet("10.0.0.1", "10.0.0.2", L4::Udp { sport: 2, dport: 1 }, 17, [0, 0]),
            packet("10.0.0.1", "10.0.0.2", L4::Udp { sport: 1, dport: 2 }, 17, [7, 0]),
            packet("10.0.0.1", "10.0.0.2", L4::Udp { sport: 1, dport: 2 }, 17, [0, 7]),
            packet("10.0.0.1", "10.0.0.2", L4::Udp { sport: 1, dport: 2 }, 136, [0, 0]),
            packet("::a00:1", "::a00:2", L4::Udp { sport: 1, dport: 2 }, 17, [0, 0]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn an_echo_and_its_reply_are_one_flow() {
        let icmp = |kind| L4::Icmp { kind, code: 0, ident: 5 };
        let ask = packet("10.0.0.1", "10.0.0.2", icmp(8), ip_proto::ICMP, [0, 0]);
        let answer = packet("10.0.0.2", "10.0.0.1", icmp(0), ip_proto::ICMP, [0, 0]);
        assert_eq!(ask, answer);
    }

    #[test]
    fn flow_ids_are_positive_and_differ_by_time() {
        let key = packet("10.0.0.1", "10.0.0.2", L4::Other, 47, [0, 0]);
        let (a, b) = (key.id(1, 10, 0), key.id(1, 11, 1));
        assert!(a != b && a > 0 && a >> 63 == 0);
        assert_eq!(a, key.id(1, 10, 0), "the same seed gives the same id");
    }
}
