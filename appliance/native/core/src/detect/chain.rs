//! Runs a chain of checks over a buffer: when a later check fails, earlier matches it depends on are moved on.
//!
//! Suricata's content inspection, in its order: a check that fails for good ends the chain, a relative one sends the search
//! back to the match before it. The number of steps is bounded, so that hostile bytes cannot hold the engine up; a step
//! counts for several when it may look through the whole buffer, and after [`UNHURRIED_STEPS`] it may not everywhere.

use crate::rule::check::{Found, Window};
use crate::rule::model::{Chain, Check};

/// Most steps per chain and buffer (Suricata's `inspection-recursion-limit`).
const MAX_STEPS: u32 = 3000;

/// After so many steps, expressions look for a match only near the place they count from.
const UNHURRIED_STEPS: u32 = 64;

/// Whether the chain matches; `Some` with the index behind the last byte that any of its matches touched.
pub fn run(chain: &Chain, window: &Window<'_>) -> Option<usize> {
    let mut steps = MAX_STEPS;
    match step(&chain.checks, window, 0, 0, &mut steps) {
        Outcome::Match(reached) => Some(reached),
        Outcome::No | Outcome::Never => None,
    }
}

enum Outcome {
    Match(usize),
    /// Another match of an earlier check may help.
    No,
    /// Nothing helps.
    Never,
}

fn step(checks: &[(Check, bool)], window: &Window<'_>, cursor: usize, reached: usize, steps: &mut u32) -> Outcome {
    let Some(((check, retry), rest)) = checks.split_first() else {
        return Outcome::Match(reached);
    };
    if *steps == 0 {
        return Outcome::Never;
    }
    let check = check.get();
    let hurried = Window { hurried: MAX_STEPS - *steps > UNHURRIED_STEPS, ..*window };
    let window = &hurried;
    *steps = steps.saturating_sub(check.cost(window, cursor));
    let mut from = None;
    loop {
        match check.find(window, cursor, from) {
            Found::At { end, again } => match step(rest, window, end, reached.max(end), steps) {
                Outcome::No if *retry => from = Some(again),
                Outcome::No => return Outcome::Never,
                outcome => return outcome,
            },
            Found::MovesTo(end) => return step(rest, window, end, reached, steps),
            Found::Holds => return step(rest, window, cursor, reached, steps),
            Found::No => return Outcome::No,
            Found::Never => return Outcome::Never,
        }
    }
}
