//! `reference`: where to read more, as `scheme,id`.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "reference", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let text = value.text()?;
    let (scheme, id) = text.split_once(',').ok_or("it is written scheme,id")?;
    let (scheme, id) = (scheme.trim().trim_matches('"'), id.trim().trim_matches('"'));
    if scheme.is_empty() || id.is_empty() {
        return Err("it is written scheme,id".into());
    }
    draft.references.push((scheme.into(), id.into()));
    Ok(())
}
