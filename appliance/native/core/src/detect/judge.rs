//! Judges one candidate: does the rule match this packet, this stream window, this transaction?
//!
//! What makes candidates, and in which order they are judged, is `inspector`'s business. `set` is the set in force, which the
//! caller holds for all candidates of a call.

use super::chain;
use super::detector::{Context, Detector};
use crate::inspect::{AppProto, FlowView, StreamWindow, Transaction};
use crate::packet::{ip_proto, Packet};
use crate::rule::check::Window;
use crate::rule::keyword::flowbits::FlowBit;
use crate::rule::model::Rule;
use crate::rule::plan::{Program, Scope};
use crate::rule::RuleSet;

impl Detector {
    /// Judges a candidate against a packet.
    pub(super) fn judge_packet(
        &mut self,
        set: &RuleSet,
        program: u32,
        packet: &Packet<'_>,
        context: &Context<'_>,
        mut flow: Option<&mut FlowView<'_>>,
    ) {
        let program = set.plan.programs[program as usize];
        let rule = &set.rules[program.rule as usize];
        let payload = match program.scope {
            Scope::PacketPayload => rule.payload(),
            // The packet's payload did not go through the stream, so it is looked at here.
            Scope::Stream if !rule.flow.only_stream => rule.payload(),
            Scope::PayloadHalf if packet.proto == ip_proto::UDP => rule.payload(),
            Scope::Stream | Scope::PayloadHalf => return,
            _ => None,
        };
        if payload.is_some() && packet.payload.is_empty() {
            return;
        }
        let once = payload.is_some() && packet.proto == ip_proto::TCP && told_once(rule) && !packets_only(rule);
        let told = (program.rule, context.direction);
        if once && flow.as_ref().is_some_and(|flow| flow.scratch.alerted.contains(&told)) {
            return;
        }
        if !self.admits(rule, context, flow.as_deref()) || !rule.packet_checks.iter().all(|check| check.holds(packet)) {
            return;
        }
        if let Some(chain) = payload {
            if chain::run(chain, &Window::new(packet.payload, 0)).is_none() {
                return;
            }
            if program.scope == Scope::PayloadHalf {
                if let Some(flow) = flow {
                    flow.scratch.halves.push(told);
                }
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
    pub(super) fn judge_stream(
        &mut self,
        set: &RuleSet,
        program: u32,
        window: &StreamWindow<'_>,
        context: &Context<'_>,
        flow: &mut FlowView<'_>,
    ) -> bool {
        let Program { rule: index, scope, filtered, .. } = set.plan.programs[program as usize];
        let rule = &set.rules[index as usize];
        let half = scope == Scope::PayloadHalf;
        let told = (index, context.direction);
        let known = if half { &flow.scratch.halves } else { &flow.scratch.alerted };
        let once = half || told_once(rule);
        if (once && known.contains(&told)) || self.met_in_packet.contains(&index) {
            return false;
        }
        // Once another protocol is known the other half, a transaction, will not come.
        let hopeless = half && flow.app != AppProto::Unknown && rule.app.is_some_and(|app| app != flow.app);
        if hopeless || !self.ends.admit(rule, &context.ends, &self.set.ends) {
            return false;
        }
        let Some(chain) = rule.payload() else { return false };
        // The bits of a half-met rule are tested with its other half.
        let admitted = half || self.admits(rule, context, Some(flow));
        let reached = if admitted { chain::run(chain, &Window::new(window.data, window.base_offset)) } else { None };
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
    pub(super) fn judge_transaction(
        &mut self,
        set: &RuleSet,
        program: u32,
        context: &Context<'_>,
        flow: &mut FlowView<'_>,
        tx: &dyn Transaction,
    ) -> bool {
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
                tx.buffer(id, index).is_some_and(|data| chain::run(chain, &Window::new(data, 0)).is_some())
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
