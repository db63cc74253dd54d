//! `content`: a byte string in the current buffer, plain or negated, with the marks that its modifiers leave on it.
//!
//! Matching follows Suricata's content inspection: `offset`/`depth` bound the whole buffer, `distance`/`within` count from the
//! match before, negated contents hold where the string is absent. In a window of a stream, `offset` and `depth` count from
//! the beginning of the stream.

use super::{Keyword, Parsed, Value};
use crate::rule::check::{BufferCheck, Found, Reach, Window};
use crate::rule::draft::Draft;
use crate::rule::rarity;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "content", parse }];

/// Longest content in bytes; Suricata allows 65535, nothing real comes near.
const MAX_BYTES: usize = 4096;

/// What `fast_pattern` said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FastPattern {
    /// Nothing.
    #[default]
    No,
    /// Use this content.
    Yes,
    /// Use it, and do not match it again.
    Only,
    /// Use this piece of it (offset, length).
    Chop(u16, u16),
}

/// A content with its modifiers.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // Each is one modifier keyword.
pub struct Content {
    /// The bytes; lower case when `nocase`.
    bytes: Box<[u8]>,
    /// Index of the byte to search for.
    rarest: u16,
    /// `!`
    pub negated: bool,
    /// `nocase`
    pub nocase: bool,
    /// `offset`
    pub offset: Option<u32>,
    /// `depth`, as written: counted from `offset`.
    pub depth: Option<u32>,
    /// `distance`
    pub distance: Option<i32>,
    /// `within`
    pub within: Option<i32>,
    /// `startswith`
    pub startswith: bool,
    /// `endswith`
    pub endswith: bool,
    /// `fast_pattern`
    pub fast: FastPattern,
}

impl Content {
    /// A content without modifiers.
    pub fn new(bytes: Vec<u8>, negated: bool) -> Self {
        let rarest = rarity::rarest(&bytes, false) as u16;
        Self {
            bytes: bytes.into(),
            rarest,
            negated,
            nocase: false,
            offset: None,
            depth: None,
            distance: None,
            within: None,
            startswith: false,
            endswith: false,
            fast: FastPattern::No,
        }
    }

    /// The bytes; lower case when `nocase`.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the difference between upper and lower case.
    pub fn ignore_case(&mut self) {
        self.nocase = true;
        self.bytes.make_ascii_lowercase();
        self.rarest = rarity::rarest(&self.bytes, true) as u16;
    }

    /// Without a match before it, a relative content counts from the buffer's beginning: then it is an absolute one.
    pub fn make_absolute(&mut self) {
        let distance = i64::from(self.distance.take().unwrap_or(0));
        self.offset = Some(u32::try_from(distance.max(0)).unwrap_or(0));
        if let Some(within) = self.within.take() {
            let end = distance + i64::from(within);
            // An end before the beginning binds nothing, as in Suricata.
            self.depth = u32::try_from(end).ok().map(|end| end - self.offset.unwrap_or(0).min(end));
        }
    }

    /// Whether it counts from the match before.
    pub fn relative(&self) -> bool {
        self.distance.is_some() || self.within.is_some()
    }

    /// First match in `data[from..to]`, as the index where it starts.
    fn search(&self, data: &[u8], from: usize, to: usize) -> Option<usize> {
        let needle = &*self.bytes;
        if to < from || to - from < needle.len() {
            return None;
        }
        let lead = usize::from(self.rarest);
        let hay = &data[from + lead..to - (needle.len() - 1 - lead)];
        let rare = needle[lead];
        let fits = |at: usize| {
            let start = from + at;
            let there = &data[start..start + needle.len()];
            (if self.nocase { there.eq_ignore_ascii_case(needle) } else { there == needle }).then_some(start)
        };
        if self.nocase && rare.is_ascii_alphabetic() {
            memchr::memchr2_iter(rare, rare.to_ascii_uppercase(), hay).find_map(fits)
        } else {
            memchr::memchr_iter(rare, hay).find_map(fits)
        }
    }

