//! TCP: segments with any numbers and flags. The worker neither panics nor leaks budget, bytes before the new ones in a window
//! are those told before, and no direction is told as ended twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use vedette_core::inspect::{Direction, FlowView, Inspector, Stage, StreamWindow, Transaction, Trigger};
use vedette_core::packet::{Packet, TcpHeader, L4};
use vedette_core::stream::OverlapPolicy;
use vedette_core::worker::{Worker, WorkerConfig};

#[derive(Default)]
struct Checking {
    told: HashMap<(u64, Direction), (Vec<u8>, bool)>,
}

impl Inspector for Checking {
    fn packet(&mut self, _: Trigger<'_>, _: Option<(&mut FlowView<'_>, Direction)>) {}

    fn stream(&mut self, _: Trigger<'_>, view: &mut FlowView<'_>, direction: Direction, window: StreamWindow<'_>) {
        let (bytes, ended) = self.told.entry((view.id, direction)).or_default();
        assert!(!*ended);
        assert!(bytes.ends_with(&window.data[..window.new_from]));
        bytes.extend_from_slice(&window.data[window.new_from..]);
        *ended = window.last;
    }

    fn transaction(&mut self, _: Trigger<'_>, _: &mut FlowView<'_>, _: Stage, tx: &mut dyn Transaction) {
        tx.facts();
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((settings, mut rest)) = data.split_first() else { return };
    let policies = [OverlapPolicy::First, OverlapPolicy::Last, OverlapPolicy::Bsd, OverlapPolicy::Linux];
    let config = WorkerConfig {
        midstream: settings & 1 != 0,
        overlap_policy: policies[usize::from(settings >> 1 & 3)],
        stream_depth_kib: usize::from(settings >> 3 & 1),
        flow_memcap_mib: 1,
        stream_memcap_mib: 1,
        ..WorkerConfig::default()
    };
    let mut worker = Worker::new(config, Checking::default());
    let ends = [IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2))];
    let mut ts_ns = 0;
    while let [flags, place, seq, ack, len, tail @ ..] = rest {
        let (payload, behind) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = behind;
        ts_ns += u64::from(*place) * 10_000_000;
        let side = usize::from(place & 1);
        let base = [0xffff_ff80_u32, 1000];
        let header = TcpHeader {
            sport: if side == 0 { 5000 } else { 80 },
            dport: if side == 0 { 80 } else { 5000 },
            seq: base[side].wrapping_add(u32::from(*seq)),
            ack: base[1 - side].wrapping_add(u32::from(*ack)),
            flags: flags & 0x3f,
            window: 8192,
            urgent: u16::from(flags >> 6),
            window_scale: None,
            timestamps: (place & 2 != 0).then_some((u32::from(*place), 0)),
        };
        worker.packet(&Packet {
            ts_ns,
            source: 0,
            vlan: [0, 0],
            ip: &[],
            src: ends[side],
            dst: ends[1 - side],
            proto: 6,
            l4: L4::Tcp(header),
            payload,
        });
    }
    worker.finish();
    assert_eq!((worker.counters().stream_memory_bytes, worker.counters().flows_active), (0, 0));
});
