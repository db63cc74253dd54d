//! TCP (RFC 9293), UDP (RFC 768), `ICMPv4` (RFC 792) and `ICMPv6` (RFC 4443) headers.
//!
//! Rules of this file: one pass over one header. A header that does not fit becomes [`L4::Other`], so that rules on addresses
//! still see the datagram, as Suricata's do: counted and without payload when the sender made it so, uncounted and with what
//! is there when only the capture cut it. Checksums are checked on whole datagrams only.

use super::checksum;
use super::counters::{Counters, Reason};
use super::ip::Datagram;
use super::read::be32;
use crate::packet::{ip_proto, TcpHeader, L4};

/// A layer-4 header and what follows it.
pub type Layer4<'a> = (L4, &'a [u8]);

/// Why a header could not be read.
enum Bad {
    /// It does not fit the datagram.
    Header,
    /// The datagram is to be refused.
    Checksum(Reason),
}

/// Decodes the upper layer of a whole datagram.
#[inline]
pub fn parse<'a>(datagram: &Datagram<'a>, verify: bool, counters: &mut Counters) -> Result<Layer4<'a>, Reason> {
    let (parsed, misfits) = match (datagram.proto, datagram.ip[0] >> 4) {
        (ip_proto::TCP, _) => (tcp(datagram, verify), &mut counters.tcp_header_bad),
        (ip_proto::UDP, _) => (udp(datagram, verify), &mut counters.udp_header_bad),
        (ip_proto::ICMP, 4) | (ip_proto::ICMPV6, 6) => (icmp(datagram, verify), &mut counters.icmp_header_bad),
        _ => return Ok((L4::Other, datagram.body)),
    };
    match parsed {
        Ok(layer4) => Ok(layer4),
        Err(Bad::Checksum(reason)) => Err(reason),
        Err(Bad::Header) if datagram.cut => Ok((L4::Other, datagram.body)),
        Err(Bad::Header) => {
            *misfits += 1;
            Ok((L4::Other, &[]))
        }
    }
}

/// True when the checksum holds or cannot be told.
#[inline]
fn sum_holds(datagram: &Datagram<'_>, covered: &[u8], verify: bool) -> bool {
    if !verify || datagram.cut || datagram.routed {
        return true;
    }
    let pseudo = checksum::pseudo_header(datagram.src, datagram.dst, datagram.proto, covered.len());
    checksum::is_valid(checksum::add(pseudo, covered))
}

#[inline]
fn tcp<'a>(datagram: &Datagram<'a>, verify: bool) -> Result<Layer4<'a>, Bad> {
    let body = datagram.body;
    let head: &[u8; 20] = body.first_chunk().ok_or(Bad::Header)?;
    let header_len = usize::from(head[12] >> 4) * 4;
    if header_len < 20 || header_len > body.len() {
        return Err(Bad::Header);
    }
    if !sum_holds(datagram, body, verify) {
        return Err(Bad::Checksum(Reason::ChecksumTcp));
    }
    let mut header = TcpHeader {
        sport: u16::from_be_bytes([head[0], head[1]]),
        dport: u16::from_be_bytes([head[2], head[3]]),
        seq: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        ack: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
        flags: head[13],
        window: u16::from_be_bytes([head[14], head[15]]),
        urgent: u16::from_be_bytes([head[18], head[19]]),
        window_scale: None,
        timestamps: None,
    };
    if header_len > 20 {
        tcp_options(&body[20..header_len], &mut header);
    }
    Ok((L4::Tcp(header), &body[header_len..]))
}

/// Reads the options the engine uses. A malformed list ends the reading, as it does in the hosts' stacks; the segment stays.
#[inline]
fn tcp_options(mut options: &[u8], header: &mut TcpHeader) {
    // RFC 7323 appendix A: the layout nearly every segment of an established connection has.
    if options.len() == 12 && options.starts_with(&[1, 1, 8, 10]) {
        header.timestamps = be32(options, 4).zip(be32(options, 8));
        return;
    }
    while let [kind, rest @ ..] = options {
        match kind {
            0 => return,
            1 => options = rest,
            _ => {
                let Some(&len) = rest.first() else { return };
                let len = usize::from(len);
                if len < 2 || len > options.len() {
                    return;
                }
                match (kind, &options[2..len]) {
                    (3, &[shift]) => header.window_scale = Some(shift),
                    (8, stamps) if stamps.len() == 8 => header.timestamps = be32(stamps, 0).zip(be32(stamps, 4)),
                    _ => {}
                }
                options = &options[len..];
            }
        }
    }
}

#[inline]
fn udp<'a>(datagram: &Datagram<'a>, verify: bool) -> Result<Layer4<'a>, Bad> {
    let head: &[u8; 8] = datagram.body.first_chunk().ok_or(Bad::Header)?;
    let len = usize::from(u16::from_be_bytes([head[4], head[5]]));
    let body = match datagram.body.get(..len) {
        Some(body) if len >= 8 => body,
        None if datagram.cut => datagram.body,
        _ => return Err(Bad::Header),
    };
    // Zero means none over IPv4 (RFC 768); over IPv6 it is an error (RFC 8200 section 8.1).
    let none = head[6] == 0 && head[7] == 0 && datagram.src.is_ipv4();
    if !none && !sum_holds(datagram, body, verify) {
        return Err(Bad::Checksum(Reason::ChecksumUdp));
    }
    let l4 = L4::Udp { sport: u16::from_be_bytes([head[0], head[1]]), dport: u16::from_be_bytes([head[2], head[3]]) };
    Ok((l4, &body[8..]))
}

fn icmp<'a>(datagram: &Datagram<'a>, verify: bool) -> Result<Layer4<'a>, Bad> {
    let body = datagram.body;
    let head: &[u8; 8] = body.first_chunk().ok_or(Bad::Header)?;
    let holds = if datagram.proto == ip_proto::ICMPV6 {
        sum_holds(datagram, body, verify)
    } else {
        !verify || datagram.cut || checksum::is_valid(checksum::add(0, body))
    };
    if !holds {
        return Err(Bad::Checksum(Reason::ChecksumIcmp));
    }
    let echo = match datagram.proto {
        ip_proto::ICMPV6 => matches!(head[0], 128 | 129),
        _ => matches!(head[0], 0 | 8),
    };
    let ident = if echo { u16::from_be_bytes([head[4], head[5]]) } else { 0 };
    Ok((L4::Icmp { kind: head[0], code: head[1], ident }, &body[8..]))
}
