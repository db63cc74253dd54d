//! `msg`: what the alert says. The escapes `\" \; \: \\` are undone.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "msg", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let (negated, text) = value.quoted()?;
    if negated {
        return Err("a message cannot be negated".into());
    }
    let mut msg = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(escaped @ ('"' | ';' | ':' | '\\')) => msg.push(escaped),
                Some(other) => msg.extend(['\\', other]),
                None => return Err("its value ends in a backslash".into()),
            },
            '"' => return Err("a quote in a message must be escaped".into()),
            _ => msg.push(letter),
        }
    }
    if draft.msg.replace(msg.into()).is_some() {
        return Err("it comes twice".into());
    }
    Ok(())
}
