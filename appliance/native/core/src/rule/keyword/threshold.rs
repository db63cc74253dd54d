//! `threshold`: how often a rule that matches tells: `limit` (the first so many in a period), `threshold` (every so many-th),
//! `both` (once per period, at the so many-th), counted by source, destination, both, flow or rule.
//!
//! The counting is here, as a step from (state, time) to (state, tell); who keeps the states is `detect::thresholds`.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "threshold", parse }];

/// `type`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first `count` in a period.
    Limit,
    /// Each time `count` have come within the period.
    Threshold,
    /// Once per period, when `count` have come.
    Both,
}

/// `track`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// By source address.
    Source,
    /// By destination address.
    Destination,
    /// By the pair of addresses.
    Both,
    /// By flow.
    Flow,
    /// All together.
    Rule,
}

/// The parsed keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// `type`
    pub kind: Kind,
    /// `track`
    pub track: Track,
    /// `count`
    pub count: u32,
    /// `seconds`, in nanoseconds.
    pub period_ns: u64,
}

/// What is remembered for one rule and one tracked key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// When the period began.
    pub since_ns: u64,
    /// Matches in it.
    pub count: u32,
}

impl Threshold {
    /// Counts one match at `now_ns`; says whether to tell. Follows Suricata's threshold engine: a period that is over begins
    /// anew with this match.
    pub fn step(&self, counter: &mut Option<Counter>, now_ns: u64) -> bool {
        let inside = counter.is_some_and(|counter| now_ns <= counter.since_ns.saturating_add(self.period_ns));
        let counter = match counter {
            Some(counter) if inside => {
                counter.count = counter.count.saturating_add(1);
                counter
            }
            _ => counter.insert(Counter { since_ns: now_ns, count: 1 }),
        };
        match self.kind {
            Kind::Limit => counter.count <= self.count,
            Kind::Both => counter.count == self.count,
            Kind::Threshold if counter.count >= self.count => {
                counter.count = 0;
                true
            }
            Kind::Threshold => false,
        }
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    if draft.threshold.is_some() {
        return Err("a rule has one threshold".into());
    }
    let (mut kind, mut track, mut count, mut seconds) = (None, None, None, None);
    for part in value.text()?.split(',') {
        let part = part.trim();
        let (name, value) = part.split_once(char::is_whitespace).ok_or_else(|| format!("`{part}` lacks its value"))?;
        let value = value.trim();
        let twice = match name {
            "type" => kind.replace(self::kind(value)?).is_some(),
            "track" => track.replace(self::track(value)?).is_some(),
            "count" => count.replace(number(name, value)?).is_some(),
            "seconds" => seconds.replace(number(name, value)?).is_some(),
            _ => return Err(format!("`{name}` is not supported; allowed are type, track, count, seconds")),
        };
        if twice {
            return Err(format!("`{name}` comes twice"));
        }
    }
    let (Some(kind), Some(track), Some(count), Some(seconds)) = (kind, track, count, seconds) else {
        return Err("it needs type, track, count and seconds".into());
    };
    draft.threshold = Some(Threshold { kind, track, count, period_ns: u64::from(seconds) * 1_000_000_000 });
    Ok(())
}

fn kind(word: &str) -> Result<Kind, String> {
    Ok(match word {
        "limit" => Kind::Limit,
        "threshold" => Kind::Threshold,
        "both" => Kind::Both,
        other => return Err(format!("type `{other}` is not supported; allowed are limit, threshold, both")),
    })
}

fn track(word: &str) -> Result<Track, String> {
    Ok(match word {
        "by_src" => Track::Source,
        "by_dst" => Track::Destination,
        "by_both" => Track::Both,
        "by_flow" => Track::Flow,
        "by_rule" => Track::Rule,
        other => {
            return Err(format!(
                "track `{other}` is not supported; allowed are by_src, by_dst, by_both, by_flow, by_rule"
            ));
        }
    })
}

fn number(name: &str, value: &str) -> Result<u32, String> {
    value.parse().ok().filter(|number| *number > 0).ok_or_else(|| format!("{name} `{value}` is no number above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times in seconds at which a match comes, and at which of them it is told.
    #[test]
    fn each_type_tells_at_the_matches_suricata_tells() {
        let cases: &[(Kind, u32, &[u64], &[u64])] = &[
            (Kind::Limit, 1, &[0, 1, 10, 11, 12], &[0, 11]),
            (Kind::Limit, 2, &[0, 1, 2, 30], &[0, 1, 30]),
            (Kind::Threshold, 3, &[0, 1, 2, 3, 4, 5, 6], &[2, 5]),
            (Kind::Threshold, 2, &[0, 20, 40, 41], &[41]),
            (Kind::Both, 2, &[0, 1, 2, 3, 20, 21, 22], &[1, 21]),
            (Kind::Both, 1, &[0, 1, 11], &[0, 11]),
        ];
        for (kind, count, times, told) in cases {
            let threshold = Threshold { kind: *kind, track: Track::Rule, count: *count, period_ns: 10_000_000_000 };
            let mut counter = None;
            let got: Vec<u64> =
                times.iter().copied().filter(|time| threshold.step(&mut counter, time * 1_000_000_000)).collect();
            assert_eq!(got, *told, "{kind:?} {count}");
        }
    }
}
