//! Datagrams inside datagrams: IP in IP (RFC 2003), IPv6 in IP (RFC 4213), GRE (RFC 2784, 2890; PPTP's version 1, RFC 2637) with
//! IP, Ethernet, PPP or ERSPAN type II inside.
//!
//! Rules of this file: pure, bounded, one level per call; what does not parse is simply not a tunnel, because the outer packet has
//! been told already. Fragments inside a tunnel stay unread: only whole inner datagrams are worth another flow. UDP tunnels
//! (VXLAN, Geneve, Teredo) are not looked into.

use super::counters::Counters;
use super::read::be16;
use super::{ip, link, transport};
use crate::packet::{Frame, LinkType, Packet};

/// Levels of tunnels looked into. Suricata's limit is 16; nobody but an attacker nests more than two.
pub const MAX_LEVELS: usize = 4;

const IP_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;

/// The packet that `outer` carries, if it is a tunnel's.
#[inline]
pub fn inside<'a>(outer: &Packet<'a>, verify: bool) -> Option<Packet<'a>> {
    match outer.proto {
        IP_IN_IP => bare(outer, outer.payload, 4, verify),
        IPV6_IN_IP => bare(outer, outer.payload, 6, verify),
        GRE => gre(outer, verify),
        _ => None,
    }
}

fn bare<'a>(outer: &Packet<'a>, data: &'a [u8], version: u8, verify: bool) -> Option<Packet<'a>> {
    // Whether the capture cut the frame is no longer known here; an inner length that names too much counts as cut.
    let datagram = ip::parse(data, version, true, verify).ok()?;
    if datagram.fragment.is_some() {
        return None;
    }
    let (l4, payload) = transport::parse(&datagram, verify, &mut Counters::default()).ok()?;
    Some(Packet { ip: datagram.ip, src: datagram.src, dst: datagram.dst, proto: datagram.proto, l4, payload, ..*outer })
}

fn framed<'a>(outer: &Packet<'a>, data: &'a [u8], kind: LinkType, verify: bool) -> Option<Packet<'a>> {
    let frame = Frame {
        ts_ns: outer.ts_ns,
        link: kind,
        data,
        original_len: data.len() as u32,
        source: outer.source,
        kernel_vlan: 0,
    };
    let link = link::strip(&frame).ok()?;
    bare(outer, data.get(link.offset..)?, link.version, verify)
}

fn gre<'a>(outer: &Packet<'a>, verify: bool) -> Option<Packet<'a>> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGEMENT: u16 = 0x0080;
    let flags = be16(outer.payload, 0)?;
    let kind = be16(outer.payload, 2)?;
    let words = |bits: u16| (flags & bits).count_ones() as usize;
    let (len, version) = match flags & 7 {
        0 if flags & ROUTING == 0 => (4 + 4 * words(CHECKSUM | KEY | SEQUENCE), 0),
        1 => (8 + 4 * words(SEQUENCE | ACKNOWLEDGEMENT), 1),
        _ => return None,
    };
    let data = outer.payload.get(len..)?;
    match (version, kind) {
        (0, 0x0800) => bare(outer, data, 4, verify),
        (0, 0x86dd) => bare(outer, data, 6, verify),
        (0, 0x6558) => framed(outer, data, LinkType::Ethernet, verify),
        // ERSPAN type II has a header of 8 bytes and always a sequence number.
        (0, 0x88be) if flags & SEQUENCE != 0 => framed(outer, data.get(8..)?, LinkType::Ethernet, verify),
        (1, 0x880b) => framed(outer, data, LinkType::Ppp, verify),
        _ => None,
    }
}
