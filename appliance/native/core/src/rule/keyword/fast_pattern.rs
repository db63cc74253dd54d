//! `fast_pattern`: the content before it is the one the prefilter looks for; `only` and `offset,length` as in Suricata.

use super::content::FastPattern;
use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "fast_pattern", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let marked =
        draft.chains.iter().flat_map(|chain| &chain.checks).any(
            |check| matches!(check, crate::rule::model::Check::Content(content) if content.fast != FastPattern::No),
        );
    let content = draft.last_content()?;
    let fast = match value.0 {
        None | Some("") => FastPattern::Yes,
        Some("only") => {
            if content.negated || content.relative() || content.depth.is_some() || content.offset.is_some() {
                return Err("`only` cannot be used with a negated content, depth, offset, distance or within".into());
            }
            FastPattern::Only
        }
        Some(piece) => {
            let (offset, length) = piece
                .split_once(',')
                .and_then(|(offset, length)| Some((offset.trim().parse().ok()?, length.trim().parse().ok()?)))
                .ok_or_else(|| format!("`{piece}` is neither `only` nor `offset,length`"))?;
            if length == 0 || usize::from(offset) + usize::from(length) > content.bytes().len() {
                return Err(format!("`{piece}` is not inside the content's {} bytes", content.bytes().len()));
            }
            FastPattern::Chop(offset, length)
        }
    };
    if content.negated && (content.relative() || content.depth.is_some() || content.offset.is_some()) {
        return Err("a negated content with depth, offset, distance or within cannot be the fast pattern".into());
    }
    if marked {
        return Err("a rule has one fast pattern".into());
    }
    content.fast = fast;
    Ok(())
}
