//! A stand-in for the layers below detection: shows a detector packets, stream windows and transactions made by hand.

#![allow(dead_code)] // Each test binary uses its own part.

use std::net::IpAddr;
use std::sync::Arc;
use vedette_core::detect::{Alert, Detector};
use vedette_core::inspect::{
    AppProto, BufferId, Direction, FlowScratch, FlowView, Inspector, Stage, StreamWindow, Transaction, Trigger,
    TxScratch,
};
use vedette_core::packet::{ip_proto, tcp_flags, Packet, TcpHeader, L4};
use vedette_core::prefilter::MatcherKind;
use vedette_core::rule::{Options, RuleSet, Variables};

pub const SECOND_NS: u64 = 1_000_000_000;

pub fn kinds() -> Vec<MatcherKind> {
    let mut kinds = vec![MatcherKind::AhoCorasick];
    if cfg!(feature = "vectorscan") {
        kinds.push(MatcherKind::Vectorscan);
    }
    kinds
}

pub fn load(text: &str) -> RuleSet {
    load_with(text, None)
}

pub fn load_with(text: &str, matcher: Option<MatcherKind>) -> RuleSet {
    let options = Options { matcher, cache_dir: None };
    RuleSet::from_texts([("test.rules", text.as_bytes())], &Variables::default(), &options).unwrap()
}

/// A detector and what one flow keeps between calls.
pub struct Bench {
    pub detector: Detector,
    pub notes: FlowScratch,
    pub client: (IpAddr, u16),
    pub server: (IpAddr, u16),
    pub proto: u8,
    pub app: AppProto,
    pub established: bool,
    pub in_stream: bool,
    pub ciphertext: bool,
    pub now_ns: u64,
}

impl Bench {
    pub fn new(rules: &str) -> Self {
        Self::over(load(rules))
    }

    pub fn over(set: RuleSet) -> Self {
        assert!(set.refused.is_empty(), "{:?}", set.refused);
        Self {
            detector: Detector::new(Arc::new(set)).unwrap(),
            notes: FlowScratch::default(),
            client: ("10.0.0.1".parse().unwrap(), 40000),
            server: ("203.0.113.5".parse().unwrap(), 80),
            proto: ip_proto::TCP,
            app: AppProto::None,
            established: true,
            in_stream: true,
            ciphertext: false,
            now_ns: SECOND_NS,
        }
    }

    pub fn udp(rules: &str) -> Self {
        Self { proto: ip_proto::UDP, ..Self::new(rules) }
    }

    fn act(
        &mut self,
        direction: Direction,
        act: impl FnOnce(&mut Detector, Trigger<'_>, &mut FlowView<'_>, &Packet<'_>),
        payload: &[u8],
    ) -> Vec<u32> {
        let (src, dst) = match direction {
            Direction::ToServer => (self.client, self.server),
            Direction::ToClient => (self.server, self.client),
        };
        let l4 = match self.proto {
            ip_proto::TCP => L4::Tcp(TcpHeader {
                sport: src.1,
                dport: dst.1,
                seq: 1,
                ack: 1,
                flags: tcp_flags::ACK | tcp_flags::PSH,
                window: 1000,
                urgent: 0,
                window_scale: None,
                timestamps: None,
            }),
            ip_proto::UDP => L4::Udp { sport: src.1, dport: dst.1 },
            ip_proto::ICMP => L4::Icmp { kind: 8, code: 0, ident: 1 },
            _ => L4::Other,
        };
        let packet = Packet {
            ts_ns: self.now_ns,
            source: 0,
            vlan: [0, 0],
            ip: b"datagram",
            src: src.0,
            dst: dst.0,
            proto: self.proto,
            l4,
            payload,
        };
        let trigger = Trigger { ts_ns: self.now_ns, source: 0, packet: Some(&packet) };
        let mut flow = FlowView {
            id: 7,
            proto: self.proto,
            client: self.client,
            server: self.server,
            established: self.established,
            app: self.app,
            payload_in_stream: self.in_stream,
            ciphertext: self.ciphertext,
            scratch: &mut self.notes,
        };
        act(&mut self.detector, trigger, &mut flow, &packet);
        self.sids()
    }

    /// Shows a packet; answers the sids told, in order.
    pub fn packet(&mut self, direction: Direction, payload: &[u8]) -> Vec<u32> {
        self.act(direction, |detector, trigger, flow, _| detector.packet(trigger, Some((flow, direction))), payload)
    }

    /// Shows a packet that belongs to no flow.
    pub fn lone_packet(&mut self, payload: &[u8]) -> Vec<u32> {
        self.act(Direction::ToServer, |detector, trigger, _, _| detector.packet(trigger, None), payload)
    }

    /// Shows a stream window of which the first `new_from` bytes were shown before.
    pub fn stream(&mut self, direction: Direction, data: &[u8], base_offset: u64, new_from: usize) -> Vec<u32> {
        let window = StreamWindow { data, base_offset, new_from, last: false };
        self.act(direction, |detector, trigger, flow, _| detector.stream(trigger, flow, direction, window), b"")
    }

    /// Shows a packet and then, as the worker does, the stream window that its payload ends; answers the sids of both.
    pub fn packet_in_stream(&mut self, direction: Direction, before: &[u8], payload: &[u8]) -> Vec<u32> {
        let data = [before, payload].concat();
        let window = StreamWindow { data: &data, base_offset: 0, new_from: before.len(), last: false };
        let show = |detector: &mut Detector, trigger: Trigger<'_>, flow: &mut FlowView<'_>, _: &Packet<'_>| {
            detector.packet(trigger, Some((flow, direction)));
            detector.stream(trigger, flow, direction, window);
        };
        self.act(direction, show, payload)
    }

