//! Content codings of response bodies: gzip and deflate, in up to two layers.
//!
//! Rules: what a body is, its first bytes say (servers and attackers declare the wrong coding and browsers cope): a
//! gzip member, a zlib stream, or bare deflate; what turns out to be none of them is passed on as it is. Work is
//! bounded: the caller stops an output that reaches its limit, and an inner layer's input is bounded by that limit too.
//! Blocks and members without any content must cost little, for they may be ten bits long: hence an inflater with
//! ready-made tables that resets without clearing its window. Sources: RFC 1950-1952, RFC 9110 section 8.4.

use super::headers::contains;
use zlib_rs::{Inflate, InflateFlush, Status};

/// Codings taken off at most (Suricata's default).
const MAX_LAYERS: usize = 2;
/// What one layer may give to the next beside twice the limit of the output: compressed data is hardly ever larger than
/// what it stands for.
const INNER_ROOM_BYTES: usize = 64 * 1024;
/// The base-2 logarithm of the window (RFC 1951 section 2).
const WINDOW_BITS: u8 = 15;
/// What an inflater takes: its tables and its window.
const INFLATER_BYTES: usize = 48 * 1024;
const OUTPUT_BYTES: usize = 8 * 1024;
/// Input kept until the first output shows that it is compressed.
const MAX_HEAD_BYTES: usize = 256;

/// Where decoded bytes go; false: no more are wanted.
pub type Emit<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

/// The stream is broken from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GzipField {
    Fixed(u8),
    ExtraLength(u8),
    Extra(u16),
    Name,
    Comment,
    HeaderCrc(u8),
}

enum State {
    /// Fewer than two bytes seen.
    Sniff(Vec<u8>),
    /// In a gzip member's header.
    Header(GzipField),
    /// In deflated data.
    Inflate { gzip: bool },
    /// In a gzip member's trailer: bytes left.
    Trailer(u8),
    /// No coding that we know.
    Pass,
    /// Everything after the end, or after an error.
    Ended,
}

/// One layer.
struct Layer {
    state: State,
    inflater: Option<Box<Inflate>>,
    flags: u8,
    extra: u16,
    produced: usize,
    head: Vec<u8>,
}

impl Layer {
    fn new() -> Self {
        Self { state: State::Sniff(Vec::new()), inflater: None, flags: 0, extra: 0, produced: 0, head: Vec::new() }
    }

    fn feed(&mut self, mut input: &[u8], emit: Emit<'_>) -> Result<bool, Broken> {
        while !input.is_empty() {
            match &mut self.state {
                State::Sniff(seen) => {
                    seen.push(input[0]);
                    input = &input[1..];
                    if seen.len() == 2 {
                        let seen = std::mem::take(seen);
                        let rest = self.begin(&seen);
                        if !self.feed(rest, emit)? {
                            return Ok(false);
                        }
                    }
                }
                State::Header(field) => {
                    let field = *field;
                    self.header_byte(field, input[0])?;
                    input = &input[1..];
                }
                State::Inflate { .. } => {
                    if !self.inflate(&mut input, emit)? {
                        return Ok(false);
                    }
                }
                State::Trailer(left) => {
                    *left -= 1;
                    input = &input[1..];
                    if *left == 0 {
                        // Perhaps another member follows (RFC 1952 section 2.2).
                        self.state = State::Header(GzipField::Fixed(0));
                    }
                }
                State::Pass => return Ok(emit(input)),
                State::Ended => return Ok(true),
            }
        }
        Ok(true)
    }

