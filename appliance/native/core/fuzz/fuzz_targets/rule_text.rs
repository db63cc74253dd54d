//! Rule text: whatever comes ends in rules and refusals.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vedette_core::prefilter::MatcherKind;
use vedette_core::rule::{Options, RuleSet, Variables};

fuzz_target!(|data: &[u8]| {
    let options = Options { matcher: Some(MatcherKind::AhoCorasick), cache_dir: None };
    let _ = RuleSet::from_texts([("fuzz", data)], &Variables::default(), &options);
});
