//! `rev`: the revision of the rule; of two rules with one sid the higher revision is loaded.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "rev", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let number = value.number::<u32>()?;
    if draft.rev.replace(number).is_some() {
        return Err("it comes twice".into());
    }
    Ok(())
}
