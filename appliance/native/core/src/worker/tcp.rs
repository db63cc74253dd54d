//! A TCP packet's way: its flow, its connection, the judge, and then the reading of what it carries.
//!
//! Rules: which flow and which connection a packet belongs to is decided here; what the bytes mean is read in `reader`.

use super::conversation::{Conversation, TcpPart};
use super::judge::Judge;
use super::reader::Reader;
use super::{trigger_of, Worker};
use crate::flow::{Flow, FlowKey, Slot, State};
use crate::inspect::{Direction, Inspector, Trigger};
use crate::packet::{tcp_flags, Packet, TcpHeader};
use crate::stream::{TcpSession, TcpState, Verdict};

impl<I: Inspector> Worker<I> {
    pub(super) fn tcp(&mut self, packet: &Packet<'_>, header: &TcpHeader) {
        let (key, forward) = FlowKey::of(packet);
        let hash = self.flows.hash(&key);
        let mut slot = match self.find_tcp(hash, &key, header) {
            Some(slot) => slot,
            None => self.create_tcp(hash, key, packet, header, forward),
        };
        let len = packet.payload.len();
        let mut direction = self.flows.get_mut(slot).direction(forward);
        let mut verdict = self.judge_segment(slot, header, direction, len);
        if let Verdict::NewConnection(isn) = verdict {
            self.end_flow(slot);
            slot = self.create(hash, key, packet, true, forward);
            let session = TcpSession::reopened(isn, self.config.depth_bytes(), &mut self.budget);
            self.flows.get_mut(slot).data.tcp = Some(Box::new(TcpPart { session, windows: Default::default() }));
            direction = Direction::ToClient;
            verdict = self.judge_segment(slot, header, direction, len);
        }

        let flow = self.flows.get_mut(slot);
        flow.seen[direction as usize] = true;
        flow.source = packet.source;
        let tcp_state = flow.data.tcp.as_ref().map(|tcp| tcp.session.state());
        let state = tcp_state.map_or(State::New, TcpState::flow_state);
        self.flows.touch(slot, self.now_ns, state);
        self.follow(slot, packet, header, direction, verdict);
    }

    /// The living flow of these ends, unless this packet begins another one on the same ports.
    fn find_tcp(&mut self, hash: u64, key: &FlowKey, header: &TcpHeader) -> Option<Slot> {
        let slot = self.find(hash, key)?;
        let opens = header.flags & (tcp_flags::SYN | tcp_flags::ACK | tcp_flags::RST) == tcp_flags::SYN;
        if opens && self.flows.get_mut(slot).data.tcp.as_ref().is_none_or(|tcp| tcp.session.reused_by(header)) {
            self.end_flow(slot);
            return None;
        }
        Some(slot)
    }

    fn create_tcp(&mut self, hash: u64, key: FlowKey, packet: &Packet<'_>, header: &TcpHeader, forward: bool) -> Slot {
        let has = |flag: u8| header.flags & flag != 0;
        let reversed = has(tcp_flags::SYN) && has(tcp_flags::ACK) && !has(tcp_flags::RST);
        let slot = self.create(hash, key, packet, reversed, forward);
        let depth = self.config.depth_bytes();
        let session = if has(tcp_flags::SYN) && !has(tcp_flags::ACK | tcp_flags::RST | tcp_flags::FIN) {
            Some(TcpSession::new(depth))
        } else if self.config.midstream && has(tcp_flags::ACK) && !has(tcp_flags::RST) {
            Some(if reversed {
                TcpSession::reopened(header.ack.wrapping_sub(1), depth, &mut self.budget)
            } else {
                TcpSession::midstream(header, Direction::ToServer, depth, &mut self.budget)
            })
        } else if reversed {
            Some(TcpSession::answered(header, depth, &mut self.budget))
        } else {
            None
        };
        self.flows.get_mut(slot).data.tcp =
            session.map(|session| Box::new(TcpPart { session, windows: Default::default() }));
        slot
    }

