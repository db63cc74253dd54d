//! From the first byte of a frame to the first byte of the IP header.
//!
//! Rules of this file: looks at link headers, VLAN tags and what else stands between them and IP (PPP over Ethernet, MPLS, NSH);
//! bounded steps; never reads past the frame.

use super::counters::Reason;
use super::read::be16;
use crate::packet::{Frame, LinkType};

/// VLAN tags walked through before a frame is given up; two are kept. Provider networks stack two, rarely three.
const MAX_VLAN_TAGS: usize = 8;
/// MPLS labels walked through before a frame is given up.
const MAX_MPLS_LABELS: usize = 8;

/// Ethernet type numbers (IEEE registration authority).
mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const IPV6: u16 = 0x86dd;
    pub const VLAN: u16 = 0x8100;
    pub const QINQ: u16 = 0x88a8;
    /// Used for the outer tag before 802.1ad settled on 0x88a8.
    pub const QINQ_OLD: u16 = 0x9100;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_UPSTREAM: u16 = 0x8848;
    pub const NSH: u16 = 0x894f;
}

/// Where the IP header begins, and in which VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Offset of the IP header in the frame.
    pub offset: usize,
    /// The version the link header promised; 0 when it does not say.
    pub version: u8,
    /// VLAN ids from the outside in.
    pub vlan: [u16; 2],
}

/// Walks the link header.
#[inline]
pub fn strip(frame: &Frame<'_>) -> Result<Link, Reason> {
    let data = frame.data;
    let (kind, offset) = match frame.link {
        LinkType::Ethernet => (be16(data, 12).ok_or(Reason::LinkShort)?, 14),
        LinkType::LinuxSll => (be16(data, 14).ok_or(Reason::LinkShort)?, 16),
        LinkType::LinuxSll2 if data.len() >= 20 => (be16(data, 0).ok_or(Reason::LinkShort)?, 20),
        LinkType::LinuxSll2 => return Err(Reason::LinkShort),
        LinkType::Raw => return untagged(frame, 0, 0),
        LinkType::Null => return null(frame),
        LinkType::Ppp => return ppp(frame),
        LinkType::Unknown(_) => return Err(Reason::LinkUnknown),
    };
    if frame.kernel_vlan == 0 {
        // Nearly every frame ends here: IP right behind the link header.
        match kind {
            ethertype::IPV4 => return Ok(Link { offset, version: 4, vlan: [0; 2] }),
            ethertype::IPV6 => return Ok(Link { offset, version: 6, vlan: [0; 2] }),
            _ => {}
        }
    }
    tagged(frame, kind, offset)
}

/// Walks VLAN tags: 4 bytes each, the second pair says what follows (IEEE 802.1Q section 9.6).
fn tagged(frame: &Frame<'_>, mut kind: u16, mut offset: usize) -> Result<Link, Reason> {
    let mut vlan = [0_u16; 2];
    let mut tags = 0;
    if frame.kernel_vlan != 0 {
        vlan[0] = frame.kernel_vlan & 0x0fff;
        tags = 1;
    }
    loop {
        match kind {
            ethertype::IPV4 => return Ok(Link { offset, version: 4, vlan }),
            ethertype::IPV6 => return Ok(Link { offset, version: 6, vlan }),
            ethertype::VLAN | ethertype::QINQ | ethertype::QINQ_OLD => {
                if tags == MAX_VLAN_TAGS {
                    return Err(Reason::VlanDeep);
                }
                let tag = be16(frame.data, offset).ok_or(Reason::LinkShort)?;
                kind = be16(frame.data, offset + 2).ok_or(Reason::LinkShort)?;
                if let Some(slot) = vlan.get_mut(tags) {
                    *slot = tag & 0x0fff;
                }
                tags += 1;
                offset += 4;
            }
            ethertype::PPPOE_SESSION => {
                // Version, type, code, session and length (RFC 2516 section 4), then the PPP protocol.
                let (version, offset) = ppp_protocol(frame.data, offset + 6)?;
                return Ok(Link { offset, version, vlan });
            }
            ethertype::MPLS | ethertype::MPLS_UPSTREAM => {
                return Ok(Link { offset: behind_labels(frame.data, offset)?, version: 0, vlan });
            }
            ethertype::NSH => {
                // Network service header (RFC 8300 section 2.2): length in words, then what follows.
                let words = usize::from(be16(frame.data, offset).ok_or(Reason::LinkShort)? & 0x3f);
                let version = match be16(frame.data, offset + 2).ok_or(Reason::LinkShort)? & 0xff {
                    1 => 4,
                    2 => 6,
                    _ => return Err(Reason::NotIp),
                };
                return Ok(Link { offset: offset + 4 * words.max(2), version, vlan });
            }
            _ => return Err(Reason::NotIp),
        }
    }
}

/// Walks MPLS labels to the bottom of the stack (RFC 3032 section 2.1). What follows is not told: the IP version nibble is.
fn behind_labels(data: &[u8], offset: usize) -> Result<usize, Reason> {
    for label in 0..MAX_MPLS_LABELS {
        let offset = offset + 4 * label;
        if be16(data, offset + 2).ok_or(Reason::LinkShort)? & 0x0100 != 0 {
            return Ok(offset + 4);
        }
    }
    Err(Reason::NotIp)
}

fn untagged(frame: &Frame<'_>, offset: usize, version: u8) -> Result<Link, Reason> {
    if frame.data.len() <= offset {
        return Err(Reason::LinkShort);
    }
    Ok(Link { offset, version, vlan: [frame.kernel_vlan & 0x0fff, 0] })
}

/// The address family in the byte order of whoever wrote the file: `AF_INET` is 2 everywhere, `AF_INET6` is 10 on Linux, 24, 28
/// or 30 on the BSDs and macOS.
fn null(frame: &Frame<'_>) -> Result<Link, Reason> {
    let Some(&[a, b, c, d]) = frame.data.first_chunk::<4>() else {
        return Err(Reason::LinkShort);
    };
    let little = u32::from_le_bytes([a, b, c, d]);
    match if little > 0xffff { little.swap_bytes() } else { little } {
        2 => untagged(frame, 4, 4),
        10 | 24 | 28 | 30 => untagged(frame, 4, 6),
        _ => Err(Reason::NotIp),
    }
}

/// PPP in HDLC-like framing (RFC 1662 section 3.1), with the address and control fields and the protocol's first byte
/// possibly compressed away.
fn ppp(frame: &Frame<'_>) -> Result<Link, Reason> {
    let data = frame.data;
    let start = if data.starts_with(&[0xff, 0x03]) { 2 } else { 0 };
    let (version, offset) = ppp_protocol(data, start)?;
    untagged(frame, offset, version)
}

/// IP version and where its header begins, behind the PPP protocol field.
fn ppp_protocol(data: &[u8], start: usize) -> Result<(u8, usize), Reason> {
    let first = *data.get(start).ok_or(Reason::LinkShort)?;
    let (protocol, offset) = if first & 1 == 1 {
        (u16::from(first), start + 1)
    } else {
        (be16(data, start).ok_or(Reason::LinkShort)?, start + 2)
    };
    match protocol {
        0x0021 => Ok((4, offset)),
        0x0057 => Ok((6, offset)),
        _ => Err(Reason::NotIp),
    }
}
