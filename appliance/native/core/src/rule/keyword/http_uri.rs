//! `http.uri`, and the old spellings `http_uri` (after its content) and `uricontent` (a content of its own).

use super::content::{unescape, Content};
use super::{Keyword, Parsed, Value};
use crate::inspect::BufferId;
use crate::rule::draft::Draft;
use crate::rule::model::Buffer;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "http.uri", parse: sticky },
    Keyword { name: "http_uri", parse: modifier },
    Keyword { name: "uricontent", parse: content },
];

const BUFFER: Buffer = Buffer::Of(BufferId::HttpUri);

fn sticky(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    value.none()?;
    draft.open(BUFFER)
}

fn modifier(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    value.none()?;
    draft.move_last_content(BUFFER)
}

/// A content and its modifier in one word.
fn content(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let (negated, text) = value.quoted()?;
    draft.add_content(Content::new(unescape(text)?, negated))?;
    draft.move_last_content(BUFFER)
}
