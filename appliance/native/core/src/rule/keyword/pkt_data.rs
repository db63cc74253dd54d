//! `pkt_data`: what follows is about the payload again, after a sticky buffer.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "pkt_data", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    value.none()?;
    if draft.dangling_buffer() {
        return Err("the sticky buffer before it has nothing to match".into());
    }
    draft.close();
    Ok(())
}
