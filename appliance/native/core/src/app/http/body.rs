//! Message bodies: where they end (RFC 9112 section 6), and the part of them that is kept.

use super::decompress::{Broken, Decoder};
use super::lines::{is_empty, Lines};
use std::borrow::Cow;

/// Chunks larger than this are no chunks (libhtp's limit).
const MAX_CHUNK_BYTES: u64 = i32::MAX as u64;

/// How a body's end is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes are left.
    Length(u64),
    /// All there is until the direction ends.
    UntilClose,
    /// A chunk's size line comes next.
    ChunkSize,
    /// So many bytes of the chunk are left.
    Chunk(u64),
    /// The end of the line after a chunk.
    ChunkEnd,
    /// Fields after the last chunk.
    Trailer,
}

/// The next piece of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'d> {
    /// Bytes of the body.
    Data(&'d [u8]),
    /// More input is needed.
    More,
    /// The body is complete.
    Done,
    /// This is no chunk size.
    Broken(Cow<'d, [u8]>),
}

fn is_control(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b' ' | b'\t' | 0x0b | 0x0c)
}

/// Whether a chunk's size line can begin like this.
fn may_be_size(data: &[u8]) -> bool {
    data.iter().find(|&&b| !is_control(b)).is_none_or(u8::is_ascii_hexdigit)
}

/// The size a line gives; what follows the digits is an extension.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let start = line.iter().position(|&b| !is_control(b))?;
    let digits = line[start..].iter().take_while(|b| b.is_ascii_hexdigit());
    let mut any = false;
    let size = digits.into_iter().try_fold(0_u64, |n, &b| {
        any = true;
        let n = n << 4 | u64::from((b as char).to_digit(16)?);
        (n <= MAX_CHUNK_BYTES).then_some(n)
    })?;
    any.then_some(size)
}

impl Framing {
    /// Take the next piece off the front of `data`.
    pub fn take<'d>(&mut self, lines: &mut Lines, data: &mut &'d [u8]) -> Piece<'d> {
        loop {
            match self {
                Self::Length(0) => return Piece::Done,
                _ if data.is_empty() => return Piece::More,
                Self::UntilClose => return Piece::Data(std::mem::take(data)),
                Self::Length(left) | Self::Chunk(left) => {
                    let n = data.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let (piece, rest) = data.split_at(n);
                    *left -= n as u64;
                    *data = rest;
                    if *self == Self::Chunk(0) {
                        *self = Self::ChunkEnd;
                    }
                    return Piece::Data(piece);
                }
                Self::ChunkEnd => match memchr::memchr(b'\n', data) {
                    Some(end) => {
                        *data = &data[end + 1..];
                        *self = Self::ChunkSize;
                    }
                    None => *data = &[],
                },
                // Without waiting for a line end that may never come.
                Self::ChunkSize if lines.is_empty() && !may_be_size(data) => return Piece::Broken(Cow::Borrowed(&[])),
                Self::ChunkSize => match lines.next(data) {
                    Ok(Some(line)) if line.iter().all(|&b| is_control(b)) => {}
                    Ok(Some(line)) => match chunk_size(&line) {
                        Some(0) => *self = Self::Trailer,
                        Some(size) => *self = Self::Chunk(size),
                        None => return Piece::Broken(line),
                    },
                    Ok(None) => {}
                    Err(_) => return Piece::Broken(Cow::Owned(lines.take_partial())),
                },
                Self::Trailer => match lines.next(data) {
                    Ok(Some(line)) if is_empty(&line) => return Piece::Done,
                    Ok(_) => {}
                    Err(_) => return Piece::Broken(Cow::Owned(lines.take_partial())),
                },
            }
        }
    }

    /// Skip `len` bytes that were lost; false: where the body goes on is unknown.
    pub fn skip(&mut self, len: u64) -> bool {
        match self {
            Self::UntilClose => true,
            Self::Length(left) if len <= *left => {
                *left -= len;
                true
            }
            Self::Chunk(left) if len < *left => {
                *left -= len;
                true
            }
            _ => false,
        }
    }
}

/// The part of a body that is kept, decoded.
#[derive(Debug, Default)]
pub struct Body {
    data: Vec<u8>,
    decoder: Option<Decoder>,
    full: bool,
    /// Bytes of the body seen, encoded.
    pub seen: u64,
}

impl Body {
    /// The bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Take codings off what comes.
    pub fn decode_with(&mut self, decoder: Option<Decoder>) {
        self.decoder = decoder;
    }

    /// Nothing more is kept.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Keep nothing more.
    pub fn close(&mut self) {
        self.full = true;
        self.decoder = None;
    }

    /// Bytes are missing: nothing behind a hole can be decoded.
    pub fn lost(&mut self) {
        if self.decoder.is_some() {
            self.close();
        }
    }

    /// Add a piece, up to `limit` bytes in all.
    pub fn push(&mut self, piece: &[u8], limit: usize) -> Result<(), Broken> {
        self.seen += piece.len() as u64;
        if self.full {
            return Ok(());
        }
        let data = &mut self.data;
        let mut keep = |bytes: &[u8]| {
            let n = bytes.len().min(limit - data.len().min(limit));
            data.extend_from_slice(&bytes[..n]);
            data.len() < limit
        };
        let more = match &mut self.decoder {
            Some(decoder) => decoder.feed(piece, &mut keep),
            None => Ok(keep(piece)),
        };
        match more {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.close();
                Ok(())
            }
            Err(Broken) => {
                self.close();
                Err(Broken)
            }
        }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.data.capacity() + self.decoder.as_ref().map_or(0, Decoder::memory)
    }
}
