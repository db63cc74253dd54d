//! The keywords: one file each, its parsing beside its matching, and one line each in [`TABLE`].
//!
//! A keyword's file exports `KEYWORDS`, the spellings it answers to with their parsers. A parser reads its value and writes
//! into the [`Draft`]; a reason it returns refuses the whole rule. What matches on buffers or headers implements
//! [`super::check::BufferCheck`] or [`super::check::PacketCheck`] in the same file.

use super::draft::Draft;
use std::collections::HashMap;
use std::sync::OnceLock;

pub mod bsize;
pub mod byte_jump;
pub mod byte_test;
pub mod classtype;
pub mod compare;
pub mod content;
pub mod depth;
pub mod distance;
pub mod dns_query;
pub mod dsize;
pub mod endswith;
pub mod fast_pattern;
pub mod file_data;
pub mod flags;
pub mod flow;
pub mod flowbits;
pub mod gid;
pub mod http_method;
pub mod http_request_body;
pub mod http_uri;
pub mod http_user_agent;
pub mod icode;
pub mod isdataat;
pub mod itype;
pub mod metadata;
pub mod msg;
pub mod noalert;
pub mod nocase;
pub mod number;
pub mod offset;
pub mod pcre;
pub mod pkt_data;
pub mod priority;
pub mod rawbytes;
pub mod reference;
pub mod rev;
pub mod sid;
pub mod startswith;
pub mod target;
pub mod threshold;
pub mod urilen;
pub mod within;

/// Every keyword's file.
const TABLE: &[&[Keyword]] = &[
    bsize::KEYWORDS,
    byte_jump::KEYWORDS,
    byte_test::KEYWORDS,
    classtype::KEYWORDS,
    content::KEYWORDS,
    depth::KEYWORDS,
    distance::KEYWORDS,
    dns_query::KEYWORDS,
    dsize::KEYWORDS,
    endswith::KEYWORDS,
    fast_pattern::KEYWORDS,
    file_data::KEYWORDS,
    flags::KEYWORDS,
    flow::KEYWORDS,
    flowbits::KEYWORDS,
    gid::KEYWORDS,
    http_method::KEYWORDS,
    http_request_body::KEYWORDS,
    http_uri::KEYWORDS,
    http_user_agent::KEYWORDS,
    icode::KEYWORDS,
    isdataat::KEYWORDS,
    itype::KEYWORDS,
    metadata::KEYWORDS,
    msg::KEYWORDS,
    noalert::KEYWORDS,
    nocase::KEYWORDS,
    offset::KEYWORDS,
    pcre::KEYWORDS,
    pkt_data::KEYWORDS,
    priority::KEYWORDS,
    rawbytes::KEYWORDS,
    reference::KEYWORDS,
    rev::KEYWORDS,
    sid::KEYWORDS,
    startswith::KEYWORDS,
    target::KEYWORDS,
    threshold::KEYWORDS,
    urilen::KEYWORDS,
    within::KEYWORDS,
];

/// What a parser answers; a reason refuses the rule.
pub type Parsed = Result<(), String>;

/// One spelling of a keyword.
#[derive(Debug, Clone, Copy)]
pub struct Keyword {
    /// As it stands in rules.
    pub name: &'static str,
    /// Reads the value into the draft.
    pub parse: fn(&mut Draft<'_>, Value<'_>) -> Parsed,
}

/// Finds a keyword's parser.
pub fn find(name: &str) -> Option<&'static Keyword> {
    static BY_NAME: OnceLock<HashMap<&'static str, &'static Keyword>> = OnceLock::new();
    let by_name =
        BY_NAME.get_or_init(|| TABLE.iter().flat_map(|file| file.iter()).map(|word| (word.name, word)).collect());
    by_name.get(name).copied()
}

/// Names of all keywords, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = TABLE.iter().flat_map(|file| file.iter()).map(|word| word.name).collect();
    names.sort_unstable();
    names
}

/// What stands behind a keyword's colon.
#[derive(Debug, Clone, Copy)]
pub struct Value<'v>(pub Option<&'v str>);

impl<'v> Value<'v> {
    /// For keywords without a value.
    ///
    /// # Errors
    /// There is one.
    pub fn none(self) -> Parsed {
        match self.0 {
            None | Some("") => Ok(()),
            Some(value) => Err(format!("it takes no value, `{}` came", super::text::shorten(value))),
        }
    }

    /// The value as it stands.
    ///
    /// # Errors
    /// There is none.
    pub fn text(self) -> Result<&'v str, String> {
        self.0.filter(|value| !value.is_empty()).ok_or_else(|| "it needs a value".into())
    }

    /// A value in quotes, which may be left out where they come in a pair: (negated with `!`, what is inside).
    ///
    /// # Errors
    /// There is none, or a quote has no partner.
    pub fn quoted(self) -> Result<(bool, &'v str), String> {
        let text = self.text()?;
        let (negated, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        let Some(rest) = text.strip_prefix('"') else {
            return if text.ends_with('"') {
                Err("its value has a closing quote only".into())
            } else {
                Ok((negated, text))
            };
        };
        let inner = rest.strip_suffix('"').ok_or("its value has an opening quote only")?;
        Ok((negated, inner))
    }

    /// A number.
    ///
    /// # Errors
    /// It is none, or out of the type's range.
    pub fn number<N: std::str::FromStr>(self) -> Result<N, String> {
        let text = self.text()?;
        text.parse().map_err(|_| format!("`{}` is no number in its range", super::text::shorten(text)))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_spelling_stands_in_the_table_once() {
        let names = super::names();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
