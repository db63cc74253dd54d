//! `rawbytes`: kept for old rules; there is no decoded payload to choose against, so it changes nothing, as in Suricata.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "rawbytes", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    value.none()?;
    draft.last_content().map(|_| ())
}
