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
    bare: bool,
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

    /// As [`Lines::next`], for responses: a carriage return alone ends a line too, as browsers take it, and what stands
    /// between lines and neither is one nor ends the header is left out.
    pub fn next_lenient<'d>(&mut self, data: &mut &'d [u8]) -> Result<Option<Cow<'d, [u8]>>, TooLong> {
        loop {
            let Some((line, kind)) = self.lenient(data)? else { return Ok(None) };
            if kind == Kind::Line {
                self.bare = line.ends_with(b"\n") && !line.ends_with(b"\r\n");
                return Ok(Some(line));
            }
        }
    }

    fn lenient<'d>(&mut self, data: &mut &'d [u8]) -> Result<Option<Found<'d>>, TooLong> {
        if self.partial.is_empty() {
            if let Some((end, kind)) = lenient_end(data, self.bare) {
                let (line, rest) = data.split_at(end);
                *data = rest;
                return Ok(Some((Cow::Borrowed(line), kind)));
            }
        }
        // Up to the next line feed and what must be known of behind it; what was taken too much is given back.
        let before = self.partial.len();
        let taken = memchr::memchr(b'\n', data).map_or(data.len(), |end| (end + 2).min(data.len()));
        if before + taken > MAX_LINE_BYTES {
            return Err(TooLong);
        }
        self.partial.extend_from_slice(&data[..taken]);
        let Some((end, kind)) = lenient_end(&self.partial, self.bare) else {
            *data = &data[taken..];
            return if data.is_empty() { Ok(None) } else { self.lenient(data) };
        };
        *data = &data[end - before..];
        let mut line = std::mem::take(&mut self.partial);
        line.truncate(end);
        Ok(Some((Cow::Owned(line), kind)))
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

/// A line, or what stands between lines.
type Found<'d> = (Cow<'d, [u8]>, Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Line,
    Junk,
}

/// Length of the first line when a carriage return alone ends it too; None: that depends on what follows. `bare`: the
/// line before ended with a line feed alone. The odd forms are those that libhtp tells apart, taken from what browsers
/// accept.
fn lenient_end(data: &[u8], bare: bool) -> Option<(usize, Kind)> {
    let at = memchr::memchr2(b'\n', b'\r', data)?;
    if data[at] == b'\n' {
        // A lone blank ends the header unless an empty line follows.
        if matches!(data[..at], [b' ' | b'\t']) {
            return Some((2, if *data.get(2)? == b'\n' { Kind::Junk } else { Kind::Line }));
        }
        return Some((at + 1, Kind::Line));
    }
    match data.get(at + 1)? {
        b'\n' => Some((at + 2, Kind::Line)),
        b'\r' | b' ' | b'\t' if at == 0 => {
            let run = data.iter().position(|b| !matches!(b, b'\r' | b' ' | b'\t'))?;
            let end = run + usize::from(data[run] == b'\n');
            if bare && data[..end] == *b"\r\r\n" {
                return Some((end, if matches!(data.get(end)?, b'\r' | b'\n') { Kind::Junk } else { Kind::Line }));
            }
            Some((end, Kind::Junk))
        }
        _ => Some((at + 1, Kind::Line)),
    }
}

/// Whether a line ends a header: nothing but its end, or one of the forms that pass for it in responses.
pub fn is_empty(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n" | b"\r" | b"\r\r\n" | b" \n" | b"\t\n")
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
