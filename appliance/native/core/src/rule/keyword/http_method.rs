//! `http.method`, and the old spelling `http_method` after its content.

use super::{Keyword, Parsed, Value};
use crate::inspect::BufferId;
use crate::rule::draft::Draft;
use crate::rule::model::Buffer;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] =
    &[Keyword { name: "http.method", parse: sticky }, Keyword { name: "http_method", parse: modifier }];

const BUFFER: Buffer = Buffer::Of(BufferId::HttpMethod);

fn sticky(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    value.none()?;
    draft.open(BUFFER)
}

fn modifier(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    value.none()?;
    draft.move_last_content(BUFFER)
}
