//! `priority`: 1 (most severe) to 255; overrides the one of the classification type.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "priority", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let number = value.number::<u8>()?;
    if number == 0 {
        return Err("0; allowed are 1 to 255".into());
    }
    if draft.priority.replace(number).is_some() {
        return Err("it comes twice".into());
    }
    Ok(())
}
