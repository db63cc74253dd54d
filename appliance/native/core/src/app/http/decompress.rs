//! Content codings of response bodies: gzip and deflate, in up to two layers.
//!
//! Rules: what a body is, its first bytes say (servers and attackers declare the wrong coding and browsers cope): a
//! gzip member, a zlib stream, or bare deflate; what turns out to be none of them is passed on as it is. Work is
//! bounded: the caller stops an output that reaches its limit, and an inner layer's input is bounded by
//! `MAX_INNER_BYTES`. Sources: RFC 1950-1952, RFC 9110 section 8.4.

use super::headers::contains;
use miniz_oxide::inflate::stream::{inflate, InflateState};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

/// Codings taken off at most (Suricata's default).
const MAX_LAYERS: usize = 2;
/// What one layer may give to the next.
const MAX_INNER_BYTES: usize = 4 * 1024 * 1024;
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
    inflater: Option<Box<InflateState>>,
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
                        self.begin(&seen);
                        if !self.feed(&seen, emit)? {
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

    /// Choose by the first two bytes.
    fn begin(&mut self, seen: &[u8]) {
        let zlib = seen[0] & 0x0f == 8 && u16::from_be_bytes([seen[0], seen[1]]) % 31 == 0;
        (self.state, self.inflater) = match (seen, zlib) {
            ([0x1f, 0x8b], _) => (State::Header(GzipField::Fixed(0)), Some(InflateState::new_boxed(DataFormat::Raw))),
            (_, true) => {
                (State::Inflate { gzip: false }, Some(InflateState::new_boxed(DataFormat::ZLibIgnoreChecksum)))
            }
            _ => (State::Inflate { gzip: false }, Some(InflateState::new_boxed(DataFormat::Raw))),
        };
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
            let result = inflate(inflater, input, &mut output, MZFlush::None);
            *input = &input[result.bytes_consumed..];
            self.produced += result.bytes_written;
            if result.bytes_written > 0 && !emit(&output[..result.bytes_written]) {
                return Ok(false);
            }
            let stuck = result.bytes_consumed == 0 && result.bytes_written == 0;
            match result.status {
                Ok(MZStatus::StreamEnd) if gzip => {
                    inflater.reset(DataFormat::Raw);
                    self.state = State::Trailer(8);
                    return Ok(true);
                }
                Ok(MZStatus::StreamEnd) => {
                    self.end();
                    return Ok(true);
                }
                Ok(_) | Err(MZError::Buf) if input.is_empty() && result.bytes_written < OUTPUT_BYTES => {
                    return Ok(true)
                }
                Ok(_) | Err(MZError::Buf) if !stuck => {}
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
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoder({} layers)", self.layers.len())
    }
}

impl Decoder {
    /// A decoder for the codings that Content-Encoding names; None when there is nothing to take off.
    pub fn for_encoding(value: &[u8]) -> Option<Self> {
        let known = |coding: &&[u8]| contains(coding, b"gzip") || contains(coding, b"deflate");
        let layers =
            value.split(|b| matches!(b, b',' | b' ' | b'\t')).filter(known).take(MAX_LAYERS).map(|_| Layer::new());
        let layers: Vec<_> = layers.collect();
        (!layers.is_empty()).then_some(Self { layers })
    }

    /// Decode `input`; Ok(false) when `emit` wanted no more.
    pub fn feed(&mut self, input: &[u8], emit: Emit<'_>) -> Result<bool, Broken> {
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
                    more.unwrap_or(false) && given <= MAX_INNER_BYTES
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
        inflaters * std::mem::size_of::<InflateState>() + std::mem::size_of_val(self.layers.as_slice())
    }
}

#[cfg(test)]
mod tests;
