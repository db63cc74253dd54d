//! Random and mutated bytes: every decoder ends in a value or a named reason, never in a panic, and memory stays bounded.
//! The generator is seeded, so a failure repeats. The fuzz targets do the same with coverage feedback.

mod support;

use support::{block, enhanced, ethernet, icmp, interface, ipv4, ipv6, pcap, section, tcp, udp, Xorshift};
use vedette_core::capture::file::{Reader, Step};
use vedette_core::decode::{tunnel, Config, Decoded, Decoder, Overlap};
use vedette_core::packet::{Frame, LinkType};

const LINKS: [LinkType; 7] = [
    LinkType::Ethernet,
    LinkType::Raw,
    LinkType::Null,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
    LinkType::Ppp,
    LinkType::Unknown(9_999),
];

fn seeds() -> Vec<(LinkType, Vec<u8>)> {
    let segment = tcp(2, &[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 3, 0, 0, 0, 0, 1, 3, 3, 7], b"payload", false);
    let ip = ipv4(7, 0, 6, &[1, 1, 1, 0], &segment);
    let fragment = |offset: u16, more: u16| ipv4(8, offset | more, 17, &[], &[offset as u8; 48]);
    let chain =
        [&[43, 0, 1, 4, 0, 0, 0, 0][..], &[44, 0, 4, 0, 0, 0, 0, 0], &[6, 0, 0, 9, 0, 0, 0, 1], &segment].concat();
    vec![
        (LinkType::Ethernet, ethernet(0x0800, &ip)),
        (LinkType::Ethernet, ethernet(0x88a8, &[&[0, 5, 0x81, 0, 0, 6, 8, 0][..], &ip].concat())),
        (LinkType::Raw, ipv6(0, &chain)),
        (LinkType::Raw, ipv6(17, &udp(b"query", true))),
        (LinkType::Raw, fragment(0, 0x2000)),
        (LinkType::Raw, fragment(3, 0x2000)),
        (LinkType::Raw, fragment(6, 0)),
        (LinkType::Raw, ipv4(9, 0, 1, &[], &icmp(8, 0, &[1; 12]))),
        (LinkType::Ethernet, ethernet(0x8864, &[&[0x11, 0, 0, 1, 0, 99, 0, 0x21][..], &ip].concat())),
        (LinkType::Ethernet, ethernet(0x8847, &[&[0, 1, 0, 64, 0, 2, 1, 64][..], &ip].concat())),
        (LinkType::Raw, ipv4(9, 0, 4, &[], &ip)),
        (LinkType::Raw, ipv4(9, 0, 47, &[], &[&[0xb0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2][..], &ip].concat())),
        (LinkType::Null, [&[2, 0, 0, 0][..], &ip].concat()),
        (LinkType::Ppp, [&[0xff, 3, 0, 0x21][..], &ip].concat()),
    ]
}

#[test]
fn mutated_frames_end_as_packet_fragment_or_reason() {
    let mut random = Xorshift(0x5eed);
    let seeds = seeds();
    for overlap in [Overlap::First, Overlap::Last, Overlap::Bsd, Overlap::Linux] {
        let memcap = 64 << 10;
        let config = Config { verify_checksums: false, overlap, defrag_memcap_bytes: memcap, ..Config::default() };
        let mut decoder = Decoder::new(config);
        let mut counts = [0_u32; 3];
        let mut tunnelled = 0;
        for round in 0..20_000_u64 {
            let (mut link, mut bytes) = seeds[random.below(seeds.len())].clone();
            random.mutate(&mut bytes);
            if random.below(20) == 0 {
                link = LINKS[random.below(LINKS.len())];
            }
            let frame = Frame {
                ts_ns: round * 20_000_000,
                link,
                original_len: (bytes.len() + random.below(2) * random.below(50)) as u32,
                data: &bytes,
                source: 0,
                kernel_vlan: [0, 0, 5][random.below(3)],
            };
            match decoder.decode(&frame) {
                Decoded::Packet(packet) => {
                    assert!(packet.ip.len() >= 20 && packet.payload.len() <= packet.ip.len());
                    tunnelled += u32::from(tunnel::inside(&packet, false).is_some());
                    counts[0] += 1;
                }
                Decoded::Fragment => counts[1] += 1,
                Decoded::Ignored(_) => counts[2] += 1,
            }
            assert!(decoder.defrag_memory_bytes() <= memcap);
        }
        assert!(counts.iter().all(|count| *count > 500), "each end is met often: {counts:?}");
        assert!(tunnelled > 500, "{tunnelled}");
    }
}

#[test]
fn random_frames_of_every_link_type_never_panic() {
    let mut random = Xorshift(77);
    let mut decoder = Decoder::new(Config::default());
    for _ in 0..20_000 {
        let len = random.below(120);
        let mut bytes = random.bytes(len);
        if let Some(first) = bytes.first_mut() {
            *first = [0x45, 0x60, *first][random.below(3)];
        }
        let link = LINKS[random.below(LINKS.len())];
        let original_len = (len + random.below(100)) as u32;
        decoder.decode(&Frame { ts_ns: 0, link, data: &bytes, original_len, source: 0, kernel_vlan: 0 });
    }
    assert_eq!(decoder.counters().frames, 20_000);
}

#[test]
fn mutated_capture_files_end_and_never_walk_backwards() {
    let mut random = Xorshift(31_337);
    let seeds = [
        pcap([0xd4, 0xc3, 0xb2, 0xa1], 1, &[(1, 2, 40, &[0; 40]), (1, 3, 60, &[1; 60])]),
        pcap([0xa1, 0xb2, 0x3c, 0x4d], 101, &[(1, 2, 40, &[0; 40]), (1, 3, 60, &[1; 60])]),
        [section(false), interface(false, 1, 0, &[9, 0, 1, 0, 9, 0, 0, 0]), enhanced(false, 0, 9, 60, &[2; 60])]
            .concat(),
        [section(true), interface(true, 1, 96, &[]), block(true, 3, &[0; 68]), enhanced(true, 0, 9, 3, b"abc")]
            .concat(),
    ];
    let mut ends = [0_u32; 3];
    for _ in 0..40_000 {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        random.mutate(&mut bytes);
        let Ok(mut reader) = Reader::from_bytes(&bytes, 0) else {
            ends[0] += 1;
            continue;
        };
        let mut last = 0;
        loop {
            match reader.step() {
                Step::Frame(_) => {
                    assert!(reader.position_bytes() > last, "every frame moves on");
                    last = reader.position_bytes();
                }
                Step::End => {
                    ends[1] += 1;
                    break;
                }
                Step::Broken { offset, .. } => {
                    assert!(offset >= last && offset <= bytes.len());
                    ends[2] += 1;
                    break;
                }
            }
        }
    }
    assert!(ends.iter().all(|count| *count > 500), "each end is met often: {ends:?}");
}
