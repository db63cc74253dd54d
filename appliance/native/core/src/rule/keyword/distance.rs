//! `distance`: the content before it begins at least this far behind the match before it; negative values reach back.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "distance", parse }];

/// Farthest distance either way, as in Suricata.
const FARTHEST: i32 = 1024 * 1024;

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let distance = value.number::<i32>()?;
    if !(-FARTHEST..=FARTHEST).contains(&distance) {
        return Err(format!("{distance}; allowed are -{FARTHEST} to {FARTHEST}"));
    }
    let content = draft.last_content()?;
    if content.startswith {
        return Err("it cannot be used with startswith on one content".into());
    }
    if content.depth.is_some() || content.offset.is_some() {
        return Err("it cannot be used with depth or offset on one content".into());
    }
    if content.distance.is_some() {
        return Err("the content before it has a distance already".into());
    }
    content.distance = Some(distance);
    Ok(())
}
