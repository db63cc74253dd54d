//! One packet's way through flow, stream and application layer to the inspector.
//!
//! Rules: no threads, no I/O, no clock: packets bring their time and `advance` moves it on. The same packets with the
//! same settings give the same calls to the inspector in the same order.

mod config;
mod conversation;
mod counters;
mod judge;
mod reader;
mod tcp;

pub use config::WorkerConfig;
pub use counters::Counters;

use crate::app::{AppConfig, Transport};
use crate::flow::{Flow, FlowKey, FlowTable, Slot, State};
use crate::inspect::{Direction, Inspector, Trigger};
use crate::packet::{ip_proto, Packet, L4};
use crate::stream::Budget;
use conversation::{Conversation, TcpPart};
use judge::{app_context, Judge};

/// How often timeouts are looked for; a flow that is looked up is judged exactly.
const EXPIRY_INTERVAL_NS: u64 = 1_000_000_000;

/// A worker and the flows it keeps.
pub struct Worker<I> {
    config: WorkerConfig,
    app_config: AppConfig,
    inspector: I,
    flows: FlowTable<Conversation>,
    budget: Budget,
    counters: Counters,
    now_ns: u64,
    next_expiry_ns: u64,
}

impl<I: Inspector> Worker<I> {
    /// A worker with no flows.
    pub fn new(config: WorkerConfig, inspector: I) -> Self {
        let per_flow = std::mem::size_of::<TcpPart>();
        Self {
            app_config: AppConfig { body_limit: config.body_limit_kib * 1024 },
            flows: FlowTable::new(config.flow_memcap_mib * 1024 * 1024, per_flow, config.seed),
            budget: Budget::new(config.stream_memcap_mib * 1024 * 1024),
            counters: Counters::default(),
            now_ns: 0,
            next_expiry_ns: 0,
            config,
            inspector,
        }
    }

    /// The judge.
    pub fn inspector(&self) -> &I {
        &self.inspector
    }

    /// The judge, to be asked for what it has found.
    pub fn inspector_mut(&mut self) -> &mut I {
        &mut self.inspector
    }

    /// Put another judge in place, between two packets; the old one is given back. What judges noted on flows and
    /// transactions stays: it carries the generation it was made under.
    pub fn set_inspector(&mut self, inspector: I) -> I {
        std::mem::replace(&mut self.inspector, inspector)
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        Counters {
            flows_created: self.flows.created(),
            flows_active: self.flows.len() as u64,
            stream_memcap_drops: self.budget.refused,
            stream_memory_bytes: self.budget.used() as u64,
            ..self.counters
        }
    }

