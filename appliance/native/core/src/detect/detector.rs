//! The judge: implements [`Inspector`] over a rule set.
//!
//! For each thing shown (packet, stream window, transaction stage) the prefilter and the lists of programs without a pattern
//! give candidates; candidates are judged in the order of their rules; alerts are told in the order (priority, sid).
//! Nothing is allocated for a packet that raises no candidate. The same input gives the same alerts.

use super::alert::Alert;
use super::chain;
use super::ends::{Ends, EndsCache};
use super::thresholds::Thresholds;
use crate::error::Result;
use crate::inspect::{
    AppProto, BufferId, Direction, FlowScratch, FlowView, Inspector, Stage, StreamWindow, Transaction, Trigger, TxScratch,
};
use crate::packet::{ip_proto, Packet};
use crate::prefilter::Scratch;
use crate::rule::check::Window;
use crate::rule::keyword::flowbits::FlowBit;
use crate::rule::model::Rule;
use crate::rule::plan::groups::Group;
use crate::rule::plan::{app_row, PacketClass, Program, Scope};
use crate::rule::RuleSet;
use std::sync::Arc;

/// Most stream programs that wait in one flow for the rest of their bytes.
const MAX_WAITING: usize = 64;
/// Longest pattern of the prefilter less one: how far before the new bytes a match across the seam can begin.
const SEAM_BYTES: usize = 23;

/// The judge.
#[derive(Debug)]
pub struct Detector {
    set: Arc<RuleSet>,
    generation: u32,
    /// For each bit of the set before, the bit of the same name in this one.
    translated_bits: Vec<Option<u32>>,
    scratch: Scratch,
    ends: EndsCache,
    thresholds: Thresholds,
    candidates: Vec<u32>,
    /// Rules met in the call at hand.
    met: Vec<u32>,
    /// Rules met by the payload of the packet at hand, so that the stream does not count the same bytes again.
    met_in_packet: Vec<u32>,
    alerts: Vec<Alert>,
}

/// What the thing being judged is part of.
struct Context<'a> {
    trigger: Trigger<'a>,
    direction: Direction,
    ends: Ends,
    proto: u8,
    flow_id: u64,
    app: AppProto,
}

impl Detector {
    /// A judge over `set`.
    ///
    /// # Errors
    /// There is no memory for the matcher.
    pub fn new(set: Arc<RuleSet>) -> Result<Self> {
        let scratch = set.plan.matcher.scratch()?;
        let mut ends = EndsCache::default();
        ends.reset(set.ends.addresses.len());
        Ok(Self {
            set,
            generation: 0,
            translated_bits: Vec::new(),
            scratch,
            ends,
            thresholds: Thresholds::default(),
            candidates: Vec::new(),
            met: Vec::new(),
            met_in_packet: Vec::new(),
            alerts: Vec::new(),
        })
    }

    /// Goes on with another set. Flow bits and thresholds outlive the change; half-met rules are judged anew.
    ///
    /// # Errors
    /// There is no memory for the matcher; the set before stays.
    pub fn replace(&mut self, set: Arc<RuleSet>) -> Result<()> {
        self.scratch = set.plan.matcher.scratch()?;
        self.translated_bits = self.set.bits.translate(&set.bits);
        self.ends.reset(set.ends.addresses.len());
        self.set = set;
        self.generation += 1;
        self.met_in_packet.clear();
        Ok(())
    }

    /// The set in force.
    pub fn rule_set(&self) -> &Arc<RuleSet> {
        &self.set
    }

