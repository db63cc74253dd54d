//! Lines out of pieces: a line that lies whole in a piece is borrowed, one that spans pieces is put together.
//!
//! Invariant: holds at most `MAX_LINE_BYTES` of an unfinished line; a longer one is refused.

use std::borrow::Cow;

/// Longest unfinished line that is kept (libhtp's default limit for a field).
pub const MAX_LINE_BYTES: usize = 18_000;

/// The line is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// The unfinished line.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Take the next line with its end off the front of `data`; None: it goes on in the next piece, all of `data` is
    /// taken.
    pub fn next<'d>(&mut self, data: &mut &'d [u8]) -> Result<Option<Cow<'d, [u8]>>, TooLong> {
        let Some(end) = memchr::memchr(b'\n', data) else {
            if self.partial.len() + data.len() > MAX_LINE_BYTES {
                return Err(TooLong);
            }
            self.partial.extend_from_slice(data);
            *data = &[];
            return Ok(None);
        };
        let (line, rest) = data.split_at(end + 1);
        *data = rest;
        if self.partial.is_empty() {
            return Ok(Some(Cow::Borrowed(line)));
        }
        let mut whole = std::mem::take(&mut self.partial);
        whole.extend_from_slice(line);
        Ok(Some(Cow::Owned(whole)))
    }

    /// Take what there is of an unfinished line.
    pub fn take_partial(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.partial)
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.partial.capacity()
    }
}

/// The line without its end.
pub fn chomp(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b'\n' | b'\r'] = line {
        line = rest;
    }
    line
}

/// White space as servers take it: space, tab, CR, LF, VT, FF.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

/// Without white space at both ends.
pub fn trim(mut data: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = data {
        if !is_space(*first) {
            break;
        }
        data = rest;
    }
    while let [rest @ .., last] = data {
        if !is_space(*last) {
            break;
        }
        data = rest;
    }
    data
}
