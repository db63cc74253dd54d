//! `metadata`: words for the reader, as `key value, key value`; an entry without a value has an empty one.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "metadata", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    for entry in value.text()?.split(',') {
        let entry = entry.trim();
        let (key, value) = entry.split_once(char::is_whitespace).unwrap_or((entry, ""));
        if !key.is_empty() {
            draft.metadata.push((key.into(), value.trim().into()));
        }
    }
    Ok(())
}
