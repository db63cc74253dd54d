//! The classic pcap format (draft-ietf-opsawg-pcap), both byte orders, micro- and nanoseconds.
//!
//! Rules of this file: bytes in, frames out; a record is believed only when it is whole and no longer than the limit.

use super::ahead::fetch;
use super::file::{link_type, Broken, MAX_FRAME_BYTES};
use crate::packet::{Frame, LinkType};

const HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;

/// Walks a pcap file's records.
#[derive(Debug)]
pub struct Pcap<'m> {
    bytes: &'m [u8],
    at: usize,
    big_endian: bool,
    /// 1,000 for microseconds, 1 for nanoseconds.
    fraction_ns: u64,
    link: LinkType,
    source: u32,
    broken: bool,
}

impl<'m> Pcap<'m> {
    /// Checks the file header.
    pub fn new(bytes: &'m [u8], source: u32) -> Result<Self, Broken> {
        let refuse = |reason: String| Err(Broken { offset: 0, reason });
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return refuse(format!("{} bytes, a pcap file's header has {HEADER_BYTES}", bytes.len()));
        };
        let magic = [header[0], header[1], header[2], header[3]];
        let (big_endian, fraction_ns) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1_000),
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1_000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1),
            [a, b, c, d] => {
                return refuse(format!(
                    "begins with {a:02x} {b:02x} {c:02x} {d:02x}, neither a pcap nor a pcapng file does"
                ));
            }
        };
        let mut pcap =
            Self { bytes, at: HEADER_BYTES, big_endian, fraction_ns, link: LinkType::Null, source, broken: false };
        let major = pcap.u32_in(&header[4..8]);
        let major = if big_endian { major >> 16 } else { major & 0xffff };
        if major != 2 {
            return refuse(format!("pcap version {major}, version 2 is read"));
        }
        // The upper half holds the length of the frame check sequence, when known; link headers come first either way.
        pcap.link = link_type((pcap.u32_in(&header[20..24]) & 0xffff) as u16);
        Ok(pcap)
    }

    /// Bytes walked over so far.
    pub fn position_bytes(&self) -> usize {
        self.at
    }

    #[inline]
    fn u32_in(&self, bytes: &[u8]) -> u32 {
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    /// The next record; `None` at the end and after a broken one.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'m>>, Broken> {
        let rest = &self.bytes[self.at..];
        let Some((header, body)) = rest.split_first_chunk::<RECORD_HEADER_BYTES>() else {
            if rest.is_empty() || self.broken {
                return Ok(None);
            }
            return self.give_up(format!("{} bytes left, a record header has {RECORD_HEADER_BYTES}", rest.len()));
        };
        let captured = self.u32_in(&header[8..12]) as usize;
        let Some(data) = body.get(..captured).filter(|_| captured <= MAX_FRAME_BYTES && !self.broken) else {
            return self.bad_record(captured, body.len());
        };
        let seconds = u64::from(self.u32_in(&header[0..4]));
        let fraction = u64::from(self.u32_in(&header[4..8]));
        let original_len = self.u32_in(&header[12..16]).max(captured as u32);
        self.at += RECORD_HEADER_BYTES + captured;
        fetch(self.bytes, self.at);
        Ok(Some(Frame {
            ts_ns: seconds * 1_000_000_000 + fraction * self.fraction_ns,
            link: self.link,
            data,
            original_len,
            source: self.source,
            kernel_vlan: 0,
        }))
    }

    #[cold]
    fn bad_record(&mut self, captured: usize, left: usize) -> Result<Option<Frame<'m>>, Broken> {
        if self.broken {
            return Ok(None);
        }
        if captured > MAX_FRAME_BYTES {
            return self.give_up(format!("a record of {captured} bytes, at most {MAX_FRAME_BYTES} are believed"));
        }
        self.give_up(format!("a record of {captured} bytes, {left} are left"))
    }

    #[cold]
    fn give_up(&mut self, reason: String) -> Result<Option<Frame<'m>>, Broken> {
        self.broken = true;
        Err(Broken { offset: self.at, reason })
    }
}
