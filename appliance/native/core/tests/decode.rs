//! Link, IP and layer-4 headers: what is delivered, and by which reason the rest is counted.

#![allow(clippy::too_many_lines, clippy::type_complexity)] // tables of cases
mod support;

use std::net::IpAddr;
use support::{ethernet, frame, icmp, ipv4, ipv6, raw, tcp, udp, A, A6, B, B6};
use vedette_core::decode::{tunnel, Config, Decoded, Decoder, Reason};
use vedette_core::packet::{Frame, LinkType, Packet, L4};

const SYN: u8 = 2;

fn decoder(verify_checksums: bool) -> Decoder {
    Decoder::new(Config { verify_checksums, ..Config::default() })
}

fn with_packet(frame: &Frame<'_>, check: impl FnOnce(&Packet<'_>)) {
    let mut decoder = decoder(true);
    match decoder.decode(frame) {
        Decoded::Packet(packet) => check(&packet),
        other => panic!("not a packet but {other:?}"),
    }
}

fn reason(frame: &Frame<'_>, verify_checksums: bool) -> Option<Reason> {
    let mut decoder = decoder(verify_checksums);
    let reason = match decoder.decode(frame) {
        Decoded::Ignored(reason) => Some(reason),
        Decoded::Packet(_) | Decoded::Fragment => None,
    };
    if let Some(reason) = reason {
        assert_eq!(decoder.counters().ignored.get(reason), 1, "{} is counted", reason.name());
        assert_eq!(decoder.counters().packets, 0);
    }
    reason
}

#[test]
fn a_tcp_segment_is_the_same_behind_every_link_header() {
    let ip = ipv4(1, 0x4000, 6, &[], &tcp(SYN, &[], b"hello", false));
    let ip6 = ipv6(6, &tcp(SYN, &[], b"hello", true));
    let joined = |head: &[u8], ip: &[u8]| [head, ip].concat();
    let sll = |kind: u16| [&[0_u8, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0][..], &kind.to_be_bytes()[..]].concat();
    let sll2 = |kind: u16| [&kind.to_be_bytes()[..], &[0; 18][..]].concat();
    let cases = [
        ("ethernet", LinkType::Ethernet, ethernet(0x0800, &ip), [0, 0]),
        ("ethernet, ipv6", LinkType::Ethernet, ethernet(0x86dd, &ip6), [0, 0]),
        ("ethernet, padded", LinkType::Ethernet, ethernet(0x0800, &joined(&ip, &[0; 9])), [0, 0]),
        ("802.1Q", LinkType::Ethernet, ethernet(0x8100, &joined(&[0xe0, 7, 8, 0], &ip)), [7, 0]),
        ("802.1ad", LinkType::Ethernet, ethernet(0x88a8, &joined(&[0, 5, 0x81, 0, 0, 6, 8, 0], &ip)), [5, 6]),
        (
            "three tags, two kept",
            LinkType::Ethernet,
            ethernet(0x9100, &joined(&[0, 1, 0x88, 0xa8, 0, 2, 0x81, 0, 0, 3, 0x86, 0xdd], &ip6)),
            [1, 2],
        ),
        ("pppoe", LinkType::Ethernet, ethernet(0x8864, &joined(&[0x11, 0, 0, 1, 0, 47, 0, 0x21], &ip)), [0, 0]),
        (
            "pppoe in a vlan, ipv6",
            LinkType::Ethernet,
            ethernet(0x8100, &joined(&[0, 7, 0x88, 0x64, 0x11, 0, 0, 1, 0, 67, 0, 0x57], &ip6)),
            [7, 0],
        ),
        ("mpls, two labels", LinkType::Ethernet, ethernet(0x8847, &joined(&[0, 1, 0, 64, 0, 2, 1, 64], &ip)), [0, 0]),
        ("mpls, ipv6", LinkType::Ethernet, ethernet(0x8848, &joined(&[0, 2, 1, 64], &ip6)), [0, 0]),
        ("nsh", LinkType::Ethernet, ethernet(0x894f, &joined(&[0, 3, 2, 1, 0, 0, 1, 2, 9, 9, 9, 9], &ip)), [0, 0]),
        ("cooked", LinkType::LinuxSll, joined(&sll(0x0800), &ip), [0, 0]),
        ("cooked, tagged", LinkType::LinuxSll, joined(&sll(0x8100), &joined(&[0, 9, 8, 0], &ip)), [9, 0]),
        ("cooked v2", LinkType::LinuxSll2, joined(&sll2(0x86dd), &ip6), [0, 0]),
        ("raw", LinkType::Raw, ip.clone(), [0, 0]),
        ("raw, ipv6", LinkType::Raw, ip6.clone(), [0, 0]),
        ("null, little endian", LinkType::Null, joined(&[2, 0, 0, 0], &ip), [0, 0]),
        ("null, big endian", LinkType::Null, joined(&[0, 0, 0, 30], &ip6), [0, 0]),
        ("ppp", LinkType::Ppp, joined(&[0xff, 3, 0, 0x21], &ip), [0, 0]),
        ("ppp, compressed", LinkType::Ppp, joined(&[0x21], &ip), [0, 0]),
        ("ppp, ipv6", LinkType::Ppp, joined(&[0, 0x57], &ip6), [0, 0]),
    ];
    for (name, link, data, vlan) in cases {
        with_packet(&frame(link, &data), |packet| {
            assert_eq!(packet.vlan, vlan, "{name}");
            assert_eq!(packet.ports(), (40_000, 80), "{name}");
            assert_eq!(packet.payload, b"hello", "{name}");
            let (src, dst): (IpAddr, IpAddr) = if packet.src.is_ipv4() { (A, B) } else { (A6, B6) };
            assert_eq!((packet.src, packet.dst), (src, dst), "{name}");
            assert_eq!(packet.ip, if packet.src.is_ipv4() { &ip[..] } else { &ip6[..] }, "{name}: no padding");
        });
    }
}

