//! `sid`: the number of the rule, 1 or more; every rule has one.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "sid", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let number = value.number::<u32>()?;
    if number == 0 {
        return Err("0; allowed are 1 and above".into());
    }
    if draft.sid.replace(number).is_some() {
        return Err("it comes twice".into());
    }
    Ok(())
}