    /// Take one packet. Time never goes back: a packet older than the latest is taken as if it came now.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        self.counters.packets += 1;
        self.counters.bytes += packet.ip.len() as u64;
        self.advance(packet.ts_ns);
        match packet.l4 {
            L4::Tcp(header) => self.tcp(packet, &header),
            L4::Udp { .. } => self.datagram(packet),
            // A later fragment or a cut header: its flow is unknown.
            L4::Other if matches!(packet.proto, ip_proto::TCP | ip_proto::UDP | ip_proto::ICMP | ip_proto::ICMPV6) => {
                self.inspector.packet(trigger_of(packet), None);
            }
            L4::Icmp { .. } | L4::Other => self.other(packet),
        }
    }

    /// Move time on: flows that have been silent for too long end.
    pub fn advance(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        if self.now_ns < self.next_expiry_ns {
            return;
        }
        self.next_expiry_ns = self.now_ns.saturating_add(EXPIRY_INTERVAL_NS);
        while let Some(slot) = self.flows.next_expired(self.now_ns) {
            self.counters.flows_timed_out += 1;
            self.end_flow(slot);
        }
    }

    /// The end of input: every flow ends, in a fixed order.
    pub fn finish(&mut self) {
        while let Some(slot) = self.flows.first() {
            self.end_flow(slot);
        }
    }

    /// The packet's flow if there is one that has not timed out.
    #[inline]
    fn find(&mut self, hash: u64, key: &FlowKey) -> Option<Slot> {
        let slot = self.flows.find(hash, key)?;
        if self.flows.is_expired(slot, self.now_ns) {
            self.counters.flows_timed_out += 1;
            self.end_flow(slot);
            return None;
        }
        Some(slot)
    }

    /// A new flow; makes room for it if it must.
    fn create(&mut self, hash: u64, key: FlowKey, packet: &Packet<'_>, reversed: bool, forward: bool) -> Slot {
        while self.flows.is_full() {
            let Some(victim) = self.flows.eviction_candidate() else { break };
            self.counters.flows_evicted += 1;
            self.end_flow(victim);
        }
        self.flows.insert(hash, key, packet, reversed, forward, Conversation::default())
    }

    /// Find or make the flow of a packet that is not TCP; its direction and whether packets were seen both ways.
    fn enter(&mut self, packet: &Packet<'_>) -> (Slot, Direction, bool) {
        let (key, forward) = FlowKey::of(packet);
        let hash = self.flows.hash(&key);
        let slot = match self.find(hash, &key) {
            Some(slot) => slot,
            None => self.create(hash, key, packet, false, forward),
        };
        let flow = self.flows.get_mut(slot);
        let direction = flow.direction(forward);
        flow.seen[direction as usize] = true;
        flow.source = packet.source;
        let both = flow.both_ways();
        self.flows.touch(slot, self.now_ns, if both { State::Established } else { State::New });
        (slot, direction, both)
    }

    fn other(&mut self, packet: &Packet<'_>) {
        let (slot, direction, both) = self.enter(packet);
        let flow = self.flows.get_mut(slot);
        let (mut judge, _) = Judge::split(&mut self.inspector, flow, trigger_of(packet), both);
        judge.packet(direction, false);
    }

    fn datagram(&mut self, packet: &Packet<'_>) {
        let (slot, direction, both) = self.enter(packet);
        let flow = self.flows.get_mut(slot);
        let (client, server) = (flow.client.1, flow.server.1);
        if !packet.payload.is_empty() && flow.data.app.detecting(direction) {
            let probe = crate::app::Probe { data: packet.payload, direction, ports: (client, server) };
            flow.data.app.probe(Transport::Udp, &probe);
        }
        let (mut judge, parts) = Judge::split(&mut self.inspector, flow, trigger_of(packet), both);
        judge.app = parts.app.proto();
        judge.packet(direction, false);
        if !packet.payload.is_empty() {
            let mut cx = app_context(&mut judge, &mut self.counters.app, &self.app_config, &self.budget);
            parts.app.data(direction, packet.payload, &mut cx);
        }
        let memory = parts.app.memory() + judge.notes_memory();
        self.budget.adjust(std::mem::replace(parts.accounted, memory), memory);
    }

    /// Take a flow out and tell everything that was still open.
    fn end_flow(&mut self, slot: Slot) {
        let mut flow = self.flows.remove(slot);
        let trigger = Trigger { ts_ns: self.now_ns, source: flow.source, packet: None };
        self.conclude(&mut flow, trigger);
        if let Some(tcp) = &mut flow.data.tcp {
            tcp.session.release(&mut self.budget);
        }
        self.budget.give(flow.data.accounted);
    }

    /// Both directions end: stream and transactions are told what is still open. Idempotent.
    fn conclude(&mut self, flow: &mut Flow<Conversation>, trigger: Trigger<'_>) {
        for direction in [Direction::ToServer, Direction::ToClient] {
            let open = flow.data.tcp.as_mut().is_some_and(|tcp| tcp.session.end(direction));
            if open {
                self.end_direction(flow, direction, trigger);
            }
        }
        let established = flow.data.tcp.as_ref().map_or(flow.both_ways(), |tcp| tcp.session.established());
        let (mut judge, parts) = Judge::split(&mut self.inspector, flow, trigger, established);
        let mut cx = app_context(&mut judge, &mut self.counters.app, &self.app_config, &self.budget);
        parts.app.finish(&mut cx);
        self.account(flow);
    }
}

fn trigger_of<'a>(packet: &'a Packet<'a>) -> Trigger<'a> {
    Trigger { ts_ns: packet.ts_ns, source: packet.source, packet: Some(packet) }
}

#[cfg(test)]
mod tests;
