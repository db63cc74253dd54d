//! The whole way from frame to alert on hostile and on real input: no panic (debug builds check arithmetic too), no hang, and
//! memory within its budget. The captures of `tests/cases` are the seeds; the shared data folder's are run when there.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::Xorshift;
use vedette_core::capture::file::{CaptureFile, Step};
use vedette_core::decode::{Config, Decoded, Decoder};
use vedette_core::engine::{Detection, Engine, Pipeline};
use vedette_core::packet::Frame;
use vedette_core::prefilter::MatcherKind;
use vedette_core::rule::{Options, RuleSet, Variables};
use vedette_core::stream::OverlapPolicy;
use vedette_core::worker::WorkerConfig;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");

fn load(paths: &[PathBuf]) -> Arc<RuleSet> {
    let any = ["HOME_NET", "EXTERNAL_NET"].map(|name| (name.to_string(), "any".to_string()));
    // The back end without a native library: what is tested here is ours.
    let options = Options { matcher: Some(MatcherKind::AhoCorasick), cache_dir: None };
    Arc::new(RuleSet::load(paths, &Variables::with(&any).unwrap(), &options).unwrap())
}

fn counter(pipeline: &Detection, name: &str) -> u64 {
    let mut found = None;
    pipeline.counters(&mut |told, value| {
        if told == name {
            found = Some(value);
        }
    });
    found.expect("a counter of this name")
}

fn case_folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> = std::fs::read_dir(Path::new(ROOT).join("tests/cases"))
        .expect("the cases are in the tree")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("input.pcap").is_file())
        .collect();
    folders.sort();
    folders
}

/// The frames of a capture: time, link type and bytes.
fn frames_of(file: &CaptureFile) -> Vec<Frame<'_>> {
    let mut reader = file.reader(0).unwrap();
    std::iter::from_fn(|| match reader.step() {
        Step::Frame(frame) => Some(frame),
        Step::End | Step::Broken { .. } => None,
    })
    .collect()
}

#[test]
fn mutated_shuffled_and_repeated_frames_go_all_the_way() {
    let folders = case_folders();
    assert!(folders.len() > 20, "{} cases", folders.len());
    let rules = load(&folders.iter().map(|folder| folder.join("test.rules")).collect::<Vec<_>>());
    let files: Vec<_> = folders.iter().map(|folder| CaptureFile::open(&folder.join("input.pcap")).unwrap()).collect();
    let seeds: Vec<_> = files.iter().map(frames_of).collect();
    let mut random = Xorshift(0x00c0_ffee);
    let policies = [OverlapPolicy::First, OverlapPolicy::Last, OverlapPolicy::Bsd, OverlapPolicy::Linux];
    let mut alerts = Vec::new();
    for round in 0..40_u64 {
        let config = WorkerConfig {
            flow_memcap_mib: 1,
            stream_memcap_mib: 1,
            stream_depth_kib: [0, 1, 1_024][random.below(3)],
            body_limit_kib: 1 + random.below(100),
            midstream: random.below(2) == 0,
            overlap_policy: policies[random.below(4)],
            seed: round,
        };
        let mut pipeline = Detection::new(config, &rules).unwrap();
        let mut decoder = Decoder::new(Config { verify_checksums: false, ..Config::default() });
        for seed in &seeds {
            let mut order: Vec<usize> = (0..seed.len()).collect();
            match random.below(4) {
                0 => random.shuffle(&mut order),
                1 => order.extend_from_within(..),
                _ => {}
            }
            for index in order {
                let mut bytes = seed[index].data.to_vec();
                match random.below(4) {
                    0 => random.mutate(&mut bytes),
                    // Behind the headers, so that the layers above get something to do.
                    1 if bytes.len() > 60 => {
                        let at = 54 + random.below(bytes.len() - 54);
                        bytes[at] = b"\0\r\n%:; \xff"[random.below(8)];
                    }
                    _ => {}
                }
                let original_len = bytes.len() as u32;
                if let Decoded::Packet(packet) = decoder.decode(&Frame { data: &bytes, original_len, ..seed[index] }) {
                    pipeline.packet(&packet);
                    pipeline.take_alerts(&mut alerts);
                }
            }
            assert!(counter(&pipeline, "stream_memory_bytes") <= 1 << 20);
        }
        pipeline.finish();
        pipeline.take_alerts(&mut alerts);
        assert_eq!(counter(&pipeline, "flows_active"), 0, "finishing ends every flow");
        assert_eq!(counter(&pipeline, "stream_memory_bytes"), 0, "and gives its memory back");
    }
    assert!(alerts.len() > 1_000, "most of it still reaches the rules: {}", alerts.len());
    assert!(alerts.iter().all(|alert| (alert.rule as usize) < rules.rules.len()));
}

#[test]
fn every_shared_capture_goes_all_the_way() {
    let data = Path::new(ROOT).join("../shared/data");
    let Ok(entries) = std::fs::read_dir(data.join("pcap")) else {
        eprintln!("skipped: ../shared/data/pcap is not beside the repository");
        return;
    };
    let rules = load(&[data.join("rules/bench/small200.rules")]);
    let mut files = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "tsv") {
            continue;
        }
        files += 1;
        let decode = Config { verify_checksums: false, ..Config::default() };
        let make =
            |rules: &_| Detection::new(WorkerConfig { midstream: files % 2 == 0, ..WorkerConfig::default() }, rules);
        let engine = Engine::files(&[&path], decode, Arc::clone(&rules), make).unwrap();
        while let Some(batch) = engine.next_batch(256, Duration::from_secs(60)).unwrap() {
            assert!(!batch.is_empty(), "{} hangs", path.display());
        }
        assert_eq!(engine.stats()["flows_active"], 0);
    }
    eprintln!("{files} captures");
}
