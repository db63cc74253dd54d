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

    /// As [`Lines::next`], for responses: a carriage return alone ends a line too, as browsers take it. A run of them (with blanks
    /// between) at the beginning of a line is a line of junk, so that it does not pass for the end of the header.
    pub fn next_lenient<'d>(&mut self, data: &mut &'d [u8]) -> Result<Option<Cow<'d, [u8]>>, TooLong> {
        if self.partial.is_empty() {
            if let Some(end) = lenient_end(data) {
                let (line, rest) = data.split_at(end);
                *data = rest;
                return Ok(Some(Cow::Borrowed(line)));
            }
        }
        // Up to the next line feed and no further: what was taken too much is given back.
        let before = self.partial.len();
        let taken = memchr::memchr(b'\n', data).map_or(data.len(), |end| end + 1);
        if before + taken > MAX_LINE_BYTES {
            return Err(TooLong);
        }
        self.partial.extend_from_slice(&data[..taken]);
        let Some(end) = lenient_end(&self.partial) else {
            *data = &data[taken..];
            return Ok(None);
        };
        *data = &data[end - before..];
        let mut line = std::mem::take(&mut self.partial);
        line.truncate(end);
        Ok(Some(Cow::Owned(line)))
    }

    /// Take what there is of an unfinished line.
    pub fn take_partial(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.partial)
    }

    /// Whether no line is unfinished.
    pub fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.partial.capacity()
    }
}

/// Length of the first line when a carriage return alone ends it too; None: that depends on what follows.
fn lenient_end(data: &[u8]) -> Option<usize> {
    let at = memchr::memchr2(b'\n', b'\r', data)?;
    if data[at] == b'\n' {
        return Some(at + 1);
    }
    match data.get(at + 1)? {
        b'\n' => Some(at + 2),
        b'\r' | b' ' | b'\t' if at == 0 => {
            let run = data.iter().position(|b| !matches!(b, b'\r' | b' ' | b'\t'))?;
            Some(run + usize::from(data[run] == b'\n'))
        }
        _ => Some(at + 1),
    }
}

/// Whether a line is empty: nothing but its end.
pub fn is_empty(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n" | b"\r")
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
