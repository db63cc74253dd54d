//! `bsize`: the size of the sticky buffer: `N`, `<N`, `>N`, `<=N`, `>=N`, `!N`, `A<>B` (bounds left out).

use super::{Keyword, Parsed, Value};
use crate::rule::check::{BufferCheck, Found, Window};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "bsize", parse }];

/// A comparison with a number; keywords that compare sizes and header fields share its grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// `N`
    Equal(u64),
    /// `!N`
    Not(u64),
    /// `<N`
    Less(u64),
    /// `<=N`
    AtMost(u64),
    /// `>N`
    More(u64),
    /// `>=N`
    AtLeast(u64),
    /// `A<>B`, bounds left out
    Between(u64, u64),
}

impl Compare {
    /// Reads one.
    ///
    /// # Errors
    /// It is none, or nothing can satisfy it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.trim()
                .parse::<u64>()
                .map_err(|_| format!("`{text}` is no number; allowed are N, <N, >N, <=N, >=N, !N and A<>B"))
        };
        if let Some((low, high)) = text.split_once("<>") {
            let (low, high) = (number(low)?, number(high)?);
            if low.checked_add(1).is_none_or(|next| next >= high) {
                return Err(format!("nothing lies between {low} and {high}"));
            }
            return Ok(Self::Between(low, high));
        }
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("<=") {
            return Ok(Self::AtMost(number(rest)?));
        }
        if let Some(rest) = text.strip_prefix(">=") {
            return Ok(Self::AtLeast(number(rest)?));
        }
        if let Some(rest) = text.strip_prefix('<') {
            return match number(rest)? {
                0 => Err("nothing is less than 0".into()),
                number => Ok(Self::Less(number)),
            };
        }
        if let Some(rest) = text.strip_prefix('>') {
            return Ok(Self::More(number(rest)?));
        }
        if let Some(rest) = text.strip_prefix('!') {
            return Ok(Self::Not(number(rest)?));
        }
        Ok(Self::Equal(number(text)?))
    }

    /// Whether `value` satisfies it.
    pub fn holds(self, value: u64) -> bool {
        match self {
            Self::Equal(number) => value == number,
            Self::Not(number) => value != number,
            Self::Less(number) => value < number,
            Self::AtMost(number) => value <= number,
            Self::More(number) => value > number,
            Self::AtLeast(number) => value >= number,
            Self::Between(low, high) => low < value && value < high,
        }
    }

    /// The largest value that satisfies it, where there is one.
    pub fn largest(self) -> Option<u64> {
        match self {
            Self::Equal(number) | Self::AtMost(number) => Some(number),
            Self::Less(number) | Self::Between(_, number) => Some(number - 1),
            Self::Not(_) | Self::More(_) | Self::AtLeast(_) => None,
        }
    }
}

#[derive(Debug)]
struct Bsize(Compare);

impl BufferCheck for Bsize {
    fn find(&self, window: &Window<'_>, _cursor: usize, _from: Option<usize>) -> Found {
        if self.0.holds(window.data.len() as u64) {
            Found::Holds
        } else {
            Found::Never
        }
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let compare = Compare::parse(value.text()?)?;
    let Some(buffer) = draft.open_buffer() else {
        return Err("it needs a sticky buffer before it".into());
    };
    // A content longer than the buffer may be can never match; Suricata refuses such rules too.
    if let Some(largest) = compare.largest() {
        let longest = draft
            .chains
            .iter()
            .filter(|chain| chain.buffer == buffer)
            .flat_map(|chain| &chain.checks)
            .filter_map(|check| match check {
                crate::rule::model::Check::Content(content) if !content.negated => Some(content.bytes().len() as u64),
                _ => None,
            })
            .max();
        if let Some(longest) = longest.filter(|longest| *longest > largest) {
            return Err(format!("a content of {longest} bytes cannot be in a buffer of at most {largest}"));
        }
    }
    draft.add_check(None, Box::new(Bsize(compare)))
}

#[cfg(test)]
mod tests {
    use super::Compare;

    #[test]
    fn comparisons_hold_at_their_bounds() {
        let cases: &[(&str, &[u64], &[u64])] = &[
            ("5", &[5], &[4, 6]),
            ("<5", &[0, 4], &[5]),
            (">5", &[6], &[5]),
            ("<=5", &[5], &[6]),
            (">= 5", &[5], &[4]),
            ("!5", &[4, 6], &[5]),
            ("5<>8", &[6, 7], &[5, 8]),
        ];
        for (text, inside, outside) in cases {
            let compare = Compare::parse(text).unwrap();
            assert!(inside.iter().all(|value| compare.holds(*value)), "{text}");
            assert!(!outside.iter().any(|value| compare.holds(*value)), "{text}");
        }
        for text in ["", "x", "<0", "5<>6", "8<>5", "-1", "1<>"] {
            assert!(Compare::parse(text).is_err(), "{text}");
        }
    }
}
