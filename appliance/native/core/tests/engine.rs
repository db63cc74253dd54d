//! The engine's threads, with a pipeline that shows what reaches it.

mod support;
#[path = "support/wire.rs"]
mod wire;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{ethernet, ipv4, pcap, udp};
use vedette_core::capture::afpacket;
use vedette_core::decode::Config;
use vedette_core::engine::{Engine, Numbered, Pipeline, Weigh};
use vedette_core::error::{Error, Result};
use vedette_core::packet::Packet;
use wire::{on_a_wire, Sender};

/// "Rules": what the pipeline does.
#[derive(Debug, Clone, Copy)]
struct Orders {
    name: u32,
    panic_at: Option<u32>,
}

/// The name of rules that cannot be taken.
const UNLOADABLE: u32 = 99;

const QUIET: Orders = Orders { name: 0, panic_at: None };

#[derive(Debug, Clone, PartialEq, Eq)]
enum Note {
    Packet { rules: u32, source: u32, number: u32 },
    Finished,
}

impl Weigh for Note {
    fn weight_bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// Notes every packet.
#[derive(Debug)]
struct Notebook {
    orders: Orders,
    notes: Vec<Note>,
    seen: u64,
}

impl Pipeline for Notebook {
    type Rules = Orders;
    type Alert = Note;

    fn packet(&mut self, packet: &Packet<'_>) {
        let number = u32::from_be_bytes(packet.payload[..4].try_into().unwrap());
        assert_ne!(Some(number), self.orders.panic_at, "packet {number}, as ordered");
        self.seen += 1;
        self.notes.push(Note::Packet { rules: self.orders.name, source: packet.source, number });
    }

    fn advance(&mut self, _now_ns: u64) {}

    fn finish(&mut self) {
        self.notes.push(Note::Finished);
    }

    fn reload(&mut self, rules: &Arc<Orders>) -> Result<()> {
        self.orders = **rules;
        match self.orders.name {
            UNLOADABLE => Err(Error::Matcher("no memory".into())),
            _ => Ok(()),
        }
    }

    fn take_alerts(&mut self, into: &mut Vec<Note>) {
        into.append(&mut self.notes);
    }

