//! `http.request_body`, and the old spelling `http_client_body` after its content.

use super::{Keyword, Parsed, Value};
use crate::inspect::BufferId;
use crate::rule::draft::Draft;
use crate::rule::model::Buffer;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] =
    &[Keyword { name: "http.request_body", parse: sticky }, Keyword { name: "http_client_body", parse: modifier }];

const BUFFER: Buffer = Buffer::Of(BufferId::HttpRequestBody);

fn sticky(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    value.none()?;
    draft.open(BUFFER)
}

fn modifier(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    value.none()?;
    draft.move_last_content(BUFFER)
}
