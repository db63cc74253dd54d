//! pcap and pcapng: every variant is read alike; what breaks off yields what is whole and says where it ends.

#![allow(clippy::too_many_lines, clippy::type_complexity)] // tables of cases
mod support;

use std::path::Path;
use support::{block, enhanced, interface, pcap, section};
use vedette_core::capture::file::{CaptureFile, Reader, Step};
use vedette_core::error::Error;
use vedette_core::packet::LinkType;

const SECOND: u64 = 1_000_000_000;

/// (time, captured bytes, original length, link) of each frame, and why it ended early.
type Walk = (Vec<(u64, Vec<u8>, u32, LinkType)>, Option<(usize, String)>);

fn walk(bytes: &[u8]) -> Walk {
    let mut reader = Reader::from_bytes(bytes, 3).expect("a capture file");
    let mut frames = Vec::new();
    loop {
        match reader.step() {
            Step::Frame(frame) => {
                assert_eq!((frame.source, frame.kernel_vlan), (3, 0));
                frames.push((frame.ts_ns, frame.data.to_vec(), frame.original_len, frame.link));
            }
            Step::End => return (frames, None),
            Step::Broken { offset, reason } => {
                assert!(matches!(reader.step(), Step::Broken { .. }), "it stays broken");
                return (frames, Some((offset, reason)));
            }
        }
    }
}

const MAGICS: [([u8; 4], u64); 4] = [
    ([0xa1, 0xb2, 0xc3, 0xd4], 1_000),
    ([0xd4, 0xc3, 0xb2, 0xa1], 1_000),
    ([0xa1, 0xb2, 0x3c, 0x4d], 1),
    ([0x4d, 0x3c, 0xb2, 0xa1], 1),
];

#[test]
fn pcap_reads_alike_in_both_byte_orders_and_resolutions() {
    for (magic, unit_ns) in MAGICS {
        let bytes = pcap(magic, 1, &[(1, 5, 3, b"abc"), (2, 6, 1_500, b"cut")]);
        let expected = vec![
            (SECOND + 5 * unit_ns, b"abc".to_vec(), 3, LinkType::Ethernet),
            (2 * SECOND + 6 * unit_ns, b"cut".to_vec(), 1_500, LinkType::Ethernet),
        ];
        assert_eq!(walk(&bytes), (expected, None));
    }
}

#[test]
fn link_types_have_their_names() {
    let cases = [
        (0, LinkType::Null),
        (1, LinkType::Ethernet),
        (9, LinkType::Ppp),
        (12, LinkType::Raw),
        (101, LinkType::Raw),
        (113, LinkType::LinuxSll),
        (276, LinkType::LinuxSll2),
        (147, LinkType::Unknown(147)),
        (0x2400_0001, LinkType::Ethernet),
    ];
    for (number, link) in cases {
        assert_eq!(walk(&pcap(MAGICS[1].0, number, &[(0, 0, 1, b"x")])).0[0].3, link, "{number}");
    }
}

#[test]
fn a_pcap_cut_anywhere_yields_its_whole_records_and_the_place() {
    let bytes = pcap(MAGICS[1].0, 1, &[(1, 0, 3, b"abc"), (2, 0, 4, b"defg")]);
    let ends = [24, 24 + 19, 24 + 19 + 20];
    assert_eq!(bytes.len(), ends[2]);
    for len in 24..=bytes.len() {
        let (frames, broken) = walk(&bytes[..len]);
        let whole = ends.iter().filter(|end| **end <= len).count() - 1;
        assert_eq!(frames.len(), whole, "{len} bytes");
        assert_eq!(broken.map(|(offset, _)| offset), (!ends.contains(&len)).then_some(ends[whole]), "{len} bytes");
    }
}

#[test]
fn a_record_longer_than_any_snap_length_is_not_believed() {
    let mut bytes = pcap(MAGICS[1].0, 1, &[(1, 0, 3, b"abc")]);
    bytes.extend([0; 8]);
    bytes.extend(300_000_u32.to_le_bytes());
    bytes.extend(300_000_u32.to_le_bytes());
    bytes.resize(bytes.len() + 300_000, 0);
    let (frames, broken) = walk(&bytes);
    assert_eq!(frames.len(), 1);
    let (offset, reason) = broken.expect("refused");
    assert_eq!(offset, 43);
    assert!(reason.contains("300000") && reason.contains("262144"), "{reason}");
}

