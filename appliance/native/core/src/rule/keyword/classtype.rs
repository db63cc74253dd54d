//! `classtype`: a name of the classification table; an unknown name is kept and has the default priority, as in Suricata.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "classtype", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    if draft.classtype.replace(value.text()?.into()).is_some() {
        return Err("it comes twice".into());
    }
    Ok(())
}
