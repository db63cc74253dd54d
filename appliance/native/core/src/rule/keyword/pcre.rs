//! `pcre`: a Perl-compatible expression in the current buffer or the one its flags name, plain or negated.
//!
//! Flags: `i s m x` as in Perl, `A` anchored, `E` dollar at the very end only, `G` not greedy, `R` from the match before,
//! `U P V M` select `http.uri`, `http.request_body`, `http.user_agent`, `http.method`; `B` (raw bytes) and `O` (own limits) are taken.
//! Flags that select a buffer this engine does not have refuse the rule.

use super::{Keyword, Parsed, Value};
use crate::inspect::BufferId;
use crate::rule::check::{BufferCheck, Found, Reach, Window};
use crate::rule::draft::Draft;
use crate::rule::model::Buffer;
use crate::rule::regex::{Options, Regex};
use std::collections::HashMap;
use std::sync::Arc;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "pcre", parse }];

/// A relative expression that may begin anywhere costs a step of the chain for so many bytes.
const BYTES_PER_STEP: usize = 256;
/// How far a match may reach that a hurried search finds.
const NEAR_BYTES: usize = 1024;

/// A match that ends so near the cut is looked at again without it.
const EDGE_BYTES: usize = 256;

/// Compiled expressions by text and options: a third of the expressions of a rule set are repeated.
#[derive(Debug, Default)]
pub struct Expressions(HashMap<(String, Options), Arc<Regex>>);

impl Expressions {
    fn get(&mut self, text: &str, options: Options) -> Result<Arc<Regex>, String> {
        if let Some(known) = self.0.get(&(text.to_owned(), options)) {
            return Ok(Arc::clone(known));
        }
        let regex = Arc::new(Regex::compile(text, options)?);
        self.0.insert((text.to_owned(), options), Arc::clone(&regex));
        Ok(regex)
    }
}

#[derive(Debug)]
struct Pcre {
    regex: Arc<Regex>,
    negated: bool,
    relative: bool,
}

impl BufferCheck for Pcre {
    fn find(&self, window: &Window<'_>, cursor: usize, from: Option<usize>) -> Found {
        let base = if self.relative { cursor.min(window.data.len()) } else { 0 };
        let mut subject = &window.data[base..];
        let near =
            window.hurried && self.relative && !self.negated && subject.len() > NEAR_BYTES && self.regex.may_cut();
        if near {
            subject = &subject[..NEAR_BYTES];
        }
        let start = from.map_or(0, |from| from.saturating_sub(base));
        if start > subject.len() {
            return Found::No;
        }
        let mut found = self.regex.find(subject, start, near);
        if near && found.is_ok_and(|found| found.is_some_and(|(_, end)| end > NEAR_BYTES - EDGE_BYTES)) {
            // What lies behind the cut may speak against it.
            found = self.regex.find(&window.data[base..], start, false);
        }
        match (found, self.negated) {
            (Ok(Some((low, high))), false) => Found::At { end: base + high, again: base + low + 1 },
            (Ok(None), true) => Found::Holds,
            // An expression that ran into its limits says nothing, so it is no match, negated or not. What it says of the
            // whole buffer, another match before it does not change.
            (Ok(Some(_)), true) | (Ok(None), false) | (Err(_), _) if self.relative => Found::No,
            _ => Found::Never,
        }
    }

    fn cost(&self, window: &Window<'_>, cursor: usize) -> u32 {
        if !self.relative || self.regex.anchored() {
            return 1;
        }
        // It looks for its match in all that follows; what is not there now is not there behind a later cursor either.
        let left = window.data.len().saturating_sub(cursor);
        1 + u32::try_from(left / BYTES_PER_STEP).unwrap_or(u32::MAX - 1)
    }

    fn reach(&self) -> Reach {
        if self.relative {
            Reach::Near
        } else {
            Reach::Free
        }
    }

    fn moves(&self) -> bool {
        !self.negated
    }

    fn retries(&self, next: Reach) -> bool {
        // The end of a later match may lie before or behind, so any relative check gets another chance.
        next != Reach::Free
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    // Published rules have expressions with one quote only; Suricata looks for the slashes alone.
    let text = value.text()?;
    let (negated, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let body = text.trim().trim_matches('"').strip_prefix('/').ok_or("an expression is written /.../flags")?;
    let end = body.rfind('/').ok_or("an expression is written /.../flags")?;
    let (expression, flags) = (&body[..end], &body[end + 1..]);
    if flags.contains(',') || expression.contains("(?P<pkt_") || expression.contains("(?P<flow_") {
        return Err("storing what an expression captures is not supported".into());
    }
    let mut options = Options::default();
    let mut relative = false;
    let mut buffer = None;
    for flag in flags.trim().chars() {
        let selected = match flag {
            'i' => set(&mut options.caseless),
            's' => set(&mut options.dotall),
            'm' => set(&mut options.multiline),
            'x' => set(&mut options.extended),
            'A' => set(&mut options.anchored),
            'E' => set(&mut options.dollar_endonly),
            'G' => set(&mut options.ungreedy),
            'O' => set(&mut options.own_limits),
            'B' => None,
            'R' => set(&mut relative),
            'U' => Some(BufferId::HttpUri),
            'P' => Some(BufferId::HttpRequestBody),
            'V' => Some(BufferId::HttpUserAgent),
            'M' => Some(BufferId::HttpMethod),
            'H' | 'D' | 'C' | 'S' | 'Y' | 'I' | 'W' | 'Z' | 'Q' => {
                return Err(format!("flag {flag} selects a buffer that is not supported"));
            }
            other => return Err(format!("`{other}` is no flag; allowed are i s m x A E G O R B U P V M")),
        };
        if let Some(id) = selected {
            if buffer.replace(Buffer::Of(id)).is_some() {
                return Err("its flags select more than one buffer".into());
            }
        }
    }
    if let (Some(selected), Some(open)) = (buffer, draft.open_buffer()) {
        if selected != open {
            return Err("its flags select another buffer than the sticky one that is open".into());
        }
        buffer = None;
    }
    if buffer.is_some() && flags.contains('B') {
        return Err("flag B is about the payload, its other flags select a buffer".into());
    }
    let regex = draft.shared.expressions.get(expression, options)?;
    draft.add_check(buffer, Box::new(Pcre { regex, negated, relative }))
}

fn set(option: &mut bool) -> Option<BufferId> {
    *option = true;
    None
}
