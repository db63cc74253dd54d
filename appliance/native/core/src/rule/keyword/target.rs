//! `target`: which end of the alert was attacked, `src_ip` or `dest_ip`; for the reader.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;
use crate::rule::model::Target;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "target", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let target = match value.text()? {
        "src_ip" => Target::Source,
        "dest_ip" => Target::Destination,
        other => return Err(format!("`{other}` is no end; allowed are src_ip and dest_ip")),
    };
    draft.target = Some(target);
    Ok(())
}
