//! `gid`: the number of what made the rule; 1 unless it is given.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "gid", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let number = value.number::<u32>()?;
    if draft.gid.replace(number).is_some() {
        return Err("it comes twice".into());
    }
    Ok(())
}
