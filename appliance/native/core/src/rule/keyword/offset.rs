//! `offset`: the content before it begins no earlier than this in its buffer.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "offset", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let offset = value.number::<u16>()?;
    let content = draft.last_content()?;
    if content.startswith {
        return Err("it cannot be used with startswith on one content".into());
    }
    if content.relative() {
        return Err("it cannot be used with distance or within on one content".into());
    }
    if content.offset.is_some() {
        return Err("the content before it has an offset already".into());
    }
    content.offset = Some(u32::from(offset));
    Ok(())
}