#[test]
fn a_tag_the_kernel_took_off_is_the_outermost() {
    let ip = ipv4(1, 0, 17, &[], &udp(b"x", false));
    let tagged = ethernet(0x8100, &[&[0, 6, 8, 0][..], &ip].concat());
    let frame = Frame { kernel_vlan: 0x2005, ..frame(LinkType::Ethernet, &tagged) };
    with_packet(&frame, |packet| assert_eq!(packet.vlan, [5, 6]));
}

#[test]
fn what_is_not_a_packet_is_counted_by_its_reason() {
    let good = ipv4(1, 0, 6, &[], &tcp(SYN, &[], b"", false));
    let edit = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let tags = [0x81, 0, 0, 1].repeat(9);
    let endless = [[60, 0, 0, 0, 0, 0, 0, 0]; 40].concat();
    let tcp_bad = |at: usize, value: u8| {
        let mut segment = tcp(SYN, &[], b"", false);
        segment[at] = value;
        ipv4(1, 0, 6, &[], &segment)
    };
    let udp_len = |len: u8| {
        let mut datagram = udp(b"abc", false);
        datagram[5] = len;
        ipv4(1, 0, 17, &[], &datagram)
    };
    let zero_sum6 = {
        let mut datagram = udp(b"abc", true);
        datagram[6..8].fill(0);
        ipv6(17, &datagram)
    };
    let cases: Vec<(&str, LinkType, Vec<u8>, Reason)> = vec![
        ("unknown link", LinkType::Unknown(147), good.clone(), Reason::LinkUnknown),
        ("empty", LinkType::Ethernet, vec![], Reason::LinkShort),
        ("13 bytes", LinkType::Ethernet, vec![0; 13], Reason::LinkShort),
        ("raw, empty", LinkType::Raw, vec![], Reason::LinkShort),
        ("arp", LinkType::Ethernet, ethernet(0x0806, &[0; 28]), Reason::NotIp),
        ("llc", LinkType::Ethernet, ethernet(38, &[0x42; 38]), Reason::NotIp),
        ("null of another family", LinkType::Null, vec![16, 0, 0, 0, 1], Reason::NotIp),
        ("nine tags", LinkType::Ethernet, ethernet(0x8100, &tags[2..]), Reason::VlanDeep),
        ("tag cut", LinkType::Ethernet, ethernet(0x8100, &[0, 1]), Reason::LinkShort),
        ("nine mpls labels", LinkType::Ethernet, ethernet(0x8847, &[0; 36]), Reason::NotIp),
        ("mpls cut", LinkType::Ethernet, ethernet(0x8847, &[0; 6]), Reason::LinkShort),
        (
            "pppoe with ppp control",
            LinkType::Ethernet,
            ethernet(0x8864, &[0x11, 0, 0, 1, 0, 4, 0xc0, 0x21]),
            Reason::NotIp,
        ),
        ("pppoe cut", LinkType::Ethernet, ethernet(0x8864, &[0x11, 0, 0, 1, 0, 4]), Reason::LinkShort),
        ("nsh with ethernet", LinkType::Ethernet, ethernet(0x894f, &[0, 2, 2, 3, 0, 0, 0, 0]), Reason::NotIp),
        ("nsh that ends the frame", LinkType::Ethernet, ethernet(0x894f, &[0, 9, 2, 1, 0, 0, 0, 0]), Reason::IpHeader),
        ("version 5", LinkType::Raw, edit(0, 0x55), Reason::IpVersion),
        ("ipv6 behind the ipv4 type", LinkType::Ethernet, ethernet(0x0800, &ipv6(59, &[])), Reason::IpVersion),
        ("19 bytes of header", LinkType::Raw, good[..19].to_vec(), Reason::IpHeader),
        ("header length 4", LinkType::Raw, edit(0, 0x44), Reason::IpHeader),
        ("39 bytes of ipv6", LinkType::Raw, ipv6(59, &[])[..39].to_vec(), Reason::IpHeader),
        ("total below header", LinkType::Raw, edit(3, 19), Reason::IpLength),
        ("total beyond the frame", LinkType::Raw, edit(3, 200), Reason::IpLength),
        ("extension past the end", LinkType::Raw, ipv6(0, &[6, 3, 0, 0, 0, 0, 0, 0]), Reason::Ipv6Extension),
        ("extension cut", LinkType::Raw, ipv6(60, &[6, 0]), Reason::Ipv6Extension),
        ("endless extensions", LinkType::Raw, ipv6(60, &endless), Reason::Ipv6Extension),
        ("bad ip sum", LinkType::Raw, edit(8, 63), Reason::ChecksumIp),
        ("bad tcp sum", LinkType::Raw, tcp_bad(15, 1), Reason::ChecksumTcp),
        ("bad udp sum", LinkType::Raw, udp_len(10), Reason::ChecksumUdp),
        ("no udp sum over ipv6", LinkType::Raw, zero_sum6, Reason::ChecksumUdp),
        ("bad icmp sum", LinkType::Raw, ipv4(1, 0, 1, &[], &[8, 0, 1, 1, 0, 0, 0, 0]), Reason::ChecksumIcmp),
    ];
    for (name, link, data, expected) in &cases {
        assert_eq!(reason(&frame(*link, data), true), Some(*expected), "{name}");
    }
    let fragments = [
        Reason::FragmentBad,
        Reason::FragmentConflict,
        Reason::FragmentLimit,
        Reason::FragmentCut,
        Reason::FragmentNested,
    ];
    for reason in Reason::ALL.iter().filter(|reason| !fragments.contains(reason)) {
        assert!(cases.iter().any(|case| case.3 == *reason), "{} has a case", reason.name());
    }
}