#[test]
fn what_is_no_capture_file_is_refused_with_what_came() {
    let mut version = pcap(MAGICS[0].0, 1, &[]);
    version[5] = 9;
    let mut magic = section(true);
    magic[8] = 0;
    let mut short = section(false);
    short[4] = 12;
    let cases: [(&str, &[u8], &str); 7] = [
        ("empty", b"", "0 bytes"),
        ("three bytes", b"abc", "3 bytes"),
        ("text", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "47 45 54 20"),
        ("header cut", &MAGICS[0].0, "a pcap file's header has 24"),
        ("version 9", &version, "version 9"),
        ("byte-order magic", &magic, "byte-order magic"),
        ("section of 12 bytes", &short, "a block of 12 bytes"),
    ];
    for (name, bytes, expected) in cases {
        let error = Reader::from_bytes(bytes, 0).expect_err(name);
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn pcapng_reads_sections_in_either_order_and_several_interfaces() {
    let mut bytes = Vec::new();
    for big in [false, true] {
        bytes.extend(section(big));
        bytes.extend(interface(big, 1, 0, &[]));
        let nanoseconds = if big { [0, 9, 0, 1, 9, 0, 0, 0] } else { [9, 0, 1, 0, 9, 0, 0, 0] };
        bytes.extend(interface(big, 101, 2, &nanoseconds));
        bytes.extend(block(big, 4, b"a name resolution block is skipped"));
        bytes.extend(block(big, 0x8000_0bad, b"and one nobody knows"));
        bytes.extend(enhanced(big, 0, 1_000_005, 9, b"abc"));
        bytes.extend(enhanced(big, 1, 2_000_000_006, 5, b"defgh"));
        let len = if big { 7_u32.to_be_bytes() } else { 7_u32.to_le_bytes() };
        bytes.extend(block(big, 3, &[&len[..], b"simple!"].concat()));
        let old = |n: u32| {
            if big {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let ids = if big { [0, 1, 0xff, 0xff] } else { [1, 0, 0xff, 0xff] };
        bytes.extend(block(big, 2, &[&ids[..], &old(0), &old(77), &old(2), &old(2), b"op"].concat()));
    }
    let one_section = vec![
        (SECOND + 5_000, b"abc".to_vec(), 9, LinkType::Ethernet),
        (2 * SECOND + 6, b"defgh".to_vec(), 5, LinkType::Raw),
        (2 * SECOND + 6, b"simple!".to_vec(), 7, LinkType::Ethernet),
        (77, b"op".to_vec(), 2, LinkType::Raw),
    ];
    assert_eq!(walk(&bytes), ([one_section.clone(), one_section].concat(), None));
}

#[test]
fn timestamps_follow_the_interfaces_resolution_and_offset() {
    let offset = [&[14, 0, 8, 0][..], &(-1_i64).to_le_bytes()].concat();
    let cases: [(&str, Vec<u8>, u64, u64); 7] = [
        ("default, microseconds", vec![], 3, 3_000),
        ("seconds", vec![9, 0, 1, 0, 0, 0, 0, 0], 3, 3 * SECOND),
        ("picoseconds", vec![9, 0, 1, 0, 12, 0, 0, 0], 5_500, 5),
        ("10^-127", vec![9, 0, 1, 0, 127, 0, 0, 0], u64::MAX - 1, 0),
        ("2^-10", vec![9, 0, 1, 0, 0x8a, 0, 0, 0], 512, SECOND / 2),
        ("2^-127", vec![9, 0, 1, 0, 0xff, 0, 0, 0], u64::MAX, 0),
        ("offset of -1 s", offset, 1_000_001, 1_000),
    ];
    for (name, options, units, expected_ns) in cases {
        let bytes = [section(false), interface(false, 1, 0, &options), enhanced(false, 0, units, 1, b"x")].concat();
        assert_eq!(walk(&bytes).0[0].0, expected_ns, "{name}");
    }
}

#[test]
fn a_pcapng_that_stops_making_sense_says_where() {
    let good = [section(false), interface(false, 1, 0, &[]), enhanced(false, 0, 1, 1, b"x")].concat();
    let with = |tail: Vec<u8>| [good.clone(), tail].concat();
    let mut unequal = block(false, 5, b"");
    unequal[8] = 16;
    let cases = [
        ("cut in the header", with(vec![6, 0, 0]), "3 bytes left"),
        ("cut in the body", with(block(false, 5, &[0; 64])[..40].to_vec()), "a block of 76 bytes, 40 are left"),
        ("length 0", with(vec![0; 12]), "a block of 0 bytes"),
        ("length 13", with([&[5, 0, 0, 0, 13, 0, 0, 0][..], &[0; 8]].concat()), "multiples of 4"),
        ("huge length", with([&[5, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff][..], &[0; 8]].concat()), "4294967292"),
        ("unequal lengths", with(unequal), "ends in the length 16"),
        ("unknown interface", with(enhanced(false, 7, 1, 1, b"x")), "interface 7"),
        ("fields cut", with(block(false, 6, &[0; 8])), "8 bytes of fields"),
        (
            "data beyond the block",
            with({
                let mut bad = enhanced(false, 0, 1, 1, b"x");
                bad[20] = 200;
                bad
            }),
            "a packet of 200 bytes in a block with 4",
        ),
        ("interface cut", with(block(false, 1, &[0; 4])), "interface description of 4 bytes"),
        ("simple without interface", [section(false), block(false, 3, &[0; 8])].concat(), "before any interface"),
    ];
    for (name, bytes, expected) in cases {
        let (_, broken) = walk(&bytes);
        let (offset, reason) = broken.expect(name);
        let begin = if name.starts_with("simple") { section(false).len() } else { good.len() };
        assert_eq!(offset, begin, "{name}");
        assert!(reason.contains(expected), "{name}: {reason}");
    }
}

#[test]
fn files_that_cannot_be_read_are_named_errors() {
    let folder = std::env::temp_dir().join(format!("vedette-capture-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let empty = folder.join("empty.pcap");
    std::fs::write(&empty, b"").unwrap();
    let text = folder.join("text.pcap");
    std::fs::write(&text, b"this is no capture file at all").unwrap();
    let open = |path: &Path| CaptureFile::open(path).expect_err("refused");
    assert!(matches!(open(&folder.join("missing")), Error::File { .. }));
    for (path, expected) in [(&empty, "empty"), (&text, "neither a pcap"), (&folder, "not a regular file")] {
        let error = open(path);
        assert!(matches!(error, Error::CaptureFormat { offset: 0, .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