    fn counters(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        tell("notebook_seen", self.seen);
    }
}

#[allow(clippy::unnecessary_wraps)] // the engine's makers may fail
fn notebook(orders: &Arc<Orders>) -> Result<Notebook> {
    Ok(Notebook { orders: **orders, notes: Vec::new(), seen: 0 })
}

fn numbered(number: u32) -> Vec<u8> {
    let mut datagram = udp(&number.to_be_bytes(), false);
    datagram[..2].copy_from_slice(&(1_024 + number as u16 % 512).to_be_bytes());
    datagram[6..8].fill(0);
    ethernet(0x0800, &ipv4(1, 0, 17, &[], &datagram))
}

fn capture(numbers: std::ops::Range<u32>) -> Vec<u8> {
    let frames: Vec<_> = numbers.map(numbered).collect();
    let records: Vec<_> = frames.iter().map(|frame| (1, 0, frame.len() as u32, frame.as_slice())).collect();
    pcap([0xd4, 0xc3, 0xb2, 0xa1], 1, &records)
}

/// Files that go away with the test.
struct Folder(PathBuf);

impl Folder {
    fn with(files: &[Vec<u8>]) -> (Self, Vec<PathBuf>) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("vedette-engine-{}-{next}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |(index, bytes): (usize, &Vec<u8>)| {
            let path = folder.join(format!("{index}.pcap"));
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let paths = files.iter().enumerate().map(write).collect();
        (Self(folder), paths)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn start(paths: &[PathBuf], orders: Orders) -> Engine<Notebook> {
    Engine::files(paths, Config::default(), Arc::new(orders), notebook).unwrap()
}

const LONG: Duration = Duration::from_secs(20);

/// Everything until the end, or the error that ended it.
fn collect(engine: &Engine<Notebook>) -> (Vec<Numbered<Note>>, Option<Error>) {
    let mut all = Vec::new();
    let deadline = Instant::now() + LONG;
    loop {
        assert!(Instant::now() < deadline, "hangs");
        match engine.next_batch(1_000, LONG) {
            Ok(Some(batch)) => all.extend(batch),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
    }
}

#[test]
fn files_are_read_in_order_to_the_last_packet_and_end_in_none() {
    let (_folder, paths) = Folder::with(&[capture(0..3_000), capture(3_000..3_001), capture(3_001..9_000)]);
    let engine = start(&paths, QUIET);
    let (notes, error) = collect(&engine);
    assert!(error.is_none());
    assert_eq!(notes.len(), 9_001);
    for (index, note) in notes[..9_000].iter().enumerate() {
        let number = index as u32;
        let source = [0, 1, 2][usize::from(number >= 3_000) + usize::from(number >= 3_001)];
        assert_eq!(*note, Numbered { generation: 0, alert: Note::Packet { rules: 0, source, number } });
    }
    assert_eq!(notes[9_000].alert, Note::Finished);
    let stats = engine.stats();
    for (name, value) in [("packets", 9_000), ("decoded_udp", 9_000), ("notebook_seen", 9_000), ("alerts", 9_001)] {
        assert_eq!(stats[name], value, "{name}");
    }
    assert_eq!(stats["bytes"], 9_000 * numbered(0).len() as u64);
    assert!(stats["engine_cpu_ns"] > 0);
    let size: u64 = paths.iter().map(|path| path.metadata().unwrap().len()).sum();
    assert_eq!(engine.progress(), (size, size));
    assert!(matches!(engine.next_batch(1, LONG), Ok(None)), "the end stays the end");
}

#[test]
fn a_file_that_breaks_off_is_a_warning_and_the_next_one_is_read() {
    let mut cut = capture(0..10);
    cut.truncate(cut.len() - 1);
    let (_folder, paths) = Folder::with(&[cut, capture(10..12)]);
    let engine = start(&paths, QUIET);
    assert_eq!(collect(&engine).0.len(), 9 + 2 + 1);
    let warnings = engine.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("0.pcap: at byte") && warnings[0].contains("46 bytes, 45 are left"), "{warnings:?}");
    assert_eq!(engine.warnings(), Vec::<String>::new(), "told once");
}

#[test]
fn a_file_that_is_no_capture_stops_the_start() {
    let (_folder, paths) = Folder::with(&[capture(0..1), b"not a capture file at all".to_vec()]);
    let error = Engine::files(&paths, Config::default(), Arc::new(QUIET), notebook).unwrap_err();
    assert!(matches!(error, Error::CaptureFormat { offset: 0, .. }), "{error}");
}

#[test]
fn a_slow_consumer_makes_a_file_wait_and_loses_nothing() {
    let (_folder, paths) = Folder::with(&[capture(0..20_000)]);
    let engine = start(&paths, QUIET);
    while engine.stats()["packets"] < 6_000 {
        std::thread::yield_now();
    }
    // The queue holds 8,192: the thread cannot have come to the end.
    assert!(engine.progress().0 < engine.progress().1);
    assert_eq!(collect(&engine).0.len(), 20_001);
    assert_eq!(engine.stats()["alerts_dropped"], 0);
}

#[test]
fn a_reload_takes_effect_between_two_packets_and_is_counted() {
    let (_folder, paths) = Folder::with(&[capture(0..30_000)]);
    let engine = start(&paths, QUIET);
    let mut notes = engine.next_batch(10, LONG).unwrap().unwrap();
    // The thread is held back by its full queue, so packets remain for both new generations.
    assert_eq!(engine.reload(Arc::new(Orders { name: 1, ..QUIET })), 1);
    while notes.last().unwrap().generation == 0 {
        notes.extend(engine.next_batch(10, LONG).unwrap().unwrap());
    }
    assert_eq!(engine.reload(Arc::new(Orders { name: 2, ..QUIET })), 2);
    notes.extend(collect(&engine).0);
    assert_eq!(notes.len(), 30_001, "no packet is lost");
    let mut last = (0, None);
    for note in &notes[..30_000] {
        let Note::Packet { rules, number, .. } = note.alert else { panic!("{note:?}") };
        assert_eq!(u64::from(rules), note.generation, "the generation names the rules that raised the alert");
        assert!(note.generation >= last.0 && Some(number) == last.1.map_or(Some(0), |last: u32| last.checked_add(1)));
        last = (note.generation, Some(number));
    }
    assert_eq!(last.0, 2);
}

#[test]
fn rules_that_a_thread_cannot_take_are_told() {
    let (_folder, paths) = Folder::with(&[capture(0..30_000)]);
    let engine = start(&paths, QUIET);
    engine.next_batch(1, LONG).unwrap();
    engine.reload(Arc::new(Orders { name: UNLOADABLE, ..QUIET }));
    let error = collect(&engine).1.expect("told").to_string();
    assert!(error.contains("no memory"), "{error}");
}

#[test]
fn stop_ends_reading_and_hands_over_what_is_left() {
    let (_folder, paths) = Folder::with(&[capture(0..50_000)]);
    let engine = start(&paths, QUIET);
    engine.next_batch(1, LONG).unwrap();
    engine.stop();
    engine.stop();
    let (notes, error) = collect(&engine);
    assert!(error.is_none());
    assert!(notes.len() < 49_000, "{}", notes.len());
    assert_eq!(notes.last().unwrap().alert, Note::Finished);
    assert_eq!(engine.stats()["packets"] + 1, notes.len() as u64 + 1, "every packet read was handed over");
}

#[test]
fn a_panic_in_a_thread_is_told_after_the_alerts_found_until_then() {
    let (_folder, paths) = Folder::with(&[capture(0..100)]);
    let engine = start(&paths, Orders { panic_at: Some(40), ..QUIET });
    let (notes, error) = collect(&engine);
    assert_eq!(notes.len(), 40);
    let error = error.expect("told").to_string();
    assert!(error.contains("an engine thread failed") && error.contains("packet 40, as ordered"), "{error}");
    assert!(engine.next_batch(1, LONG).is_err(), "it stays so");
}

#[test]
fn an_engine_dropped_with_a_full_queue_does_not_hang() {
    let (_folder, paths) = Folder::with(&[capture(0..50_000)]);
    let engine = start(&paths, QUIET);
    engine.next_batch(1, LONG).unwrap();
    drop(engine);
}

const LIVE: afpacket::Config =
    afpacket::Config { threads: 2, ring_mib: 16, ring_ms: 50, snap_len: 65_535, fanout_group: None };

fn on_wire(test: impl FnOnce() + Send + 'static) {
    if let Err(reason) = on_a_wire(test) {
        eprintln!("skipped: {reason}");
    }
}

fn live(names: &[&str], capture: &afpacket::Config) -> Engine<Notebook> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    Engine::interfaces(&names, capture, Config::default(), Arc::new(QUIET), notebook).unwrap()
}

#[test]
fn a_live_engine_sees_every_frame_and_stops_when_told() {
    on_wire(|| {
        let engine = live(&["vb"], &LIVE);
        let sender = Sender::new("va");
        for number in 0..4_000 {
            sender.send(&numbered(number));
        }
        let mut seen = vec![false; 4_000];
        let mut left = seen.len();
        while left > 0 {
            let batch = engine.next_batch(1_000, LONG).unwrap().unwrap();
            assert!(!batch.is_empty(), "{left} frames did not come");
            for note in batch {
                let Note::Packet { number, .. } = note.alert else { panic!("{note:?}") };
                assert!(!std::mem::replace(&mut seen[number as usize], true), "frame {number} came twice");
                left -= 1;
            }
        }
        engine.stop();
        let (rest, error) = collect(&engine);
        assert!(error.is_none());
        assert_eq!(rest.len(), 2, "each thread finishes: {rest:?}");
        let stats = engine.stats();
        assert_eq!((stats["packets"], stats["kernel_drops"], stats["alerts_dropped"]), (4_000, 0, 0));
        assert_eq!(engine.progress(), (stats["bytes"], 0));
    });
}

#[test]
fn a_slow_consumer_of_a_live_engine_loses_alerts_counted_and_no_packets() {
    on_wire(|| {
        let engine = live(&["vb"], &LIVE);
        let sender = Sender::new("va");
        for number in 0..12_000 {
            sender.send(&numbered(number));
        }
        let deadline = Instant::now() + LONG;
        while engine.stats()["packets"] < 12_000 {
            assert!(Instant::now() < deadline, "{:?}", engine.stats());
            std::thread::yield_now();
        }
        engine.stop();
        let taken = collect(&engine).0.len() as u64;
        let stats = engine.stats();
        assert_eq!(stats["kernel_drops"], 0);
        assert!(stats["alerts_dropped"] > 3_000);
        assert_eq!(taken + stats["alerts_dropped"], 12_002);
    });
}

#[test]
fn two_interfaces_of_one_tap_are_sources_of_their_own() {
    on_wire(|| {
        // What goes out of `va` comes in on `vb`: each frame is seen on both.
        let engine = live(&["va", "vb"], &LIVE);
        let sender = Sender::new("va");
        for number in 0..100 {
            sender.send(&numbered(number));
        }
        let mut counts = [0; 2];
        while counts != [100, 100] {
            let batch = engine.next_batch(1_000, LONG).unwrap().unwrap();
            assert!(!batch.is_empty(), "{counts:?}");
            for note in batch {
                let Note::Packet { source, .. } = note.alert else { panic!("{note:?}") };
                counts[source as usize] += 1;
            }
        }
    });
}

#[test]
fn a_live_engine_that_cannot_start_says_why() {
    let start = |names: &[&str], threads| {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let config = afpacket::Config { threads, ..LIVE };
        Engine::interfaces(&names, &config, Config::default(), Arc::new(QUIET), notebook).unwrap_err().to_string()
    };
    for (error, expected) in [
        (start(&["no-such-wire"], 1), "interface no-such-wire: no such interface"),
        (start(&[], 1), "names: no interface given"),
        (start(&["lo"], 0), "threads: 0 given"),
        (start(&["lo"], 257), "threads: 257 given"),
    ] {
        assert!(error.contains(expected), "{error}");
    }
}