#[test]
fn a_layer_4_header_that_does_not_fit_leaves_the_addresses_to_rules() {
    let tcp_offset = |words: u8| {
        let mut segment = tcp(SYN, &[], b"", false);
        segment[12] = words << 4;
        ipv4(1, 0, 6, &[], &segment)
    };
    let udp_len = |len: u8| {
        let mut datagram = udp(b"abc", false);
        datagram[5] = len;
        ipv4(1, 0, 17, &[], &datagram)
    };
    let cases = [
        ("tcp data offset 4", tcp_offset(4), [1, 0, 0]),
        ("tcp data offset 15", tcp_offset(15), [1, 0, 0]),
        ("tcp of 19 bytes", ipv4(1, 0, 6, &[], &[0; 19]), [1, 0, 0]),
        ("udp of 7 bytes", ipv4(1, 0, 17, &[], &[0; 7]), [0, 1, 0]),
        ("udp length 7", udp_len(7), [0, 1, 0]),
        ("udp length beyond", udp_len(12), [0, 1, 0]),
        ("icmp of 4 bytes", ipv4(1, 0, 1, &[], &icmp(8, 0, &[])), [0, 0, 1]),
    ];
    for (name, ip, counts) in cases {
        let mut decoder = decoder(true);
        let Decoded::Packet(packet) = decoder.decode(&raw(&ip)) else { panic!("{name}") };
        assert_eq!((packet.src, packet.dst, packet.l4, packet.payload), (A, B, L4::Other, &b""[..]), "{name}");
        let counted = decoder.counters();
        assert_eq!([counted.tcp_header_bad, counted.udp_header_bad, counted.icmp_header_bad], counts, "{name}");
    }
}

#[test]
fn a_bad_checksum_passes_when_checksums_are_ignored() {
    let mut segment = tcp(SYN, &[], b"x", false);
    segment[16] ^= 1;
    let mut ip = ipv4(1, 0, 6, &[], &segment);
    ip[10] ^= 1;
    assert_eq!(reason(&raw(&ip), false), None);
    assert_eq!(reason(&raw(&ip), true), Some(Reason::ChecksumIp));
}