    /// Where it may stand: `(from, to)` as indices into the window, or `None` when there is no such place.
    fn bounds(&self, window: &Window<'_>, cursor: usize) -> Option<(usize, usize)> {
        // A buffer is far smaller than i64 can count.
        let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let (mut from, mut to) = (0, signed(window.data.len()));
        if self.relative() {
            let start = signed(cursor) + self.distance.map_or(0, i64::from);
            from = start.max(0);
            // An end before the beginning binds nothing, as in Suricata.
            if let Some(end) = self.within.map(|within| start + i64::from(within)).filter(|end| *end >= 0) {
                to = to.min(end);
            }
        } else {
            let here = |stream: i64| stream - i64::try_from(window.base).unwrap_or(i64::MAX);
            let offset = self.offset.map_or(0, i64::from);
            from = from.max(here(offset));
            if let Some(depth) = self.depth {
                to = to.min(here(offset + i64::from(depth)));
            }
        }
        if from > to || to == 0 {
            return None;
        }
        Some((usize::try_from(from).ok()?, usize::try_from(to).ok()?))
    }
}

impl BufferCheck for Content {
    fn find(&self, window: &Window<'_>, cursor: usize, from: Option<usize>) -> Found {
        let len = window.data.len();
        let missing = if self.negated {
            Found::Holds
        } else if self.relative() {
            Found::No
        } else {
            Found::Never
        };
        let Some((mut low, high)) = self.bounds(window, cursor) else { return missing };
        if let Some(from) = from {
            low = low.max(from);
        }
        if self.endswith {
            if high < len || low + self.bytes.len() > len {
                return missing;
            }
            low = len - self.bytes.len();
        }
        match (self.search(window.data, low, high), self.negated) {
            (None, _) => missing,
            (Some(start), false) => Found::At { end: start + self.bytes.len(), again: start + 1 },
            (Some(_), true) => {
                if self.relative() {
                    Found::No
                } else {
                    Found::Never
                }
            }
        }
    }

    fn reach(&self) -> Reach {
        match (self.relative(), self.negated || self.within.is_some()) {
            (true, true) => Reach::Near,
            (true, false) => Reach::Behind,
            (false, _) => Reach::Free,
        }
    }

    fn moves(&self) -> bool {
        !self.negated
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let (negated, text) = value.quoted()?;
    let bytes = unescape(text)?;
    if bytes.len() > MAX_BYTES {
        return Err(format!("{} bytes; allowed are {MAX_BYTES}", bytes.len()));
    }
    draft.add_content(Content::new(bytes, negated))
}

/// Undoes `|41 42|` and the escapes `\" \; \: \\`.
///
/// # Errors
/// Says what is no hexadecimal, what may not be escaped, or that nothing is left.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut hex = false;
    let mut half: Option<u8> = None;
    let mut escaped = false;
    for &byte in text.as_bytes() {
        if escaped {
            if !matches!(byte, b'"' | b';' | b':' | b'\\') {
                return Err(format!("`\\{}` is no escape; allowed are \\\" \\; \\: \\\\", char::from(byte)));
            }
            bytes.push(byte);
            escaped = false;
        } else if byte == b'|' {
            if half.is_some() {
                return Err("an odd number of hexadecimal digits".into());
            }
            hex = !hex;
        } else if hex {
            match (char::from(byte).to_digit(16), half) {
                (Some(digit), None) => half = Some(digit as u8),
                (Some(digit), Some(high)) => {
                    bytes.push(high << 4 | digit as u8);
                    half = None;
                }
                (None, _) if byte == b' ' => {}
                (None, _) => return Err(format!("`{}` is no hexadecimal digit", char::from(byte))),
            }
        } else if byte == b'\\' {
            escaped = true;
        } else if byte == b'"' {
            return Err("a quote in a content must be escaped".into());
        } else {
            bytes.push(byte);
        }
    }
    if hex || escaped || half.is_some() {
        return Err("its value breaks off inside |...| or an escape".into());
    }
    if bytes.is_empty() {
        return Err("an empty content".into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_hexadecimal_are_undone() {
        let cases: &[(&str, Option<&[u8]>)] = &[
            ("abc", Some(b"abc")),
            ("|41 42|c|43|", Some(b"ABcC")),
            ("|4142|", Some(b"AB")),
            (r#"a\"b\;c\:d\\"#, Some(br#"a"b;c:d\"#)),
            ("|4|", None),
            ("|4g|", None),
            ("|41", None),
            (r"\n", None),
            ("", None),
            ("||", None),
            (r"a\", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(unescape(text).ok().as_deref(), *bytes, "{text}");
        }
    }
}