    /// Choose by the first two bytes; those of them that the inflater is to read. Its checksums are not looked at, so a
    /// zlib stream is inflated as bare deflate behind its header; a preset dictionary is nothing that HTTP has.
    fn begin<'s>(&mut self, seen: &'s [u8]) -> &'s [u8] {
        let zlib = seen[0] & 0x0f == 8 && seen[1] & 0x20 == 0 && u16::from_be_bytes([seen[0], seen[1]]) % 31 == 0;
        self.inflater = Some(Box::new(Inflate::new(false, WINDOW_BITS)));
        if seen == [0x1f, 0x8b] {
            self.state = State::Header(GzipField::Fixed(0));
            return seen;
        }
        self.state = State::Inflate { gzip: false };
        if zlib {
            self.head.extend_from_slice(seen);
            return &[];
        }
        seen
    }

    fn header_byte(&mut self, field: GzipField, byte: u8) -> Result<(), Broken> {
        let next = match field {
            GzipField::Fixed(i) => {
                let valid = match i {
                    0 => byte == 0x1f,
                    1 => byte == 0x8b,
                    2 => byte == 8,
                    _ => true,
                };
                if !valid {
                    // Junk after a member is padding; a header that is none was never gzip.
                    self.end();
                    return if self.produced > 0 { Ok(()) } else { Err(Broken) };
                }
                if i == 3 {
                    self.flags = byte;
                }
                if i < 9 {
                    Some(GzipField::Fixed(i + 1))
                } else {
                    self.field_after(0)
                }
            }
            GzipField::ExtraLength(0) => {
                self.extra = u16::from(byte);
                Some(GzipField::ExtraLength(1))
            }
            GzipField::ExtraLength(_) => match self.extra | u16::from(byte) << 8 {
                0 => self.field_after(1),
                len => Some(GzipField::Extra(len)),
            },
            GzipField::Extra(1) => self.field_after(1),
            GzipField::Extra(left) => Some(GzipField::Extra(left - 1)),
            GzipField::Name if byte == 0 => self.field_after(2),
            GzipField::Comment if byte == 0 => self.field_after(3),
            GzipField::HeaderCrc(0) => Some(GzipField::HeaderCrc(1)),
            GzipField::HeaderCrc(_) => None,
            same => Some(same),
        };
        self.state = next.map_or(State::Inflate { gzip: true }, State::Header);
        Ok(())
    }

    /// The first optional field from `from` on that the flags announce; None: the data comes next.
    fn field_after(&self, from: u8) -> Option<GzipField> {
        let optional = [
            (4, GzipField::ExtraLength(0)),
            (8, GzipField::Name),
            (16, GzipField::Comment),
            (2, GzipField::HeaderCrc(0)),
        ];
        optional.into_iter().skip(usize::from(from)).find(|(flag, _)| self.flags & flag != 0).map(|(_, field)| field)
    }

    fn inflate(&mut self, input: &mut &[u8], emit: Emit<'_>) -> Result<bool, Broken> {
        let State::Inflate { gzip } = self.state else { return Ok(true) };
        let mut output = [0; OUTPUT_BYTES];
        let Some(inflater) = &mut self.inflater else { return Err(Broken) };
        let start = *input;
        let first = self.produced == 0;
        let kept = if first { start.len().min(MAX_HEAD_BYTES - self.head.len()) } else { 0 };
        self.head.extend_from_slice(&start[..kept]);
        loop {
            let (in_before, out_before) = (inflater.total_in(), inflater.total_out());
            let status = inflater.decompress(input, &mut output, InflateFlush::NoFlush);
            // Neither exceeds the length of its slice.
            let consumed = (inflater.total_in() - in_before) as usize;
            let written = (inflater.total_out() - out_before) as usize;
            *input = &input[consumed..];
            self.produced += written;
            if written > 0 && !emit(&output[..written]) {
                return Ok(false);
            }
            match status {
                Ok(Status::StreamEnd) if gzip => {
                    inflater.reset(false);
                    self.state = State::Trailer(8);
                    return Ok(true);
                }
                Ok(Status::StreamEnd) => {
                    self.end();
                    return Ok(true);
                }
                Ok(_) if input.is_empty() && written < OUTPUT_BYTES => return Ok(true),
                Ok(_) if consumed > 0 || written > 0 => {}
                _ if self.produced == 0 => {
                    // Not compressed at all: hand on what was looked at, then the rest.
                    let head = std::mem::take(&mut self.head);
                    self.inflater = None;
                    self.state = State::Pass;
                    *input = &start[kept..];
                    return Ok(emit(&head));
                }
                _ => {
                    self.end();
                    return Err(Broken);
                }
            }
        }
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.inflater = None;
    }
}

/// The layers of a body, outermost first.
pub struct Decoder {
    layers: Vec<Layer>,
    /// Most bytes that one layer gives to the next.
    inner_limit: usize,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoder({} layers)", self.layers.len())
    }
}

impl Decoder {
    /// A decoder for the codings that Content-Encoding names, of whose output `limit` bytes are wanted; None when there
    /// is nothing to take off.
    pub fn for_encoding(value: &[u8], limit: usize) -> Option<Self> {
        let known = |coding: &&[u8]| contains(coding, b"gzip") || contains(coding, b"deflate");
        let layers =
            value.split(|b| matches!(b, b',' | b' ' | b'\t')).filter(known).take(MAX_LAYERS).map(|_| Layer::new());
        let layers: Vec<_> = layers.collect();
        let inner_limit = limit.saturating_mul(2).saturating_add(INNER_ROOM_BYTES);
        (!layers.is_empty()).then_some(Self { layers, inner_limit })
    }

    /// Decode `input`; Ok(false) when `emit` wanted no more.
    pub fn feed(&mut self, input: &[u8], emit: Emit<'_>) -> Result<bool, Broken> {
        let inner_limit = self.inner_limit;
        match self.layers.as_mut_slice() {
            [] => Ok(emit(input)),
            [only] => only.feed(input, emit),
            [outer, inner, ..] => {
                let mut broken = false;
                let before = outer.produced;
                let mut given = before;
                let more = outer.feed(input, &mut |chunk| {
                    given += chunk.len();
                    let more = inner.feed(chunk, emit);
                    broken = more.is_err();
                    more.unwrap_or(false) && given <= inner_limit
                });
                if broken {
                    return Err(Broken);
                }
                more
            }
        }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        let inflaters = self.layers.iter().filter(|l| l.inflater.is_some()).count();
        inflaters * INFLATER_BYTES + std::mem::size_of_val(self.layers.as_slice())
    }
}

#[cfg(test)]
mod tests;