    /// The alerts since the last call, in order.
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.alerts)
    }

    /// Whether there are alerts to take.
    pub fn has_alerts(&self) -> bool {
        !self.alerts.is_empty()
    }

    /// Voids or translates what a flow's notes say about another rule set.
    fn renew_flow(&self, notes: &mut FlowScratch) {
        if notes.generation == self.generation {
            return;
        }
        let just_before = notes.generation + 1 == self.generation;
        let old = std::mem::take(notes);
        notes.generation = self.generation;
        if just_before {
            notes.flowbits = old.flowbits.iter().filter_map(|&bit| *self.translated_bits.get(bit as usize)?).collect();
            notes.flowbits.sort_unstable();
        }
    }

    /// Adds the programs of `group` that `block` makes candidates.
    fn scan(&mut self, group: &Group, block: &[u8]) {
        if let (Some(set), false) = (group.set, block.is_empty()) {
            let candidates = &mut self.candidates;
            self.set.plan.matcher.scan(set, block, &mut self.scratch, &mut |pattern| {
                candidates.extend_from_slice(group.programs_of(pattern));
            });
        }
    }

    fn take_candidates(&mut self) -> Vec<u32> {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }

    /// Header, direction, flow state, application protocol and flow bits of a rule.
    fn admits(&mut self, rule: &Rule, context: &Context<'_>, flow: Option<&FlowView<'_>>) -> bool {
        if !rule.layer4.admits(context.proto) || !rule.version.admits(context.ends.src.0) {
            return false;
        }
        match flow {
            None if rule.flow.needed || rule.app.is_some() || !rule.flowbits.is_empty() => return false,
            None => {}
            Some(flow) => {
                if rule.app.is_some_and(|app| app != flow.app)
                    || rule.flow.direction.is_some_and(|direction| direction != context.direction)
                    || rule.flow.established.is_some_and(|established| established != flow.established)
                    || !rule.flowbits.iter().all(|bit| bit.holds(&flow.scratch.flowbits))
                {
                    return false;
                }
            }
        }
        self.ends.admit(rule, &context.ends, &self.set.ends)
    }

    /// A rule has matched: its flow bits change now, so that rules behind it see them; it is told at the end of the call.
    fn meet(&mut self, index: u32, rule: &Rule, flow: Option<&mut FlowView<'_>>) {
        if let Some(flow) = flow {
            for bit in &rule.flowbits {
                bit.apply(&mut flow.scratch.flowbits);
            }
        }
        if !rule.noalert {
            self.met.push(index);
        }
    }

    /// Turns the rules met in this call into alerts.
    fn tell(&mut self, context: &Context<'_>, tx: Option<&dyn Transaction>) {
        if self.met.is_empty() {
            return;
        }
        let set = Arc::clone(&self.set);
        let mut met = std::mem::take(&mut self.met);
        met.sort_by_key(|&index| {
            let info = &set.rules[index as usize].info;
            (info.priority, info.sid, info.gid)
        });
        met.dedup();
        for &index in &met {
            let rule = &set.rules[index as usize];
            let key = (rule.info.gid, rule.info.sid);
            if let Some(threshold) = &rule.threshold {
                if !self.thresholds.tell(key, threshold, &context.ends, context.flow_id, context.trigger.ts_ns) {
                    continue;
                }
            }
            self.alerts.push(Alert {
                rule: index,
                generation: self.generation,
                ts_ns: context.trigger.ts_ns,
                source: context.trigger.source,
                proto: context.proto,
                src: context.ends.src,
                dst: context.ends.dst,
                flow_id: context.flow_id,
                to_server: context.direction == Direction::ToServer,
                app: context.app,
                tx_id: tx.map(Transaction::id),
                facts: tx.map(Transaction::facts).unwrap_or_default(),
                packet: context.trigger.packet.map(|packet| packet.ip.to_vec()).unwrap_or_default(),
            });
        }
        met.clear();
        self.met = met;
    }

    /// Judges a candidate against a packet.
    fn judge_packet(&mut self, program: u32, packet: &Packet<'_>, context: &Context<'_>, mut flow: Option<&mut FlowView<'_>>) {
        let set = Arc::clone(&self.set);
        let program = set.plan.programs[program as usize];
        let rule = &set.rules[program.rule as usize];
        let payload = match (program.scope, rule.payload()) {
            (Scope::PacketPayload, Some(chain)) => {
                if packet.payload.is_empty() {
                    return;
                }
                Some(chain)
            }
            _ => None,
        };
        let once = payload.is_some() && packet.proto == ip_proto::TCP && told_once(rule) && !packets_only(rule);
        let told = (program.rule, context.direction);
        if once && flow.as_ref().is_some_and(|flow| flow.scratch.alerted.contains(&told)) {
            return;
        }
        if !self.admits(rule, context, flow.as_deref()) || !rule.packet_checks.iter().all(|check| check.holds(packet)) {
            return;
        }
        if let Some(chain) = payload {
            if chain::run(chain, &Window { data: packet.payload, base: 0 }).is_none() {
                return;
            }
            self.met_in_packet.push(program.rule);
        }
        if let (true, Some(flow)) = (once, flow.as_deref_mut()) {
            flow.scratch.alerted.push(told);
        }
        self.meet(program.rule, rule, flow);
    }

    /// Judges a candidate against a stream window; says whether it waits for more bytes.
    fn judge_stream(
        &mut self,
        program: u32,
        window: &StreamWindow<'_>,
        context: &Context<'_>,
        flow: &mut FlowView<'_>,
    ) -> bool {
        let set = Arc::clone(&self.set);
        let Program { rule: index, scope, filtered, .. } = set.plan.programs[program as usize];
        let rule = &set.rules[index as usize];
        let half = scope == Scope::StreamHalf;
        let told = (index, context.direction);
        let known = if half { &flow.scratch.halves } else { &flow.scratch.alerted };
        let once = half || told_once(rule);
        if (once && known.contains(&told)) || self.met_in_packet.contains(&index) {
            return false;
        }
        if !self.ends.admit(rule, &context.ends, &self.set.ends) {
            return false;
        }
        let Some(chain) = rule.payload() else { return false };
        // The bits of a half-met rule are tested with its other half.
        let admitted = half || self.admits(rule, context, Some(flow));
        let reached = if admitted { chain::run(chain, &Window { data: window.data, base: window.base_offset }) } else { None };
        let Some(reached) = reached else { return filtered };
        if !once && reached > 0 && reached <= window.new_from {
            return false;
        }
        if half {
            flow.scratch.halves.push(told);
            return false;
        }
        if once {
            flow.scratch.alerted.push(told);
        }
        self.meet(index, rule, Some(flow));
        false
    }

    /// Judges a candidate against a transaction.
    fn judge_transaction(&mut self, program: u32, context: &Context<'_>, flow: &mut FlowView<'_>, tx: &dyn Transaction) -> bool {
        let set = Arc::clone(&self.set);
        let program = set.plan.programs[program as usize];
        let rule = &set.rules[program.rule as usize];
        if !self.admits(rule, context, Some(flow)) {
            return false;
        }
        if rule.payload().is_some() && !flow.scratch.halves.contains(&(program.rule, context.direction)) {
            return false;
        }
        let matches = rule.app_chains().all(|chain| {
            let id = chain.buffer.resolve(context.direction);
            (0..tx.buffer_count(id)).any(|index| {
                tx.buffer(id, index).is_some_and(|data| chain::run(chain, &Window { data, base: 0 }).is_some())
            })
        });
        if matches {
            self.meet(program.rule, rule, Some(flow));
        }
        matches
    }
}