    /// Shows a stage of a transaction.
    pub fn transaction(&mut self, stage: Stage, tx: &mut FakeTx) -> Vec<u32> {
        self.app = tx.app;
        self.act(stage.direction(), |detector, trigger, flow, _| detector.transaction(trigger, flow, stage, tx), b"")
    }

    /// Shows a stage of a transaction; answers the alerts themselves.
    pub fn transaction_alerts(&mut self, stage: Stage, tx: &mut FakeTx) -> Vec<Alert> {
        let mut taken = Vec::new();
        self.act(
            stage.direction(),
            |detector, trigger, flow, _| {
                detector.transaction(trigger, flow, stage, tx);
                taken = detector.take_alerts();
            },
            b"",
        );
        taken
    }

    pub fn alerts(&mut self) -> Vec<Alert> {
        self.detector.take_alerts()
    }

    fn sids(&mut self) -> Vec<u32> {
        let set = Arc::clone(self.detector.rule_set());
        self.detector.take_alerts().iter().map(|alert| set.rules[alert.rule as usize].info.sid).collect()
    }
}

/// A transaction made by hand.
pub struct FakeTx {
    pub app: AppProto,
    pub buffers: Vec<(BufferId, Vec<u8>)>,
    notes: TxScratch,
}

impl FakeTx {
    pub fn http(buffers: &[(BufferId, &[u8])]) -> Self {
        let buffers = buffers.iter().map(|(id, bytes)| (*id, bytes.to_vec())).collect();
        Self { app: AppProto::Http, buffers, notes: TxScratch::default() }
    }

    pub fn dns(names: &[&[u8]]) -> Self {
        let buffers = names.iter().map(|name| (BufferId::DnsQuery, name.to_vec())).collect();
        Self { app: AppProto::Dns, buffers, notes: TxScratch::default() }
    }
}

impl Transaction for FakeTx {
    fn app_proto(&self) -> AppProto {
        self.app
    }
    fn id(&self) -> u64 {
        3
    }
    fn buffer_count(&self, id: BufferId) -> usize {
        self.buffers.iter().filter(|(other, _)| *other == id).count()
    }
    fn buffer(&self, id: BufferId, index: usize) -> Option<&[u8]> {
        self.buffers.iter().filter(|(other, _)| *other == id).nth(index).map(|(_, bytes)| bytes.as_slice())
    }
    fn facts(&self) -> Vec<(&'static str, Vec<u8>)> {
        vec![("test", b"fact".to_vec())]
    }
    fn scratch(&mut self) -> &mut TxScratch {
        &mut self.notes
    }
}
