//! `nocase`: the content before it matches in upper and lower case.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "nocase", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    value.none()?;
    let content = draft.last_content()?;
    if content.nocase {
        return Err("the content before it has nocase already".into());
    }
    content.ignore_case();
    Ok(())
}
