//! `depth`: the content before it lies in the first bytes of its buffer, counted from its `offset`.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "depth", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let depth = value.number::<u16>()?;
    let content = draft.last_content()?;
    if content.startswith {
        return Err("it cannot be used with startswith on one content".into());
    }
    if content.relative() {
        return Err("it cannot be used with distance or within on one content".into());
    }
    if content.depth.is_some() {
        return Err("the content before it has a depth already".into());
    }
    if usize::from(depth) < content.bytes().len() {
        return Err(format!("{depth} is less than the content's {} bytes", content.bytes().len()));
    }
    content.depth = Some(u32::from(depth));
    Ok(())
}
