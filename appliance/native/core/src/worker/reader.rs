//! Reads one flow's TCP streams: in-order bytes to protocol recognition, stream rules and parser.
//!
//! Order for each piece of data: the protocol is recognised, the stream window is judged, then the parser reads it and
//! tells transactions. What is undecided is held back in the window and goes the same way later. Data that comes in
//! order from one packet, with nothing before it that matters, is judged and parsed where it lies.

use super::conversation::TcpPart;
use super::judge::{app_context, Judge};
use super::Counters;
use crate::app::{AppConfig, AppLayer, Decision, Probe, Transport};
use crate::inspect::{AppProto, Direction, Inspector, StreamWindow};
use crate::packet::{tcp_flags, Packet, TcpHeader};
use crate::stream::{Budget, OverlapPolicy, Push, KEEP_BYTES, KEEP_BYTES_TIGHT};

/// Everything needed to read one flow's streams.
pub(super) struct Reader<'a, I> {
    pub judge: Judge<'a, I>,
    pub app: &'a mut AppLayer,
    pub tcp: &'a mut TcpPart,
    pub counters: &'a mut Counters,
    pub app_config: &'a AppConfig,
    pub budget: &'a mut Budget,
}

impl<I: Inspector> Reader<'_, I> {
    /// An accepted segment: what its acknowledgement lets go in the other direction, then its data.
    #[inline]
    pub fn segment(&mut self, packet: &Packet<'_>, header: &TcpHeader, direction: Direction, policy: OverlapPolicy) {
        let syn = header.flags & tcp_flags::SYN != 0;
        let at = header.seq.wrapping_add(u32::from(syn));
        if !self.tcp.session.established() {
            if !packet.payload.is_empty() {
                self.tcp.session.half_mut(direction).hold(at, packet.payload, policy, self.budget);
            }
            return;
        }
        self.drain(direction.flipped());
        let payload = packet.payload;
        let urgent = usize::from(header.urgent);
        if header.flags & tcp_flags::URG != 0 && (1..=payload.len()).contains(&urgent) && !syn {
            let place = at.wrapping_add(header.urgent as u32 - 1);
            self.push(direction, at, &payload[..urgent - 1], policy);
            self.drain(direction);
            self.tcp.session.half_mut(direction).urgent(place);
            self.push(direction, place.wrapping_add(1), &payload[urgent..], policy);
        } else {
            self.push(direction, at, payload, policy);
        }
        self.drain(direction);
    }

    #[inline]
    fn push(&mut self, direction: Direction, at: u32, payload: &[u8], policy: OverlapPolicy) {
        if payload.is_empty() {
            return;
        }
        let half = self.tcp.session.half_mut(direction);
        let (was_stopped, offset) = (half.stopped(), half.offset());
        match half.push(at, payload, policy, self.budget) {
            Push::Deliver(data) => {
                let stopped = half.stopped() && !was_stopped;
                self.deliver(direction, data, offset);
                self.check_depth(direction, stopped);
            }
            Push::Dropped => self.counters.stream_dropped += 1,
            Push::Queued | Push::Nothing => {}
        }
    }

    /// Deliver what waited and is in order now, skip what the receiver has and we will never see.
    #[inline]
    fn drain(&mut self, direction: Direction) {
        loop {
            let half = self.tcp.session.half_mut(direction);
            let (was_stopped, offset) = (half.stopped(), half.offset());
            if let Some(data) = half.pop(self.budget) {
                let stopped = half.stopped() && !was_stopped;
                self.deliver(direction, &data, offset);
                self.check_depth(direction, stopped);
            } else if let Some(len) = half.take_gap() {
                self.gap(direction, u64::from(len));
            } else {
                return;
            }
        }
    }

    fn check_depth(&mut self, direction: Direction, reached: bool) {
        if reached {
            self.counters.stream_depth_reached += 1;
            self.end(direction);
        }
    }

    fn keep(&self) -> usize {
        if self.budget.is_tight() {
            KEEP_BYTES_TIGHT
        } else {
            KEEP_BYTES
        }
    }

    fn deliver(&mut self, direction: Direction, data: &[u8], offset: u64) {
        self.counters.stream_bytes += data.len() as u64;
        let window = &self.tcp.windows[direction as usize];
        if data.is_empty() || window.opaque || window.ended {
            return;
        }
        if self.app.detecting(direction) {
            if self.recognise(direction, data, offset) == Decision::Undecided {
                return;
            }
            self.judge.app = self.app.proto();
            let known = !matches!(self.judge.app, AppProto::Unknown | AppProto::None);
            if known && self.tcp.windows[direction.flipped() as usize].held {
                self.release(direction.flipped());
            }
            if self.tcp.windows[direction as usize].held {
                self.release(direction);
                return;
            }
        }
        self.read(direction, data, offset);
    }

    /// Look at the beginning of a direction; if it takes more bytes, these are held in the window.
    fn recognise(&mut self, direction: Direction, data: &[u8], offset: u64) -> Decision {
        if self.budget.is_full() {
            // A parser is memory too.
            self.budget.refused += 1;
            self.app.give_up(direction);
            return Decision::Decided;
        }
        let keep = self.keep();
        let ports = self.judge.ports();
        let window = &mut self.tcp.windows[direction as usize];
        let beginning = if window.held {
            window.bytes.append(data, offset, keep);
            window.bytes.data()
        } else {
            data
        };
        let decision = self.app.probe(Transport::Tcp, &Probe { data: beginning, direction, ports });
        if decision == Decision::Undecided && !window.held {
            window.bytes.append(data, offset, keep);
            window.held = true;
        }
        decision
    }

    /// What was held back goes to stream rules and parser.
    fn release(&mut self, direction: Direction) {
        let window = &mut self.tcp.windows[direction as usize];
        window.held = false;
        let (data, base_offset) = (window.bytes.data(), window.bytes.base_offset());
        self.judge.stream(direction, StreamWindow { data, base_offset, new_from: 0, last: false });
        let mut cx = app_context(&mut self.judge, &mut self.counters.app, self.app_config, self.budget);
        self.app.data(direction, data, &mut cx);
        self.check_opaque(direction);
    }

    fn read(&mut self, direction: Direction, data: &[u8], offset: u64) {
        let keep = self.keep();
        let window = &mut self.tcp.windows[direction as usize];
        if window.bytes.is_empty() {
            self.judge.stream(direction, StreamWindow { data, base_offset: offset, new_from: 0, last: false });
            if !self.budget.is_full() {
                window.bytes.remember(data, offset, keep);
            }
        } else {
            let new_from = window.bytes.append(data, offset, keep);
            let (data, base_offset) = (window.bytes.data(), window.bytes.base_offset());
            self.judge.stream(direction, StreamWindow { data, base_offset, new_from, last: false });
            if self.budget.is_full() {
                window.bytes.free();
            }
        }
        let mut cx = app_context(&mut self.judge, &mut self.counters.app, self.app_config, self.budget);
        self.app.data(direction, data, &mut cx);
        self.check_opaque(direction);
    }

    fn check_opaque(&mut self, direction: Direction) {
        if self.app.opaque(direction) {
            let window = &mut self.tcp.windows[direction as usize];
            window.opaque = true;
            window.bytes.free();
            self.tcp.session.half_mut(direction).stop(self.budget);
            self.counters.stream_bypassed += 1;
        }
    }

    fn gap(&mut self, direction: Direction, len: u64) {
        self.counters.stream_gaps += 1;
        self.counters.stream_gap_bytes += len;
        self.app.give_up(direction);
        if self.tcp.windows[direction as usize].held {
            self.release(direction);
        }
        self.tcp.windows[direction as usize].bytes.clear();
        let mut cx = app_context(&mut self.judge, &mut self.counters.app, self.app_config, self.budget);
        self.app.gap(direction, len, &mut cx);
    }

    /// A direction has ended: FIN, RST, timeout, depth or the end of input; what waits behind holes is told before.
    /// Idempotent.
    pub fn end(&mut self, direction: Direction) {
        if !self.tcp.windows[direction as usize].ended && self.tcp.session.established() {
            self.drain(direction);
            while let Some(len) = self.tcp.session.half_mut(direction).skip_hole() {
                self.gap(direction, u64::from(len));
                self.drain(direction);
            }
        }
        self.app.give_up(direction);
        let offset = self.tcp.session.half(direction).offset();
        let window = &mut self.tcp.windows[direction as usize];
        if std::mem::replace(&mut window.ended, true) {
            return;
        }
        if !window.opaque && offset > 0 {
            let held = std::mem::replace(&mut window.held, false);
            let data = window.bytes.data();
            let base_offset = if data.is_empty() { offset } else { window.bytes.base_offset() };
            let new_from = if held { 0 } else { data.len() };
            self.judge.stream(direction, StreamWindow { data, base_offset, new_from, last: true });
        }
        window.bytes.free();
        let mut cx = app_context(&mut self.judge, &mut self.counters.app, self.app_config, self.budget);
        self.app.end(direction, &mut cx);
    }

    /// Bytes that windows, parser and the judge's notes hold.
    pub fn memory(&self) -> usize {
        self.judge.notes_memory() + self.app.memory() + self.tcp.windows.iter().map(|w| w.bytes.memory()).sum::<usize>()
    }
}
