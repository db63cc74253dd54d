//! `urilen`: the length of the normalised URI; `norm` may be said, `raw` needs a buffer that is not supported.

use super::compare::Compare;
use super::{Keyword, Parsed, Value};
use crate::inspect::BufferId;
use crate::rule::check::{BufferCheck, Found, Window};
use crate::rule::draft::Draft;
use crate::rule::model::Buffer;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "urilen", parse }];

#[derive(Debug)]
struct Urilen(Compare);

impl BufferCheck for Urilen {
    fn find(&self, window: &Window<'_>, _cursor: usize, _from: Option<usize>) -> Found {
        if self.0.holds(window.data.len() as u64) {
            Found::Holds
        } else {
            Found::Never
        }
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let text = value.text()?;
    let (size, which) = text.split_once(',').unwrap_or((text, "norm"));
    match which.trim() {
        "norm" => {}
        "raw" => return Err("the raw URI is not supported".into()),
        other => return Err(format!("`{other}` is neither norm nor raw")),
    }
    let compare = Compare::parse(size)?;
    draft.add_check(Some(Buffer::Of(BufferId::HttpUri)), Box::new(Urilen(compare)))
}
