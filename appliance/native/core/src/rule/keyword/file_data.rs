//! `file.data` (old spelling `file_data`): the content of a file. Over HTTP that is the response body to the client and, as far
//! as a request is one file (no multipart form), the request body to the server; a rule without a direction means either.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;
use crate::rule::model::Buffer;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "file.data", parse }, Keyword { name: "file_data", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    value.none()?;
    draft.open(Buffer::File)
}
