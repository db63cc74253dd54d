//! `flow`: the flow's state (`established`, `not_established`, `stateless`), the direction (`to_server`, `from_client`,
//! `to_client`, `from_server`), and what is looked at (`only_stream`, `no_stream`).

use super::{Keyword, Parsed, Value};
use crate::inspect::Direction;
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "flow", parse }];

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    if draft.flow.needed {
        return Err("a rule has one flow".into());
    }
    let flow = &mut draft.flow;
    flow.needed = true;
    let mut stateless = false;
    for word in value.text()?.split(',') {
        let word = word.trim();
        let twice = match word.to_ascii_lowercase().as_str() {
            "established" => flow.established.replace(true).is_some() || stateless,
            "not_established" => flow.established.replace(false).is_some() || stateless,
            "stateless" => std::mem::replace(&mut stateless, true) || flow.established.is_some(),
            "to_server" | "from_client" => flow.direction.replace(Direction::ToServer).is_some(),
            "to_client" | "from_server" => flow.direction.replace(Direction::ToClient).is_some(),
            "only_stream" => std::mem::replace(&mut flow.only_stream, true) || flow.no_stream,
            "no_stream" => std::mem::replace(&mut flow.no_stream, true) || flow.only_stream,
            _ => return Err(format!("`{word}` is not supported; allowed are {ALLOWED}")),
        };
        if twice {
            return Err(format!("`{word}` contradicts or repeats a word before it"));
        }
    }
    Ok(())
}

const ALLOWED: &str =
    "established, not_established, stateless, to_server, to_client, from_server, from_client, only_stream, \
                       no_stream";
