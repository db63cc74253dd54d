//! Finds candidates in what the layers below show, and has them judged in the order of their rules.

use super::detector::{Context, Detector};
use super::ends::Ends;
use crate::inspect::{
    AppProto, BufferId, Direction, FlowView, Inspector, Stage, StreamWindow, Transaction, Trigger, TxScratch,
};
use crate::packet::ip_proto;
use crate::rule::plan::{app_row, PacketClass, Program, Scope};
use std::sync::Arc;

/// Most stream programs that wait in one flow for the rest of their bytes.
const MAX_WAITING: usize = 64;
/// How much of what was inspected before is looked at again with new bytes: the size of the pieces in which Suricata inspects
/// a stream (`toserver-chunk-size`), so that both see contents together at the same distances.
const BEHIND_BYTES: usize = 2560;
fn class_of(proto: u8) -> PacketClass {
    match proto {
        ip_proto::TCP => PacketClass::Tcp,
        ip_proto::UDP => PacketClass::Udp,
        ip_proto::ICMP | ip_proto::ICMPV6 => PacketClass::Icmp,
        _ => PacketClass::Other,
    }
}

/// Ends of a flow in the direction of the bytes.
fn ends_of(flow: &FlowView<'_>, direction: Direction) -> Ends {
    match direction {
        Direction::ToServer => Ends { src: flow.client, dst: flow.server },
        Direction::ToClient => Ends { src: flow.server, dst: flow.client },
    }
}

/// The buffers that are final at a stage.
fn buffers_of(stage: Stage) -> &'static [BufferId] {
    match stage {
        Stage::Request => &[BufferId::HttpUri, BufferId::HttpMethod, BufferId::HttpUserAgent, BufferId::DnsQuery],
        Stage::RequestBody => &[BufferId::HttpRequestBody],
        Stage::Response => &[],
        Stage::ResponseBody => &[BufferId::HttpResponseBody],
    }
}

