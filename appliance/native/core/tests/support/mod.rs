//! What several test files build their input with: packets, capture files, and numbers that only look random.
#![allow(dead_code, missing_docs, clippy::many_single_char_names)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use vedette_core::decode::checksum;
use vedette_core::packet::{Frame, LinkType};

/// Marsaglia's xorshift64: the same numbers on every run.
pub struct Xorshift(pub u64);

impl Xorshift {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// Flips, inserts, removes or cuts a few bytes.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.next() as u8),
                2 => {
                    bytes.remove(at);
                }
                3 => bytes[at] = [0x00, 0xff, 0x7f, 0x80][self.below(4)],
                _ => bytes[at] ^= 1 << self.below(8),
            }
        }
    }
}

pub const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
pub const B: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 80));
pub const A6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
pub const B6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));

/// An IPv4 datagram; `flags` is the 16-bit flags and offset field.
pub fn ipv4(id: u16, flags: u16, proto: u8, options: &[u8], body: &[u8]) -> Vec<u8> {
    let header_len = 20 + options.len();
    assert_eq!(header_len % 4, 0);
    let mut out = vec![0x40 | (header_len / 4) as u8, 0];
    out.extend(((header_len + body.len()) as u16).to_be_bytes());
    out.extend(id.to_be_bytes());
    out.extend(flags.to_be_bytes());
    out.extend([64, proto, 0, 0, 10, 0, 0, 1, 192, 0, 2, 80]);
    out.extend(options);
    let sum = !checksum::fold(checksum::add(0, &out));
    out[10..12].copy_from_slice(&sum.to_ne_bytes());
    out.extend(body);
    out
}

/// An IPv6 datagram; `next` is the number of the first header in `body`.
pub fn ipv6(next: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x60, 0, 0, 0];
    out.extend((body.len() as u16).to_be_bytes());
    out.extend([next, 64]);
    for address in [A6, B6] {
        let IpAddr::V6(address) = address else { unreachable!() };
        out.extend(address.octets());
    }
    out.extend(body);
    out
}

fn with_sum(mut segment: Vec<u8>, at: usize, proto: u8, v6: bool) -> Vec<u8> {
    let (src, dst) = if v6 { (A6, B6) } else { (A, B) };
    let pseudo = checksum::pseudo_header(src, dst, proto, segment.len());
    let sum = !checksum::fold(checksum::add(pseudo, &segment));
    segment[at..at + 2].copy_from_slice(&sum.to_ne_bytes());
    segment
}

pub fn tcp(flags: u8, options: &[u8], payload: &[u8], v6: bool) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0);
    let mut out = vec![0x9c, 0x40, 0x00, 0x50, 0, 0, 0, 7, 0, 0, 0, 9, ((20 + options.len()) / 4 * 16) as u8, flags];
    out.extend([0x20, 0x00, 0, 0, 0, 0]);
    out.extend(options);
    out.extend(payload);
    with_sum(out, 16, 6, v6)
}

pub fn udp(payload: &[u8], v6: bool) -> Vec<u8> {
    let mut out = vec![0xc0, 0x01, 0x00, 0x35];
    out.extend(((8 + payload.len()) as u16).to_be_bytes());
    out.extend([0, 0]);
    out.extend(payload);
    with_sum(out, 6, 17, v6)
}

pub fn icmp(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, code, 0, 0];
    out.extend(rest);
    let sum = !checksum::fold(checksum::add(0, &out));
    out[2..4].copy_from_slice(&sum.to_ne_bytes());
    out
}

/// An Ethernet frame with the given type numbers in front of `body` (VLAN tags are type and tag pairs).
pub fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut out = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    out.extend(kind.to_be_bytes());
    out.extend(body);
    out
}

pub fn frame(link: LinkType, data: &[u8]) -> Frame<'_> {
    Frame { ts_ns: 1_000, link, data, original_len: data.len() as u32, source: 0, kernel_vlan: 0 }
}

pub fn raw(data: &[u8]) -> Frame<'_> {
    frame(LinkType::Raw, data)
}

/// A pcap file: magic decides byte order and resolution.
pub fn pcap(magic: [u8; 4], link: u32, records: &[(u32, u32, u32, &[u8])]) -> Vec<u8> {
    let big = magic[0] == 0xa1;
    let put = |out: &mut Vec<u8>, n: u32| out.extend(if big { n.to_be_bytes() } else { n.to_le_bytes() });
    let mut out = magic.to_vec();
    out.extend(if big { [0, 2, 0, 4] } else { [2, 0, 4, 0] });
    for n in [0, 0, 65_535, link] {
        put(&mut out, n);
    }
    for &(seconds, fraction, original_len, data) in records {
        for n in [seconds, fraction, data.len() as u32, original_len] {
            put(&mut out, n);
        }
        out.extend(data);
    }
    out
}

/// A pcapng block in either byte order.
pub fn block(big: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let order = |n: u32| {
        if big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    };
    let len = 12 + body.len().next_multiple_of(4) as u32;
    let mut out = Vec::new();
    out.extend(order(kind));
    out.extend(order(len));
    out.extend(body);
    out.resize(len as usize - 4, 0);
    out.extend(order(len));
    out
}

pub fn section(big: bool) -> Vec<u8> {
    let order = |n: u32| {
        if big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    };
    let mut body = order(0x1a2b_3c4d).to_vec();
    body.extend(if big { [0, 1, 0, 0] } else { [1, 0, 0, 0] });
    body.extend([0xff; 8]);
    block(big, 0x0a0d_0d0a, &body)
}

pub fn interface(big: bool, link: u16, snap_len: u32, options: &[u8]) -> Vec<u8> {
    let mut body = if big { link.to_be_bytes() } else { link.to_le_bytes() }.to_vec();
    body.extend([0, 0]);
    body.extend(if big { snap_len.to_be_bytes() } else { snap_len.to_le_bytes() });
    body.extend(options);
    block(big, 1, &body)
}

pub fn enhanced(big: bool, interface: u32, units: u64, original_len: u32, data: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for n in [interface, (units >> 32) as u32, units as u32, data.len() as u32, original_len] {
        body.extend(if big { n.to_be_bytes() } else { n.to_le_bytes() });
    }
    body.extend(data);
    block(big, 6, &body)
}