#[test]
fn udp_over_ipv4_may_have_no_checksum() {
    let mut datagram = udp(b"abc", false);
    datagram[6..8].fill(0);
    with_packet(&raw(&ipv4(1, 0, 17, &[], &datagram)), |packet| assert_eq!(packet.payload, b"abc"));
}

#[test]
fn tcp_options_are_read_and_a_malformed_list_keeps_the_segment() {
    let stamps = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    let cases: [(&str, &[u8], Option<u8>, Option<(u32, u32)>); 7] = [
        ("the common layout", &stamps, None, Some((1, 2))),
        ("syn", &[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 3, 0, 0, 0, 0, 1, 3, 3, 7], Some(7), Some((3, 0))),
        ("end of list", &[0, 3, 3, 7], None, None),
        ("length 0", &[9, 0, 3, 3, 7, 0, 0, 0], None, None),
        ("length beyond", &[3, 9, 1, 1], None, None),
        ("wrong length for the kind", &[3, 4, 7, 7], None, None),
        ("kind without length", &[1, 1, 1, 3], None, None),
    ];
    for (name, options, window_scale, timestamps) in cases {
        with_packet(&raw(&ipv4(1, 0, 6, &[], &tcp(SYN, options, b"z", false))), |packet| {
            let L4::Tcp(header) = packet.l4 else { panic!("{name}") };
            assert_eq!((header.window_scale, header.timestamps), (window_scale, timestamps), "{name}");
            assert_eq!((header.seq, header.ack, header.flags, header.window), (7, 9, SYN, 0x2000), "{name}");
            assert_eq!(packet.payload, b"z", "{name}");
        });
    }
}

#[test]
fn ipv6_extension_headers_are_walked_to_the_upper_layer() {
    let segment = tcp(SYN, &[], b"v6", true);
    let chain = |heads: &[&[u8]]| [heads.concat(), segment.clone()].concat();
    let cases: [(&str, u8, Vec<u8>); 6] = [
        ("hop by hop", 0, chain(&[&[6, 0, 1, 4, 0, 0, 0, 0]])),
        ("destination options of 16 bytes", 60, chain(&[&[6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]])),
        ("used-up routing header", 43, chain(&[&[6, 0, 4, 0, 0, 0, 0, 0]])),
        ("authentication header of 12 bytes", 51, chain(&[&[6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]])),
        ("atomic fragment", 44, chain(&[&[6, 0, 0, 0, 0, 0, 0, 1]])),
        ("three", 0, chain(&[&[43, 0, 1, 4, 0, 0, 0, 0], &[60, 0, 4, 0, 0, 0, 0, 0], &[6, 0, 1, 4, 0, 0, 0, 0]])),
    ];
    for (name, next, body) in cases {
        let ip = ipv6(next, &body);
        with_packet(&raw(&ip), |packet| {
            assert_eq!((packet.proto, packet.payload), (6, &b"v6"[..]), "{name}");
            assert_eq!(packet.ip, &ip[..], "{name}");
        });
    }
}

#[test]
fn a_routing_header_with_segments_left_hides_the_checksums_destination() {
    let mut segment = tcp(SYN, &[], b"v6", true);
    segment[16] ^= 1;
    let ip = ipv6(43, &[&[6, 0, 4, 1, 0, 0, 0, 0][..], &segment].concat());
    assert_eq!(reason(&raw(&ip), true), None);
}

#[test]
fn icmp_messages_have_type_code_and_the_identifier_of_echoes() {
    let echo = ipv4(1, 0, 1, &[], &icmp(8, 0, &[0x12, 0x34, 0, 1, b'p']));
    with_packet(&raw(&echo), |packet| {
        assert_eq!(packet.l4, L4::Icmp { kind: 8, code: 0, ident: 0x1234 });
        assert_eq!(packet.payload, b"p");
    });
    let unreachable = ipv4(1, 0, 1, &[], &icmp(3, 3, &[0x12, 0x34, 0, 1]));
    with_packet(&raw(&unreachable), |packet| assert_eq!(packet.l4, L4::Icmp { kind: 3, code: 3, ident: 0 }));
    // ICMP of the other IP version means nothing.
    with_packet(&raw(&ipv4(1, 0, 58, &[], &[128; 8])), |packet| assert_eq!(packet.l4, L4::Other));
}