impl Inspector for Detector {
    fn packet(&mut self, trigger: Trigger<'_>, flow: Option<(&mut FlowView<'_>, Direction)>) {
        let Some(packet) = trigger.packet else { return };
        self.met_in_packet.clear();
        let set = Arc::clone(&self.set);
        let plan = &set.plan;
        let (sport, dport) = packet.ports();
        let (mut flow, direction) = match flow {
            Some((flow, direction)) => (Some(flow), direction),
            None => (None, Direction::ToServer),
        };
        // Rules that look at headers alone are judged all the same.
        let payload = if flow.as_ref().is_some_and(|flow| flow.ciphertext) { &[] } else { packet.payload };
        let context = Context {
            trigger,
            direction,
            ends: Ends { src: (packet.src, sport), dst: (packet.dst, dport) },
            proto: packet.proto,
            flow_id: flow.as_ref().map_or(0, |flow| flow.id),
            app: flow.as_ref().map_or(AppProto::Unknown, |flow| flow.app),
        };
        let mut addresses_due = true;
        if let Some(flow) = flow.as_deref_mut() {
            self.renew_flow(flow.scratch);
            if packet.proto == ip_proto::UDP {
                // Each datagram is a payload of its own; halves met in the one before say nothing about this one's transaction.
                flow.scratch.halves.clear();
            }
            let bit = 1 << direction as u8;
            addresses_due = flow.scratch.ip_only_done & bit == 0;
            flow.scratch.ip_only_done |= bit;
            let seen = 4 << direction as u8;
            if app_row(flow.app).is_some() && flow.scratch.ip_only_done & seen == 0 {
                flow.scratch.ip_only_done |= seen;
                self.candidates.extend(
                    plan.app_seen
                        .iter()
                        .filter(|&&at| plan.programs[at as usize].direction.is_none_or(|way| way == direction)),
                );
            }
        }
        if addresses_due && !plan.addresses.is_empty() {
            plan.addresses.candidates(packet.src, packet.dst, &mut self.candidates);
        }
        for group in plan.packets[class_of(packet.proto) as usize][direction as usize].groups(sport, dport) {
            self.candidates.extend_from_slice(&group.always);
            self.scan(group, payload, 0);
        }
        let in_stream = flow.as_ref().is_some_and(|flow| flow.payload_in_stream);
        self.searched = None;
        if packet.proto == ip_proto::TCP && !payload.is_empty() && in_stream {
            self.scan_ahead(plan, (sport, dport), payload, direction);
        } else if packet.proto == ip_proto::TCP && !payload.is_empty() {
            for group in plan.streams[direction as usize].groups(sport, dport) {
                self.candidates.extend_from_slice(&group.always);
                self.scan(group, payload, 0);
            }
        }
        if self.candidates.is_empty() {
            return;
        }
        let candidates = self.take_candidates();
        for &program in &candidates {
            self.judge_packet(&set, program, packet, &context, flow.as_deref_mut());
        }
        self.candidates = candidates;
        self.candidates.clear();
        self.tell(&context, None);
    }

    fn stream(
        &mut self,
        trigger: Trigger<'_>,
        flow: &mut FlowView<'_>,
        direction: Direction,
        window: StreamWindow<'_>,
    ) {
        self.renew_flow(flow.scratch);
        let set = Arc::clone(&self.set);
        let ends = ends_of(flow, direction);
        let cut = window.new_from.saturating_sub(BEHIND_BYTES).min(window.data.len());
        let window = StreamWindow {
            data: &window.data[cut..],
            base_offset: window.base_offset + cut as u64,
            new_from: window.new_from - cut,
            last: window.last,
        };
        let context = Context { trigger, direction, ends, proto: flow.proto, flow_id: flow.id, app: flow.app };
        self.scan_stream(&set.plan, &context, &window);
        if self.candidates.is_empty() && flow.scratch.waiting.is_empty() {
            return;
        }
        let mut waiting = std::mem::take(&mut flow.scratch.waiting);
        waiting.retain(|&(program, way, until)| {
            if way != direction {
                return true;
            }
            if until > window.base_offset {
                self.candidates.push(program);
                return true;
            }
            false
        });
        let candidates = self.take_candidates();
        let until = window.base_offset + window.data.len() as u64;
        for &program in candidates.iter().filter(|&&at| set.plan.programs[at as usize].scope != Scope::PacketPayload) {
            let waits = self.judge_stream(&set, program, &window, &context, flow);
            let known = waiting.iter().position(|&(other, way, _)| other == program && way == direction);
            match (waits, known) {
                (true, None) => {
                    if waiting.len() >= MAX_WAITING {
                        waiting.remove(0);
                    }
                    waiting.push((program, direction, until));
                }
                (false, Some(at)) => {
                    waiting.swap_remove(at);
                }
                _ => {}
            }
        }
        flow.scratch.waiting = waiting;
        self.candidates = candidates;
        self.candidates.clear();
        self.tell(&context, None);
    }

    fn transaction(&mut self, trigger: Trigger<'_>, flow: &mut FlowView<'_>, stage: Stage, tx: &mut dyn Transaction) {
        let Some(row) = app_row(tx.app_proto()) else { return };
        self.renew_flow(flow.scratch);
        let mut notes = tx.take_scratch();
        if notes.generation != self.generation {
            notes = TxScratch { generation: self.generation, ..TxScratch::default() };
        }
        let set = Arc::clone(&self.set);
        self.candidates.append(&mut notes.candidates);
        self.candidates.extend_from_slice(&set.plan.unfiltered[row][stage as usize]);
        for &id in buffers_of(stage) {
            for index in 0..tx.buffer_count(id) {
                if let Some(buffer) = tx.buffer(id, index) {
                    self.scan(&set.plan.buffers[id as usize], buffer, 0);
                }
            }
        }
        if self.candidates.is_empty() {
            *tx.scratch() = notes;
            return;
        }
        let candidates = self.take_candidates();
        let direction = stage.direction();
        let context = Context {
            trigger,
            direction,
            ends: ends_of(flow, direction),
            proto: flow.proto,
            flow_id: flow.id,
            app: flow.app,
        };
        for &program in &candidates {
            let Program { rule, stage: last, direction: way, .. } = set.plan.programs[program as usize];
            if last > stage {
                notes.candidates.push(program);
            } else if way == Some(direction)
                && !notes.alerted.contains(&rule)
                && self.judge_transaction(&set, program, &context, flow, tx)
            {
                notes.alerted.push(rule);
            }
        }
        self.candidates = candidates;
        self.candidates.clear();
        self.tell(&context, Some(tx));
        *tx.scratch() = notes;
    }
}
