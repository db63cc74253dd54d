//! The pcapng format (draft-ietf-opsawg-pcapng): sections in either byte order, any number of interfaces.
//!
//! Rules of this file: bytes in, frames out. Blocks it does not know are skipped by their length; a length is believed only when
//! it is a multiple of 4, holds the block's own fields, fits the file and is repeated at the block's end. After the first
//! block that is not so, nothing is read: there is no way to find the next one.

use super::ahead::fetch;
use super::file::{link_type, Broken, MAX_FRAME_BYTES};
use crate::packet::{Frame, LinkType};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// How an interface counts time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolution {
    /// Units of `n` nanoseconds.
    Nanoseconds(u64),
    /// `n` units to the nanosecond.
    PerNanosecond(u64),
    /// Units of 2^-n seconds.
    Binary(u32),
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link: LinkType,
    snap_len: u32,
    resolution: Resolution,
    offset_s: i64,
}

/// Walks a pcapng file's blocks.
#[derive(Debug)]
pub struct Pcapng<'m> {
    bytes: &'m [u8],
    at: usize,
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Simple packet blocks carry no time: they get that of the packet before.
    last_ts_ns: u64,
    source: u32,
}

/// One block: its type and the bytes between its two lengths.
struct Block<'m> {
    kind: u32,
    body: &'m [u8],
}

impl<'m> Pcapng<'m> {
    /// Checks the first section header.
    pub fn new(bytes: &'m [u8], source: u32) -> Result<Self, Broken> {
        let mut reader = Self { bytes, at: 0, big_endian: false, interfaces: Vec::new(), last_ts_ns: 0, source };
        let at = reader.at;
        reader.block()?;
        reader.at = at;
        Ok(reader)
    }

    /// Bytes walked over so far.
    pub fn position_bytes(&self) -> usize {
        self.at
    }