#[test]
fn a_frame_cut_by_the_capture_is_decoded_as_far_as_it_goes() {
    let ip = ipv4(1, 0, 6, &[], &tcp(SYN, &[], b"0123456789", false));
    for kept in 0..ip.len() {
        let cut = Frame { original_len: ip.len() as u32, ..raw(&ip[..kept]) };
        let mut decoder = decoder(true);
        match decoder.decode(&cut) {
            Decoded::Packet(packet) if kept >= 40 => {
                assert_eq!(packet.ports(), (40_000, 80));
                assert_eq!(packet.payload, &ip[40..kept]);
            }
            Decoded::Packet(packet) => {
                assert_eq!((packet.l4, packet.proto), (L4::Other, 6), "{kept} bytes");
            }
            Decoded::Ignored(reason) => {
                assert!(kept < 20, "{kept} bytes");
                assert!(matches!(reason, Reason::IpHeader | Reason::LinkShort));
            }
            Decoded::Fragment => panic!("{kept} bytes"),
        }
        assert_eq!(decoder.counters().truncated, u64::from(kept >= 20));
    }
}

#[test]
fn tunnels_show_the_packet_inside() {
    let segment = tcp(SYN, &[], b"inner", false);
    let inner = ipv4(9, 0, 6, &[], &segment);
    let inner6 = ipv6(6, &tcp(SYN, &[], b"inner", true));
    let gre = |head: &[u8], body: &[u8]| ipv4(1, 0, 47, &[], &[head, body].concat());
    let framed = ethernet(0x8100, &[&[0, 9, 8, 0][..], &inner].concat());
    let cases: [(&str, Vec<u8>, &[u8]); 9] = [
        ("ipv4 in ipv4", ipv4(1, 0, 4, &[], &inner), &inner),
        ("ipv6 in ipv4", ipv4(1, 0, 41, &[], &inner6), &inner6),
        ("ipv4 in ipv6", ipv6(4, &inner), &inner),
        ("ipv6 in ipv6", ipv6(41, &inner6), &inner6),
        ("gre", gre(&[0, 0, 8, 0], &inner), &inner),
        (
            "gre with checksum, key and sequence",
            gre(&[0xb0, 0, 0x86, 0xdd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2], &inner6),
            &inner6,
        ),
        ("gre with ethernet", gre(&[0, 0, 0x65, 0x58], &framed), &inner),
        ("erspan ii", gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 1, 0, 0, 0, 0], &framed), &inner),
        ("pptp", gre(&[0x30, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xff, 3, 0, 0x21], &inner), &inner),
    ];
    for (name, outer, expected) in &cases {
        with_packet(&raw(outer), |packet| {
            let inside = tunnel::inside(packet, true).expect(name);
            assert_eq!((inside.ip, inside.payload, inside.ports()), (*expected, &b"inner"[..], (40_000, 80)), "{name}");
            assert_eq!((inside.ts_ns, inside.source), (packet.ts_ns, packet.source), "{name}");
            assert!(tunnel::inside(&inside, true).is_none(), "{name}");
        });
    }
}

#[test]
fn what_is_no_whole_tunnelled_packet_is_left_alone() {
    let mut bad_sum = tcp(SYN, &[], b"inner", false);
    bad_sum[16] ^= 1;
    let inner = ipv4(9, 0, 6, &[], &tcp(SYN, &[], b"inner", false));
    let gre = |head: &[u8]| ipv4(1, 0, 47, &[], &[head, &inner].concat());
    let cases = [
        ("no tunnel", inner.clone()),
        ("empty", ipv4(1, 0, 4, &[], &[])),
        ("not ip", ipv4(1, 0, 4, &[], &[0; 40])),
        ("the other version", ipv4(1, 0, 41, &[], &inner)),
        ("a fragment", ipv4(1, 0, 4, &[], &ipv4(9, 0x2000, 6, &[], &[0; 64]))),
        ("bad checksum", ipv4(1, 0, 4, &[], &ipv4(9, 0, 6, &[], &bad_sum))),
        ("gre, source routes", gre(&[0x40, 0, 8, 0, 0, 0, 0, 0])),
        ("gre, version 2", gre(&[0, 2, 8, 0])),
        ("gre, unknown protocol", gre(&[0, 0, 0x12, 0x34])),
        ("gre, cut", ipv4(1, 0, 47, &[], &[0xb0, 0, 8, 0, 0])),
    ];
    for (name, outer) in cases {
        with_packet(&raw(&outer), |packet| assert!(tunnel::inside(packet, true).is_none(), "{name}"));
    }
}
