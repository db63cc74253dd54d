//! `isdataat`: whether there are bytes at a position of the buffer, or behind the match before (`relative`).

use super::{Keyword, Parsed, Value};
use crate::rule::check::{BufferCheck, Found, Reach, Window};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "isdataat", parse }];

#[derive(Debug)]
struct IsDataAt {
    position: usize,
    negated: bool,
    relative: bool,
}

impl BufferCheck for IsDataAt {
    fn find(&self, window: &Window<'_>, cursor: usize, _from: Option<usize>) -> Found {
        let len = window.data.len();
        // Relative positions count bytes, absolute ones name the index of a byte; as in Suricata.
        let there = if self.relative { cursor.saturating_add(self.position) <= len } else { self.position < len };
        match (there != self.negated, self.negated && self.relative) {
            (true, _) => Found::Holds,
            (false, true) => Found::No,
            (false, false) => Found::Never,
        }
    }

    fn reach(&self) -> Reach {
        if self.relative {
            Reach::Near
        } else {
            Reach::Free
        }
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let mut parts = value.text()?.split(',').map(str::trim);
    let position = parts.next().unwrap_or("");
    let (negated, position) = match position.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, position),
    };
    let position = position.parse::<u16>().map_err(|_| format!("`{position}` is no number from 0 to 65535"))?;
    let mut relative = false;
    for word in parts {
        match word {
            "relative" => relative = true,
            "rawbytes" => {}
            other => return Err(format!("`{other}` is not supported; allowed are relative and rawbytes")),
        }
    }
    let check = Box::new(IsDataAt { position: usize::from(position), negated, relative });
    draft.add_placed_check(check, relative)
}
