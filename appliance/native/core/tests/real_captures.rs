//! Captures of real programs and real attacks, when the shared data folder is beside the repository.

use std::path::{Path, PathBuf};
use vedette_core::capture::file::{CaptureFile, Step};
use vedette_core::decode::{Config, Decoder};

fn captures() -> Option<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/pcap");
    let entries = std::fs::read_dir(folder).ok()?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension != "tsv"));
    files.sort();
    Some(files)
}

#[test]
fn every_shared_capture_is_walked_to_its_end() {
    let Some(files) = captures() else {
        eprintln!("skipped: ../shared/data/pcap is not beside the repository");
        return;
    };
    let mut decoder = Decoder::new(Config { verify_checksums: false, ..Config::default() });
    let (mut refused, mut broken) = (Vec::new(), Vec::new());
    for path in &files {
        let file = match CaptureFile::open(path) {
            Ok(file) => file,
            Err(error) => {
                refused.push(error.to_string());
                continue;
            }
        };
        let mut reader = file.reader(0).expect("it was opened");
        loop {
            match reader.step() {
                Step::Frame(frame) => {
                    decoder.decode(&frame);
                }
                Step::End => break,
                Step::Broken { offset, reason } => {
                    broken.push(file.broken(offset, &reason).to_string());
                    break;
                }
            }
        }
    }
    eprintln!("{} files; refused {refused:#?}; broken off {broken:#?}; {:#?}", files.len(), decoder.counters());
    let counters = decoder.counters();
    assert!(counters.packets > counters.frames / 2, "most frames are IP: {counters:?}");
}
