//! The capture ring on a real wire. Needs root; says so where it cannot run.

mod support {
    pub mod wire;
}
#[path = "support/mod.rs"]
mod packets;

use packets::{ethernet, ipv4, udp};
use support::wire::{on_a_wire, Sender};
use vedette_core::capture::afpacket::{open, Config, Ring};
use vedette_core::packet::LinkType;

const CONFIG: Config = Config { threads: 1, ring_mib: 8, ring_ms: 50, snap_len: 65_535, fanout_group: None };

/// (data, original length, VLAN) of a frame.
type Seen = (Vec<u8>, u32, u16);

/// Every frame until none comes for half a second.
fn drain(ring: &mut Ring) -> Vec<Seen> {
    let mut frames = Vec::new();
    while take(ring, 500, &mut frames) {}
    frames
}

/// The frames of the next block, if one comes within the time.
fn take(ring: &mut Ring, timeout_ms: i32, frames: &mut Vec<Seen>) -> bool {
    let Some(mut block) = ring.next_block(timeout_ms).expect("the interface is up") else { return false };
    while let Some(frame) = block.next_frame() {
        assert_eq!((frame.source, frame.link), (7, LinkType::Ethernet));
        assert!(frame.ts_ns > 1_700_000_000_000_000_000, "the time of day");
        frames.push((frame.data.to_vec(), frame.original_len, frame.kernel_vlan));
    }
    true
}

fn numbered(number: u32, len: usize) -> Vec<u8> {
    let mut payload = vec![0; len];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    let mut datagram = udp(&payload, false);
    // Different ports are different flows.
    datagram[..2].copy_from_slice(&(1_024 + number as u16 % 512).to_be_bytes());
    datagram[6..8].fill(0);
    ethernet(0x0800, &ipv4(1, 0, 17, &[], &datagram))
}

fn run(test: impl FnOnce() + Send + 'static) {
    if let Err(reason) = on_a_wire(test) {
        eprintln!("skipped: {reason}");
    }
}

#[test]
fn every_frame_sent_is_seen_once_in_order_and_none_is_dropped() {
    run(|| {
        let mut ring = open("vb", 7, &CONFIG).unwrap().remove(0);
        let sender = Sender::new("va");
        let sent: Vec<_> = (0..5_000).map(|number| numbered(number, 4 + number as usize % 1_400)).collect();
        // Taken while they are sent: on a busy machine the kernel closes a block by its timer after few frames, and a ring
        // that nobody empties is full however small the frames are.
        let mut seen = Vec::new();
        for frame in &sent {
            sender.send(frame);
            take(&mut ring, 0, &mut seen);
        }
        while seen.len() < sent.len() && take(&mut ring, 20_000, &mut seen) {}
        assert_eq!(seen.len(), sent.len());
        for (seen, sent) in seen.iter().zip(&sent) {
            assert_eq!((&seen.0, seen.1), (sent, sent.len() as u32));
        }
        assert_eq!(ring.drops(), 0);
    });
}

#[test]
fn a_ring_that_nobody_reads_counts_what_it_dropped_and_recovers() {
    run(|| {
        let config = Config { ring_mib: 1, ..CONFIG };
        let mut ring = open("vb", 7, &config).unwrap().remove(0);
        let sender = Sender::new("va");
        for number in 0..3_000 {
            sender.send(&numbered(number, 1_000));
        }
        let seen = drain(&mut ring).len() as u64;
        assert!(seen > 100, "{seen}");
        assert_eq!(seen + ring.drops(), 3_000);
        sender.send(&numbered(9, 40));
        assert_eq!(drain(&mut ring).len(), 1);
    });
}

#[test]
fn the_snap_length_cuts_frames_and_keeps_their_original_length() {
    run(|| {
        let mut ring = open("vb", 7, &Config { snap_len: 96, ..CONFIG }).unwrap().remove(0);
        let frame = numbered(1, 1_000);
        Sender::new("va").send(&frame);
        assert_eq!(drain(&mut ring), [(frame[..96].to_vec(), frame.len() as u32, 0)]);
    });
}

#[test]
fn a_vlan_tag_arrives_beside_the_frame() {
    run(|| {
        let mut ring = open("vb", 7, &CONFIG).unwrap().remove(0);
        let inner = numbered(1, 40);
        let tagged = ethernet(0x8100, &[&[0x20, 0x64, 8, 0][..], &inner[14..]].concat());
        Sender::new("va").send(&tagged);
        let seen = drain(&mut ring);
        assert_eq!(seen.len(), 1);
        // The kernel takes the outer tag off; the frame is then the untagged one.
        assert_eq!((&seen[0].0, seen[0].2 & 0x0fff), (&inner, 100));
    });
}

#[test]
fn threads_share_the_traffic_by_flow_and_see_each_frame_once() {
    run(|| {
        let mut rings = open("vb", 7, &Config { threads: 2, ..CONFIG }).unwrap();
        let sender = Sender::new("va");
        for number in 0..2_000 {
            sender.send(&numbered(number, 100));
        }
        let seen: Vec<Vec<_>> = rings.iter_mut().map(drain).collect();
        assert_eq!(seen[0].len() + seen[1].len(), 2_000);
        let ports = |frames: &[(Vec<u8>, u32, u16)]| -> std::collections::BTreeSet<[u8; 2]> {
            frames.iter().map(|frame| [frame.0[34], frame.0[35]]).collect()
        };
        let (first, second) = (ports(&seen[0]), ports(&seen[1]));
        assert!(first.is_disjoint(&second), "a flow stays with its thread");
        assert!(first.len() > 100 && second.len() > 100, "both have work: {} and {}", first.len(), second.len());
    });
}

#[test]
fn loopback_frames_are_seen_once() {
    run(|| {
        let mut ring = open("lo", 7, &CONFIG).unwrap().remove(0);
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"hello", "127.0.0.1:9").unwrap();
        let udp_frames = drain(&mut ring).iter().filter(|frame| frame.0[23] == 17).count();
        assert_eq!(udp_frames, 1);
    });
}

#[test]
fn an_interface_going_down_is_told_and_coming_up_is_seen_again() {
    run(|| {
        let mut ring = open("vb", 7, &CONFIG).unwrap().remove(0);
        let ip = |words: &[&str]| assert!(std::process::Command::new("ip").args(words).status().unwrap().success());
        ip(&["link", "set", "vb", "down"]);
        let error = ring.next_block(500).map(|_| ()).expect_err("it is down");
        assert_eq!(error.raw_os_error(), Some(libc::ENETDOWN));
        assert!(ring.next_block(10).expect("told once").is_none());
        ip(&["link", "set", "vb", "up"]);
        Sender::new("va").send(&numbered(1, 40));
        assert_eq!(drain(&mut ring).len(), 1);
    });
}

#[test]
fn what_cannot_be_opened_says_why() {
    let error = open("no-such-wire", 0, &CONFIG).unwrap_err().to_string();
    assert!(error.contains("no-such-wire") && error.contains("no such interface"), "{error}");
    run(|| {
        for (config, expected) in [
            (Config { ring_mib: 0, ..CONFIG }, "ring_mib 0"),
            (Config { ring_ms: 0, ..CONFIG }, "ring_ms 0"),
            (Config { snap_len: 20, ..CONFIG }, "snaplen 20"),
            (Config { threads: 99, ..CONFIG }, "99 threads"),
        ] {
            let error = open("vb", 0, &config).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    });
}
