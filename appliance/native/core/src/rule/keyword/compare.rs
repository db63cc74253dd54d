//! Comparisons with a number, as sizes and header fields have them: `N`, `<N`, `>N`, `<=N`, `>=N`, `!N`, `A<>B`.

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