    fn judge_segment(&mut self, slot: Slot, header: &TcpHeader, direction: Direction, len: usize) -> Verdict {
        let Some(tcp) = &mut self.flows.get_mut(slot).data.tcp else {
            self.counters.stream_no_session += 1;
            return Verdict::Ignore;
        };
        let verdict = tcp.session.segment(header, direction, len, &mut self.budget);
        self.counters.stream_invalid += u64::from(verdict == Verdict::Invalid);
        verdict
    }

    /// Judge the packet, then what it makes of the streams.
    fn follow(&mut self, slot: Slot, packet: &Packet<'_>, header: &TcpHeader, direction: Direction, verdict: Verdict) {
        let accepted = verdict == Verdict::Accept;
        let trigger = trigger_of(packet);
        let flow = self.flows.get_mut(slot);
        let established = flow.data.tcp.as_ref().is_some_and(|tcp| tcp.session.established());
        let (mut judge, parts) = Judge::split(&mut self.inspector, flow, trigger, established);
        let Some(tcp) = parts.tcp else {
            judge.packet(direction, false);
            return;
        };
        // Ciphertext counts as taken: falling back to the packet's payload would scan it after all.
        let opaque = tcp.windows[direction as usize].opaque;
        let taken = accepted && established && !packet.payload.is_empty() && !tcp.session.half(direction).stopped();
        judge.ciphertext = opaque;
        judge.packet(direction, opaque || taken);
        if accepted {
            let mut reader = Reader {
                judge,
                app: parts.app,
                tcp,
                counters: &mut self.counters,
                app_config: &self.app_config,
                budget: &mut self.budget,
            };
            reader.segment(packet, header, direction, self.config.overlap_policy);
            let memory = reader.memory();
            self.budget.adjust(std::mem::replace(parts.accounted, memory), memory);
            self.settle(slot, trigger);
        } else if tcp.session.state() == TcpState::Closed {
            self.close(slot, trigger);
        }
    }

    /// After data: directions that have ended are told; a connection that is over is closed.
    fn settle(&mut self, slot: Slot, trigger: Trigger<'_>) {
        let Some(tcp) = &mut self.flows.get_mut(slot).data.tcp else { return };
        let ended = tcp.session.settle();
        let closed = tcp.session.state() == TcpState::Closed;
        if ended == [false; 2] && !closed {
            return;
        }
        self.with_flow(slot, |worker, flow| {
            for direction in [Direction::ToServer, Direction::ToClient] {
                if ended[direction as usize] {
                    worker.end_direction(flow, direction, trigger);
                }
            }
            if closed {
                worker.conclude(flow, trigger);
            }
        });
        if closed {
            self.flows.touch(slot, self.now_ns, State::Closed);
        }
    }

    /// The connection was reset or has finished.
    fn close(&mut self, slot: Slot, trigger: Trigger<'_>) {
        self.with_flow(slot, |worker, flow| worker.conclude(flow, trigger));
        self.flows.touch(slot, self.now_ns, State::Closed);
    }

    /// Work on a flow with the whole worker at hand.
    fn with_flow(&mut self, slot: Slot, work: impl FnOnce(&mut Self, &mut Flow<Conversation>)) {
        let mut flow = self.flows.lift(slot);
        work(self, &mut flow);
        self.flows.lower(slot, flow);
    }

    /// One direction has ended: what was held back goes its way, stream rules and parser are told.
    pub(super) fn end_direction(&mut self, flow: &mut Flow<Conversation>, direction: Direction, trigger: Trigger<'_>) {
        let established = flow.data.tcp.as_ref().is_some_and(|tcp| tcp.session.established());
        let (judge, parts) = Judge::split(&mut self.inspector, flow, trigger, established);
        let Some(tcp) = parts.tcp else { return };
        let (counters, app_config, budget) = (&mut self.counters, &self.app_config, &mut self.budget);
        Reader { judge, app: parts.app, tcp, counters, app_config, budget }.end(direction);
        self.account(flow);
    }

    /// Bring the budget up to date with what the flow holds.
    pub(super) fn account(&mut self, flow: &mut Flow<Conversation>) {
        let memory = flow.data.memory();
        self.budget.adjust(std::mem::replace(&mut flow.data.accounted, memory), memory);
    }
}
