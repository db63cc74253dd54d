//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers.
//!
//! Rules of this file: finds where the upper layer begins and whether the datagram is a fragment; does not put fragments
//! together and does not look at the upper layer. A length field that names more than the frame had on the wire is refused (a
//! host would drop it); one that names more than the *capture* kept is decoded as far as it goes.

use super::checksum;
use super::counters::Reason;
use super::read::{be16, be32};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Extension headers walked through before a datagram is given up. Real chains have one to three.
const MAX_EXTENSION_HEADERS: usize = 32;

/// What a fragment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Identification field.
    pub id: u32,
    /// Byte offset of its data within the datagram's data.
    pub offset: u32,
    /// More fragments follow.
    pub more: bool,
    /// Length of the headers that each fragment repeats (the unfragmentable part).
    pub header_len: usize,
    /// IPv6: where the number of the fragment header stands; there the next header's number goes after reassembly.
    pub next_header_at: usize,
}

/// An IP datagram, seen from above.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// From the first header byte to the end that the length field names, or where the capture was cut.
    pub ip: &'a [u8],
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Protocol number of `body`.
    pub proto: u8,
    /// What follows the IP headers.
    pub body: &'a [u8],
    /// The capture kept less than the length field names.
    pub cut: bool,
    /// The destination in the pseudo header is not `dst`: a routing header has segments left (RFC 8200 section 8.1).
    pub routed: bool,
    /// Present when this is a fragment.
    pub fragment: Option<Fragment>,
}

/// Decodes the IP header at the start of `data`. `version` is what the link header promised, 0 for anything.
#[inline]
pub fn parse(data: &[u8], version: u8, cut: bool, verify: bool) -> Result<Datagram<'_>, Reason> {
    let found = data.first().ok_or(Reason::IpHeader)? >> 4;
    if version != 0 && found != version {
        return Err(Reason::IpVersion);
    }
    match found {
        4 => ipv4(data, cut, verify),
        6 => ipv6(data, cut),
        _ => Err(Reason::IpVersion),
    }
}

/// Cuts link padding off, or accepts what the capture left.
#[inline]
fn clip(data: &[u8], total: usize, cut: bool) -> Result<(&[u8], bool), Reason> {
    if let Some(ip) = data.get(..total) {
        Ok((ip, false))
    } else if cut {
        Ok((data, true))
    } else {
        Err(Reason::IpLength)
    }
}

#[inline]
fn ipv4(data: &[u8], cut: bool, verify: bool) -> Result<Datagram<'_>, Reason> {
    let header: &[u8; 20] = data.first_chunk().ok_or(Reason::IpHeader)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header_len < 20 || header_len > data.len() {
        return Err(Reason::IpHeader);
    }
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if total < header_len {
        return Err(Reason::IpLength);
    }
    let (ip, cut) = clip(data, total, cut)?;
    if verify && !checksum::is_valid(checksum::add(0, &ip[..header_len])) {
        return Err(Reason::ChecksumIp);
    }
    let flags = u16::from_be_bytes([header[6], header[7]]);
    let fragment = (flags & 0x3fff != 0).then(|| Fragment {
        id: u32::from(u16::from_be_bytes([header[4], header[5]])),
        offset: u32::from(flags & 0x1fff) * 8,
        more: flags & 0x2000 != 0,
        header_len,
        next_header_at: 9,
    });
    Ok(Datagram {
        ip,
        src: IpAddr::V4(Ipv4Addr::new(header[12], header[13], header[14], header[15])),
        dst: IpAddr::V4(Ipv4Addr::new(header[16], header[17], header[18], header[19])),
        proto: header[9],
        body: &ip[header_len..],
        cut,
        routed: false,
        fragment,
    })
}

fn address(bytes: &[u8]) -> IpAddr {
    let mut octets = [0_u8; 16];
    octets.copy_from_slice(bytes);
    IpAddr::V6(Ipv6Addr::from(octets))
}

fn ipv6(data: &[u8], cut: bool) -> Result<Datagram<'_>, Reason> {
    let header: &[u8; 40] = data.first_chunk().ok_or(Reason::IpHeader)?;
    let total = 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
    let (ip, cut) = clip(data, total, cut)?;
    let chain = walk(ip, cut)?;
    Ok(Datagram {
        ip,
        src: address(&header[8..24]),
        dst: address(&header[24..40]),
        proto: chain.proto,
        body: ip.get(chain.end..).unwrap_or_default(),
        cut,
        routed: chain.routed,
        fragment: chain.fragment,
    })
}

struct Chain {
    proto: u8,
    end: usize,
    routed: bool,
    fragment: Option<Fragment>,
}

/// Walks the extension headers (RFC 8200 section 4; AH: RFC 4302 section 2.2). The order is not enforced: hosts do not either.
fn walk(ip: &[u8], cut: bool) -> Result<Chain, Reason> {
    let mut chain = Chain { proto: ip[6], end: 40, routed: false, fragment: None };
    let mut next_header_at = 6;
    for _ in 0..MAX_EXTENSION_HEADERS {
        // Hop-by-hop, routing, destination options, mobility, HIP and shim6 share one layout; the rest is an upper layer.
        if !matches!(chain.proto, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140) {
            return Ok(chain);
        }
        let Some(head) = ip.get(chain.end..).and_then(|rest| rest.first_chunk::<8>()) else {
            return cut_chain(chain, ip.len(), cut);
        };
        let len = match chain.proto {
            44 => 8,
            51 => (usize::from(head[1]) + 2) * 4,
            _ => (usize::from(head[1]) + 1) * 8,
        };
        if chain.end + len > ip.len() {
            return cut_chain(chain, ip.len(), cut);
        }
        if chain.proto == 43 && head[3] != 0 {
            chain.routed = true;
        }
        if chain.proto == 44 {
            let field = be16(head, 2).unwrap_or(0);
            // Offset 0 without more to come is an atomic fragment: a whole datagram (RFC 6946 section 4).
            if field & 0xfff9 != 0 {
                chain.fragment = Some(Fragment {
                    id: be32(head, 4).unwrap_or(0),
                    offset: u32::from(field & 0xfff8),
                    more: field & 1 != 0,
                    header_len: chain.end,
                    next_header_at,
                });
                chain.proto = head[0];
                chain.end += len;
                return Ok(chain);
            }
        }
        next_header_at = chain.end;
        chain.proto = head[0];
        chain.end += len;
    }
    Err(Reason::Ipv6Extension)
}

fn cut_chain(mut chain: Chain, len: usize, cut: bool) -> Result<Chain, Reason> {
    if cut {
        chain.end = len;
        Ok(chain)
    } else {
        Err(Reason::Ipv6Extension)
    }
}
