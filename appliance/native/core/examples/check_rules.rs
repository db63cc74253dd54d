//! Loads rule files and prints what was refused, by keyword, and what loading cost. `check_rules [--cache DIR] PATH...`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;
use vedette_core::rule::{Options, RuleSet, Variables};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::default();
    let mut paths = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--cache" => options.cache_dir = arguments.next().map(PathBuf::from),
            _ => paths.push(PathBuf::from(argument)),
        }
    }
    let begin = Instant::now();
    let set = RuleSet::load(&paths, &Variables::default(), &options)?;
    println!(
        "{} loaded, {} refused, {} in {:?}",
        set.rules.len(),
        set.refused.len(),
        set.matcher_name(),
        begin.elapsed()
    );
    let mut reasons: BTreeMap<(String, String), (usize, u32)> = BTreeMap::new();
    for refusal in &set.refused {
        let entry = reasons.entry((refusal.keyword.clone(), refusal.reason.clone())).or_insert((0, refusal.line));
        entry.0 += 1;
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    for ((keyword, reason), (count, line)) in reasons {
        println!("{count:6}  {keyword}: {reason} (first at line {line})");
    }
    Ok(())
}
