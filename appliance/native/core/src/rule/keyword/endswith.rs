//! `endswith`: the content before it is the end of its buffer.
//!
//! Negated, it holds unless the buffer ends with the content, as documented. (Suricata 8 also lets the rule pass when the
//! content occurs earlier in the buffer as well as at its end; that is an accident of its search and not followed.)

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "endswith", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    value.none()?;
    let content = draft.last_content()?;
    if content.endswith {
        return Err("the content before it has endswith already".into());
    }
    content.endswith = true;
    Ok(())
}
