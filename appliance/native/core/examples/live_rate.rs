//! Captures from an interface and says each second what came and what was lost:
//! `live_rate [--rules PATH]... [--cache DIR] [--ring-mib N] [--seconds N] INTERFACE`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vedette_core::capture::afpacket;
use vedette_core::decode;
use vedette_core::engine::{Detection, Engine};
use vedette_core::rule::{Options, RuleSet, Variables};
use vedette_core::worker::WorkerConfig;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut rules, mut names, mut seconds) = (Vec::new(), Vec::new(), 10);
    let mut capture = afpacket::Config { threads: 1, ring_mib: 64, ring_ms: 500, snap_len: 65_535, fanout_group: None };
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or("an option lacks its value");
        match argument.as_str() {
            "--rules" => rules.push(PathBuf::from(value()?)),
            "--cache" => options.cache_dir = Some(PathBuf::from(value()?)),
            "--ring-mib" => capture.ring_mib = value()?.parse()?,
            "--seconds" => seconds = value()?.parse()?,
            _ => names.push(argument),
        }
    }
    let set = Arc::new(RuleSet::load(&rules, &Variables::default(), &options)?);
    let make = |set: &Arc<RuleSet>| Detection::new(WorkerConfig::default(), set);
    let engine = Engine::<Detection>::interfaces(&names, &capture, decode::Config::default(), Arc::clone(&set), make)?;
    println!("{} rules, capturing", set.rules.len());
    let (begin, mut alerts) = (Instant::now(), 0);
    for second in 1..=seconds {
        while begin.elapsed() < Duration::from_secs(second) {
            alerts += engine.next_batch(1_024, Duration::from_millis(100))?.map_or(0, |batch| batch.len());
        }
        let stats = engine.stats();
        let of = |name| stats.get(name).copied().unwrap_or(0);
        println!("{second} s: {} packets, {} lost by the kernel, {alerts} alerts", of("packets"), of("kernel_drops"));
    }
    Ok(())
}
