//! Replays capture files one by one, each from a fresh start, and prints one line per alert, tab-separated:
//! `replay [--list] [--cache DIR] [--matcher NAME] [--var NAME=VALUE]... --rules PATH [--rules PATH]... FILE...`
//!
//! Lines: `rule GID SID` for each loaded rule (with `--list`), `refused SID KEYWORD REASON`, `file PATH`,
//! `alert GID SID PROTO SRC SPORT DST DPORT`, `done PACKETS CPU_MS`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use vedette_core::capture::file::{CaptureFile, Step};
use vedette_core::decode::{Config, Decoded, Decoder};
use vedette_core::detect::Detector;
use vedette_core::prefilter::MatcherKind;
use vedette_core::rule::{Options, RuleSet, Variables};
use vedette_core::worker::{Worker, WorkerConfig};

fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut variables, mut rules, mut files, mut list) = (Vec::new(), Vec::new(), Vec::new(), false);
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or("an option lacks its value");
        match argument.as_str() {
            "--list" => list = true,
            "--cache" => options.cache_dir = Some(PathBuf::from(value()?)),
            "--matcher" => options.matcher = Some(MatcherKind::parse(&value()?)?),
            "--rules" => rules.push(PathBuf::from(value()?)),
            "--var" => {
                let text = value()?;
                let (name, value) = text.split_once('=').ok_or("--var is written NAME=VALUE")?;
                variables.push((name.to_owned(), value.to_owned()));
            }
            _ => files.push(PathBuf::from(argument)),
        }
    }
    let set = Arc::new(RuleSet::load(&rules, &Variables::with(&variables)?, &options)?);
    for refusal in &set.refused {
        println!("refused\t{}\t{}\t{}", refusal.sid.unwrap_or(0), refusal.keyword, refusal.reason);
    }
    if list {
        for rule in &set.rules {
            println!("rule\t{}\t{}", rule.info.gid, rule.info.sid);
        }
    }
    for file in &files {
        replay(file, &set)?;
    }
    Ok(())
}

fn replay(path: &Path, set: &Arc<RuleSet>) -> Result<(), Box<dyn std::error::Error>> {
    println!("file\t{}", path.display());
    let file = CaptureFile::open(path)?;
    let mut decoder = Decoder::new(Config { verify_checksums: false, ..Config::default() });
    let mut worker = Worker::new(WorkerConfig::default(), Detector::new(Arc::clone(set))?);
    let mut reader = file.reader(0)?;
    let begin = cpu_ns();
    while let Step::Frame(frame) = reader.step() {
        if let Decoded::Packet(packet) = decoder.decode(&frame) {
            worker.packet(&packet);
        }
    }
    worker.finish();
    let cpu_ms = (cpu_ns() - begin) / 1_000_000;
    for alert in worker.inspector_mut().take_alerts() {
        let info = &set.rules[alert.rule as usize].info;
        let (src, dst) = (alert.src, alert.dst);
        println!("alert\t{}\t{}\t{}\t{}\t{}\t{}\t{}", info.gid, info.sid, alert.proto, src.0, src.1, dst.0, dst.1);
    }
    println!("done\t{}\t{cpu_ms}", worker.counters().packets);
    Ok(())
}