/// Whether one hit per flow and direction says it all: nothing counts hits, no later hit changes bits again.
fn told_once(rule: &Rule) -> bool {
    rule.threshold.is_none() && !rule.flowbits.iter().any(|bit| matches!(bit, FlowBit::Unset(_) | FlowBit::Toggle(_)))
}

fn packets_only(rule: &Rule) -> bool {
    rule.packets_only || rule.flow.no_stream
}

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
            let bit = 1 << direction as u8;
            addresses_due = flow.scratch.ip_only_done & bit == 0;
            flow.scratch.ip_only_done |= bit;
            let seen = 4 << direction as u8;
            if app_row(flow.app).is_some() && flow.scratch.ip_only_done & seen == 0 {
                flow.scratch.ip_only_done |= seen;
                self.candidates.extend(
                    plan.app_seen.iter().filter(|&&at| plan.programs[at as usize].direction.is_none_or(|way| way == direction)),
                );
            }
        }
        if addresses_due && !plan.addresses.is_empty() {
            plan.addresses.candidates(packet.src, packet.dst, &mut self.candidates);
        }
        for group in plan.packets[class_of(packet.proto) as usize][direction as usize].groups(sport, dport) {
            self.candidates.extend_from_slice(&group.always);
            self.scan(group, packet.payload);
        }
        if self.candidates.is_empty() {
            return;
        }
        let candidates = self.take_candidates();
        for &program in &candidates {
            self.judge_packet(program, packet, &context, flow.as_deref_mut());
        }
        self.candidates = candidates;
        self.candidates.clear();
        self.tell(&context, None);
    }

    fn stream(&mut self, trigger: Trigger<'_>, flow: &mut FlowView<'_>, direction: Direction, window: StreamWindow<'_>) {
        self.renew_flow(flow.scratch);
        let set = Arc::clone(&self.set);
        let ends = ends_of(flow, direction);
        let from = window.new_from.saturating_sub(SEAM_BYTES).min(window.data.len());
        for group in set.plan.streams[direction as usize].groups(ends.src.1, ends.dst.1) {
            self.candidates.extend_from_slice(&group.always);
            self.scan(group, &window.data[from..]);
        }
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
        let context = Context { trigger, direction, ends, proto: flow.proto, flow_id: flow.id, app: flow.app };
        let candidates = self.take_candidates();
        let until = window.base_offset + window.data.len() as u64;
        for &program in &candidates {
            let waits = self.judge_stream(program, &window, &context, flow);
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
                    self.scan(&set.plan.buffers[id as usize], buffer);
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
                && self.judge_transaction(program, &context, flow, tx)
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
