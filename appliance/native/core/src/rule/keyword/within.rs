//! `within`: the content before it ends within this many bytes behind the match before it (and its own `distance`).

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "within", parse }];

/// Largest value, as in Suricata.
const LARGEST: i32 = 1024 * 1024;

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let within = value.number::<i32>()?;
    if !(-LARGEST..=LARGEST).contains(&within) {
        return Err(format!("{within}; allowed are -{LARGEST} to {LARGEST}"));
    }
    let content = draft.last_content()?;
    if content.startswith {
        return Err("it cannot be used with startswith on one content".into());
    }
    if content.depth.is_some() || content.offset.is_some() {
        return Err("it cannot be used with depth or offset on one content".into());
    }
    if content.within.is_some() {
        return Err("the content before it has a within already".into());
    }
    if usize::try_from(within).unwrap_or(0) < content.bytes().len() {
        return Err(format!("{within} is less than the content's {} bytes", content.bytes().len()));
    }
    content.within = Some(within);
    Ok(())
}
