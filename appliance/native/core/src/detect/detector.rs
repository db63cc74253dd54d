//! The detector: a rule set, what it remembers between calls, and what all kinds of judging share.
//!
//! For each thing shown (packet, stream window, transaction stage) the prefilter and the lists of programs without a pattern
//! give candidates; candidates are judged in the order of their rules; alerts are told in the order (priority, sid).
//! Nothing is allocated for a packet that raises no candidate. The same input gives the same alerts.

use super::alert::Alert;
use super::ends::{Ends, EndsCache};
use super::thresholds::Thresholds;
use crate::error::Result;
use crate::inspect::{AppProto, Direction, FlowScratch, FlowView, StreamWindow, Transaction, Trigger};
use crate::prefilter::Scratch;
use crate::rule::model::Rule;
use crate::rule::plan::groups::{Group, Patterns};
use crate::rule::plan::pattern::MAX_PATTERN_BYTES;
use crate::rule::plan::{Plan, Scope};
use crate::rule::RuleSet;
use std::sync::Arc;

/// The judge.
#[derive(Debug)]
pub struct Detector {
    pub(super) set: Arc<RuleSet>,
    pub(super) generation: u32,
    /// For each bit of the set before, the bit of the same name in this one.
    translated_bits: Vec<Option<u32>>,
    scratch: Scratch,
    pub(super) ends: EndsCache,
    thresholds: Thresholds,
    pub(super) candidates: Vec<u32>,
    /// Stream programs whose patterns stand in the payload of the packet at hand, and the direction it travels in: the stream
    /// does not search the same bytes again.
    pub(super) searched: Option<Direction>,
    pub(super) hits_in_packet: Vec<u32>,
    /// Rules met in the call at hand.
    met: Vec<u32>,
    /// Rules met by the payload of the packet at hand, so that the stream does not count the same bytes again.
    pub(super) met_in_packet: Vec<u32>,
    alerts: Vec<Alert>,
}

/// Longest pattern of the prefilter less one: how far before new bytes a match across the seam can begin, and how far behind
/// their first one it can end.
const SEAM_BYTES: usize = MAX_PATTERN_BYTES - 1;

/// What the thing being judged is part of.
pub(super) struct Context<'a> {
    pub trigger: Trigger<'a>,
    pub(super) direction: Direction,
    pub(super) ends: Ends,
    pub(super) proto: u8,
    pub(super) flow_id: u64,
    pub(super) app: AppProto,
}

/// Whether two blocks are equal; most often they are the same memory.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && (one.as_ptr() == other.as_ptr() || one == other)
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
            searched: None,
            hits_in_packet: Vec::new(),
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
        self.searched = None;
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
    pub(super) fn renew_flow(&self, notes: &mut FlowScratch) {
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

    /// Adds the programs of `group` that `block`, which begins at `base` of its stream, makes candidates.
    #[inline]
    pub(super) fn scan(&mut self, group: &Group, block: &[u8], base: u64) {
        self.scan_patterns(&group.anywhere, block);
        self.scan_beginning(group, block, base);
    }

    /// The same for the patterns that are bound to the stream's beginning.
    #[inline]
    pub(super) fn scan_beginning(&mut self, group: &Group, block: &[u8], base: u64) {
        group.places.scan(block, base, &mut self.candidates);
        if base < group.head_bytes as u64 {
            let head = group.head_bytes - base as usize;
            self.scan_patterns(&group.head, &block[..head.min(block.len())]);
        }
    }

    /// Searches the payload of a packet that goes on into the stream: packet programs become candidates, stream programs are
    /// kept until [`Detector::scan_stream`].
    pub(super) fn scan_ahead(&mut self, plan: &Plan, ports: (u16, u16), payload: &[u8], direction: Direction) {
        let before = self.candidates.len();
        for group in plan.streams[direction as usize].groups(ports.0, ports.1) {
            self.scan_patterns(&group.anywhere, payload);
        }
        self.hits_in_packet.clear();
        self.searched = Some(direction);
        if self.candidates.len() > before {
            let hits = self.candidates.split_off(before);
            for program in hits {
                let packet = plan.programs[program as usize].scope == Scope::PacketPayload;
                if packet { &mut self.candidates } else { &mut self.hits_in_packet }.push(program);
            }
        }
    }

    /// Searches new bytes of a stream, of which those of the packet at hand have been searched.
    pub(super) fn scan_stream(&mut self, plan: &Plan, context: &Context<'_>, window: &StreamWindow<'_>) {
        let fresh = &window.data[window.new_from..];
        let searched = self.searched == Some(context.direction)
            && context.trigger.packet.is_some_and(|packet| same(packet.payload, fresh));
        let from = window.new_from.saturating_sub(SEAM_BYTES);
        let (block, base) = (&window.data[from..], window.base_offset + from as u64);
        let seam = &window.data[from..window.data.len().min(window.new_from + SEAM_BYTES)];
        for group in plan.streams[context.direction as usize].groups(context.ends.src.1, context.ends.dst.1) {
            self.candidates.extend_from_slice(&group.always);
            if !searched {
                self.scan(group, block, base);
                continue;
            }
            if window.new_from > 0 {
                self.scan_patterns(&group.anywhere, seam);
            }
            self.scan_beginning(group, block, base);
        }
        if searched {
            self.candidates.extend_from_slice(&self.hits_in_packet);
        }
    }

    fn scan_patterns(&mut self, patterns: &Patterns, block: &[u8]) {
        if let (Some(set), false) = (patterns.set, block.is_empty()) {
            let candidates = &mut self.candidates;
            self.set.plan.matcher.scan(set, block, &mut self.scratch, &mut |pattern| {
                candidates.extend_from_slice(patterns.programs_of(pattern));
            });
        }
    }

    pub(super) fn take_candidates(&mut self) -> Vec<u32> {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }

    /// Header, direction, flow state, application protocol and flow bits of a rule.
    pub(super) fn admits(&mut self, rule: &Rule, context: &Context<'_>, flow: Option<&FlowView<'_>>) -> bool {
        if !rule.layer4.admits(context.proto) || !rule.version.admits(context.ends.src.0) {
            return false;
        }
        match flow {
            None => {
                if rule.flow.needed || rule.app.is_some() || !rule.flowbits.is_empty() {
                    return false;
                }
            }
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
    pub(super) fn meet(&mut self, index: u32, rule: &Rule, flow: Option<&mut FlowView<'_>>) {
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
    pub(super) fn tell(&mut self, context: &Context<'_>, tx: Option<&dyn Transaction>) {
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
}
