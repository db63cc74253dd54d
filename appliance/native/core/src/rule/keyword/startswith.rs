//! `startswith`: the content before it is the beginning of its buffer: `depth` with the content's own length.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "startswith", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    value.none()?;
    let content = draft.last_content()?;
    if content.startswith {
        return Err("the content before it has startswith already".into());
    }
    if content.depth.is_some() || content.offset.is_some() || content.relative() {
        return Err("it cannot be used with depth, offset, distance or within on one content".into());
    }
    content.startswith = true;
    content.depth = Some(content.bytes().len() as u32);
    Ok(())
}
