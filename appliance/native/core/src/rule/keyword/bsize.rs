//! `bsize`: the size of the sticky buffer: `N`, `<N`, `>N`, `<=N`, `>=N`, `!N`, `A<>B` (bounds left out).

use super::compare::Compare;
use super::{Keyword, Parsed, Value};
use crate::rule::check::{BufferCheck, Found, Window};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "bsize", parse }];

#[derive(Debug)]
struct Bsize(Compare);

impl BufferCheck for Bsize {
    fn find(&self, window: &Window<'_>, _cursor: usize, _from: Option<usize>) -> Found {
        if self.0.holds(window.data.len() as u64) {
            Found::Holds
        } else {
            Found::Never
        }
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let compare = Compare::parse(value.text()?)?;
    let Some(buffer) = draft.open_buffer() else {
        return Err("it needs a sticky buffer before it".into());
    };
    // A content longer than the buffer may be can never match; Suricata refuses such rules too.
    if let Some(largest) = compare.largest() {
        let longest = draft
            .chains
            .iter()
            .filter(|chain| chain.buffer == buffer)
            .flat_map(|chain| &chain.checks)
            .filter_map(|check| match check {
                crate::rule::model::Check::Content(content) if !content.negated => Some(content.bytes().len() as u64),
                _ => None,
            })
            .max();
        if let Some(longest) = longest.filter(|longest| *longest > largest) {
            return Err(format!("a content of {longest} bytes cannot be in a buffer of at most {largest}"));
        }
    }
    draft.add_check(None, Box::new(Bsize(compare)))
}