    /// The next packet; `None` at the end.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'m>>, Broken> {
        while self.at < self.bytes.len() {
            let begin = self.at;
            let block = self.block()?;
            let frame = match block.kind {
                SECTION_HEADER => {
                    self.interfaces.clear();
                    None
                }
                INTERFACE_DESCRIPTION => {
                    let interface = self.interface(block.body).map_err(|reason| Broken { offset: begin, reason })?;
                    self.interfaces.push(interface);
                    None
                }
                ENHANCED_PACKET | OLD_PACKET => {
                    Some(self.packet(&block).map_err(|reason| Broken { offset: begin, reason })?)
                }
                SIMPLE_PACKET => Some(self.simple(block.body).map_err(|reason| Broken { offset: begin, reason })?),
                _ => None,
            };
            if frame.is_some() {
                return Ok(frame);
            }
        }
        Ok(None)
    }

    #[inline]
    fn u32_at(&self, bytes: &[u8], at: usize) -> u32 {
        let bytes = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    fn u16_at(&self, bytes: &[u8], at: usize) -> u16 {
        if self.big_endian {
            u16::from_be_bytes([bytes[at], bytes[at + 1]])
        } else {
            u16::from_le_bytes([bytes[at], bytes[at + 1]])
        }
    }

    /// Takes one block, checked; a section header also sets the byte order.
    #[inline]
    fn block(&mut self) -> Result<Block<'m>, Broken> {
        let offset = self.at;
        let rest = &self.bytes[offset..];
        let refuse = |reason: String| Err(Broken { offset, reason });
        if rest.len() < 12 {
            return refuse(format!("{} bytes left, the shortest block has 12", rest.len()));
        }
        let mut kind = self.u32_at(rest, 0);
        let mut shortest = 12;
        if kind == SECTION_HEADER {
            // The number reads the same in both byte orders; the magic behind the length tells which it is.
            self.big_endian = match rest[8..12] {
                [0x1a, 0x2b, 0x3c, 0x4d] => true,
                [0x4d, 0x3c, 0x2b, 0x1a] => false,
                _ => {
                    return refuse(format!(
                        "byte-order magic {:02x?}, 1a 2b 3c 4d in either order is allowed",
                        &rest[8..12]
                    ))
                }
            };
            kind = SECTION_HEADER;
            shortest = 28;
        }
        let len = self.u32_at(rest, 4) as usize;
        if len < shortest || len % 4 != 0 {
            return refuse(format!("a block of {len} bytes, multiples of 4 from {shortest} up are allowed"));
        }
        if len > rest.len() {
            return refuse(format!("a block of {len} bytes, {} are left", rest.len()));
        }
        let again = self.u32_at(rest, len - 4) as usize;
        if again != len {
            return refuse(format!("a block of {len} bytes that ends in the length {again}"));
        }
        self.at += len;
        fetch(self.bytes, self.at);
        Ok(Block { kind, body: &rest[8..len - 4] })
    }

    fn interface(&self, body: &[u8]) -> Result<Interface, String> {
        if body.len() < 8 {
            return Err(format!("an interface description of {} bytes, it has at least 8", body.len()));
        }
        let mut interface = Interface {
            link: link_type(self.u16_at(body, 0)),
            snap_len: self.u32_at(body, 4),
            resolution: Resolution::Nanoseconds(1_000),
            offset_s: 0,
        };
        let mut options = &body[8..];
        while options.len() >= 4 {
            let code = self.u16_at(options, 0);
            let len = usize::from(self.u16_at(options, 2));
            let Some(value) = options.get(4..4 + len).filter(|_| code != 0) else {
                break;
            };
            match (code, value) {
                (9, &[tsresol]) => interface.resolution = resolution(tsresol),
                (14, value) => {
                    if let Ok(bytes) = <[u8; 8]>::try_from(value) {
                        interface.offset_s =
                            if self.big_endian { i64::from_be_bytes(bytes) } else { i64::from_le_bytes(bytes) };
                    }
                }
                _ => {}
            }
            options = options.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(interface)
    }

    /// Enhanced and old packet blocks: the same fields, but the old one has 16 bits of interface and 16 of drops.
    #[inline]
    fn packet(&mut self, block: &Block<'m>) -> Result<Frame<'m>, String> {
        let Some((header, rest)) = block.body.split_first_chunk::<20>() else {
            return Err(format!("a packet block with {} bytes of fields, it has 20", block.body.len()));
        };
        let number = if block.kind == OLD_PACKET { u32::from(self.u16_at(header, 0)) } else { self.u32_at(header, 0) };
        let Some(interface) = self.interfaces.get(number as usize).copied() else {
            return Err(format!("a packet of interface {number}, the section describes {}", self.interfaces.len()));
        };
        let units = u64::from(self.u32_at(header, 4)) << 32 | u64::from(self.u32_at(header, 8));
        self.last_ts_ns = interface.nanoseconds(units);
        let captured = self.u32_at(header, 12) as usize;
        self.frame(interface.link, rest, captured, self.u32_at(header, 16))
    }

    fn simple(&mut self, body: &'m [u8]) -> Result<Frame<'m>, String> {
        let Some(interface) = self.interfaces.first().copied() else {
            return Err("a simple packet before any interface description".to_string());
        };
        let Some(rest) = body.get(4..) else {
            return Err("a simple packet without its length".to_string());
        };
        let original_len = self.u32_at(body, 0);
        // The captured length is not told: the lesser of the original one and the snap length (0: no limit).
        let limit = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
        self.frame(interface.link, rest, original_len.min(limit) as usize, original_len)
    }

    fn frame(&self, link: LinkType, rest: &'m [u8], captured: usize, original_len: u32) -> Result<Frame<'m>, String> {
        if captured > MAX_FRAME_BYTES {
            return Err(format!("a packet of {captured} bytes, at most {MAX_FRAME_BYTES} are believed"));
        }
        let Some(data) = rest.get(..captured) else {
            return Err(format!("a packet of {captured} bytes in a block with {}", rest.len()));
        };
        let original_len = original_len.max(captured as u32);
        Ok(Frame { ts_ns: self.last_ts_ns, link, data, original_len, source: self.source, kernel_vlan: 0 })
    }
}

/// The `if_tsresol` option: 10^-n seconds, or 2^-n when the top bit is set.
fn resolution(tsresol: u8) -> Resolution {
    let power = u32::from(tsresol & 0x7f);
    if tsresol & 0x80 != 0 {
        return Resolution::Binary(power);
    }
    match 9_u32.checked_sub(power) {
        Some(power) => Resolution::Nanoseconds(10_u64.pow(power)),
        // 10^19 is the greatest power of ten that fits; beyond, 64 bits of units are less than a nanosecond anyway.
        None => Resolution::PerNanosecond(10_u64.checked_pow(power - 9).unwrap_or(u64::MAX)),
    }
}

impl Interface {
    #[inline]
    fn nanoseconds(self, units: u64) -> u64 {
        let ns = match self.resolution {
            Resolution::Nanoseconds(unit_ns) => units.saturating_mul(unit_ns),
            Resolution::PerNanosecond(per_ns) => units / per_ns,
            Resolution::Binary(power) => {
                u64::try_from((u128::from(units) * 1_000_000_000) >> power).unwrap_or(u64::MAX)
            }
        };
        if self.offset_s == 0 {
            return ns;
        }
        let offset_ns = self.offset_s.saturating_mul(1_000_000_000);
        ns.saturating_add_signed(offset_ns)
    }
}
