//! A TCP connection: judges each segment by the state table and by its numbers before anything is made of it.
//!
//! Rules: a segment that the receiving host would drop (no handshake, out of window, old timestamp, wild RST) changes
//! nothing. Does not deliver: the caller pushes accepted data into the half and asks `settle` afterwards.

use super::budget::Budget;
use super::half::HalfStream;
use super::seq;
use super::state::{next_state, TcpEvent, TcpState};
use crate::inspect::Direction;
use crate::packet::{tcp_flags, TcpHeader};

/// Largest window scale that is honoured (RFC 7323 section 2.3).
const MAX_SCALE: u8 = 14;

/// What to do with a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs to the connection: its data may go to the stream.
    Accept,
    /// It belongs to the connection and carries nothing for the stream (a repeated SYN, anything after the end).
    Ignore,
    /// The receiver would drop it.
    Invalid,
    /// The server answers a SYN that came in the middle of this connection: a new one has taken its ports. Holds the
    /// client's number.
    NewConnection(u32),
}

/// Both halves and the state between them.
#[derive(Debug)]
pub struct TcpSession {
    state: TcpState,
    established: bool,
    halves: [HalfStream; 2],
    scale: [Option<u8>; 2],
    recent_ts: [Option<u32>; 2],
    fin_told: [bool; 2],
    new_isn: Option<u32>,
    early_ack: Option<u32>,
    depth: u64,
}

fn event_for(direction: Direction) -> TcpEvent {
    match direction {
        Direction::ToServer => TcpEvent::ClientFin,
        Direction::ToClient => TcpEvent::ServerFin,
    }
}

impl TcpSession {
    /// A connection of which nothing was seen yet; `depth` bytes per direction will be delivered.
    pub fn new(depth: u64) -> Self {
        Self {
            state: TcpState::Listen,
            established: false,
            halves: [HalfStream::default(), HalfStream::default()],
            scale: [None; 2],
            recent_ts: [None; 2],
            fin_told: [false; 2],
            new_isn: None,
            early_ack: None,
            depth,
        }
    }

    /// Pick a connection up in the middle: the handshake is taken as seen.
    pub fn midstream(header: &TcpHeader, direction: Direction, depth: u64, budget: &mut Budget) -> Self {
        let mut session = Self::new(depth);
        session.half_mut(direction).start(header.seq.wrapping_sub(1), depth, budget);
        if header.flags & tcp_flags::ACK != 0 {
            session.half_mut(direction.flipped()).start(header.ack.wrapping_sub(1), depth, budget);
        }
        // Scales are unknown: the widest window loses nothing.
        session.scale = [Some(MAX_SCALE); 2];
        session.state = TcpState::Established;
        session.established = true;
        session
    }

    /// A connection whose SYN came on the ports of an older one: begins as if its SYN had just been seen.
    pub fn reopened(isn: u32, depth: u64, budget: &mut Budget) -> Self {
        let mut session = Self::new(depth);
        session.half_mut(Direction::ToServer).start(isn, depth, budget);
        session.scale[0] = Some(MAX_SCALE);
        session.state = TcpState::SynSent;
        session
    }

    /// A connection whose SYN-ACK was captured before its SYN.
    pub fn answered(header: &TcpHeader, depth: u64, budget: &mut Budget) -> Self {
        let mut session = Self::new(depth);
        session.open(header, Direction::ToClient, budget);
        session.early_ack = Some(header.ack);
        session
    }

    /// Where the connection stands.
    pub fn state(&self) -> TcpState {
        self.state
    }

    /// The handshake was whole (and stays so after the end; a refused connection never was).
    pub fn established(&self) -> bool {
        self.established
    }

    /// One direction.
    pub fn half(&self, direction: Direction) -> &HalfStream {
        &self.halves[direction as usize]
    }

    /// One direction, to push into.
    pub fn half_mut(&mut self, direction: Direction) -> &mut HalfStream {
        &mut self.halves[direction as usize]
    }

    /// Whether a SYN with this number opens a new connection on these ports.
    pub fn reused_by(&self, header: &TcpHeader) -> bool {
        header.flags & (tcp_flags::SYN | tcp_flags::ACK | tcp_flags::RST) == tcp_flags::SYN
            && self.state == TcpState::Closed
    }

    fn apply(&mut self, event: TcpEvent) -> bool {
        match next_state(self.state, event) {
            Some(next) => {
                self.state = next;
                self.established |= next == TcpState::Established;
                true
            }
            None => false,
        }
    }

    /// Judge a segment with `len` bytes of data.
    pub fn segment(&mut self, header: &TcpHeader, direction: Direction, len: usize, budget: &mut Budget) -> Verdict {
        if self.state == TcpState::Closed {
            return Verdict::Ignore;
        }
        let has = |flag: u8| header.flags & flag != 0;
        match (has(tcp_flags::RST), has(tcp_flags::SYN), has(tcp_flags::ACK)) {
            (true, _, _) => self.reset(header, direction),
            (_, true, true) => self.syn_ack(header, direction, budget),
            (_, true, false) => self.syn(header, direction, budget),
            (_, false, true) => self.acked(header, direction, len as u32, budget),
            // RFC 9293 section 3.10.7.4: without ACK a segment is dropped once there is a connection.
            (_, false, false) => Verdict::Invalid,
        }
    }

    /// Whether an answer to the SYN echoes a time before it: the client drops it (as RFC 7323 section 3.2 implies and
    /// hosts do).
    fn echoes_the_past(&self, header: &TcpHeader) -> bool {
        match (self.recent_ts[0], header.timestamps) {
            (Some(sent), Some((_, echo))) => echo != 0 && seq::lt(echo, sent),
            _ => false,
        }
    }

    fn reset(&mut self, header: &TcpHeader, direction: Direction) -> Verdict {
        let valid = match (self.state, direction) {
            // A refusal acknowledges the SYN (RFC 9293 section 3.10.7.3).
            (TcpState::SynSent, Direction::ToClient) => {
                let client = self.half(Direction::ToServer);
                let answers = seq::lt(client.isn(), header.ack) && seq::le(header.ack, client.max_end());
                header.flags & tcp_flags::ACK != 0 && answers && !self.echoes_the_past(header)
            }
            // The client's RST answers something wild that claimed to be the server's; it still waits for the real
            // answer.
            (TcpState::SynSent, Direction::ToServer) => false,
            _ => self.half(direction).accepts_reset(header.seq),
        };
        if valid && self.apply(TcpEvent::Rst) {
            Verdict::Ignore
        } else {
            Verdict::Invalid
        }
    }

    fn open(&mut self, header: &TcpHeader, direction: Direction, budget: &mut Budget) {
        let depth = self.depth;
        self.half_mut(direction).start(header.seq, depth, budget);
        self.scale[direction as usize] = header.window_scale;
        self.recent_ts[direction as usize] = header.timestamps.map(|(value, _)| value);
    }

    fn syn(&mut self, header: &TcpHeader, direction: Direction, budget: &mut Budget) -> Verdict {
        if self.half(direction).started() && self.half(direction).isn() == header.seq {
            return Verdict::Accept;
        }
        match (self.state, direction) {
            (TcpState::Listen | TcpState::SynSent, Direction::ToServer) => {
                self.open(header, direction, budget);
                self.apply(TcpEvent::Syn);
                if self.early_ack.take() == Some(header.seq.wrapping_add(1)) {
                    self.apply(TcpEvent::SynAck);
                }
                Verdict::Accept
            }
            (TcpState::SynSent, Direction::ToClient) => {
                self.open(header, direction, budget);
                self.apply(TcpEvent::SynCrossed);
                Verdict::Accept
            }
            (_, Direction::ToServer) if self.established() => {
                self.new_isn = Some(header.seq);
                Verdict::Ignore
            }
            _ => Verdict::Invalid,
        }
    }

    fn syn_ack(&mut self, header: &TcpHeader, direction: Direction, budget: &mut Budget) -> Verdict {
        let peer = self.half(direction.flipped());
        // The peer's SYN, and perhaps data that came with it (RFC 7413), is what can be acknowledged now.
        let answers = peer.started() && seq::lt(peer.isn(), header.ack) && seq::le(header.ack, peer.max_end());
        match (self.state, direction) {
            (TcpState::SynSent, Direction::ToClient) if answers && !self.echoes_the_past(header) => {
                self.open(header, direction, budget);
                self.apply(TcpEvent::SynAck);
            }
            (TcpState::SynReceived, Direction::ToClient) if answers && self.half(direction).isn() != header.seq => {
                self.open(header, direction, budget);
            }
            (TcpState::Crossed, _) if answers => {
                self.apply(TcpEvent::SynAck);
            }
            (TcpState::SynReceived, Direction::ToServer) if answers => {
                self.apply(TcpEvent::Acked);
            }
            (TcpState::Listen, Direction::ToClient) if self.early_ack.is_some() => return Verdict::Accept,
            _ if self.half(direction).started() && self.half(direction).isn() == header.seq => {}
            (_, Direction::ToClient) if self.new_isn.is_some_and(|isn| header.ack == isn.wrapping_add(1)) => {
                return Verdict::NewConnection(header.ack.wrapping_sub(1));
            }
            _ => return Verdict::Invalid,
        }
        // Windows of SYN segments are never scaled (RFC 7323 section 2.2).
        self.half_mut(direction.flipped()).acknowledge(header.ack, u32::from(header.window));
        Verdict::Accept
    }

    fn acked(&mut self, header: &TcpHeader, direction: Direction, len: u32, budget: &mut Budget) -> Verdict {
        if !self.half(direction).started() && self.established() {
            // Midstream: the first packet of this direction.
            let depth = self.depth;
            self.half_mut(direction).start(header.seq.wrapping_sub(1), depth, budget);
        } else {
            let peer = self.half_mut(direction.flipped());
            let ack_sane = seq::le(header.ack, peer.limit()) || peer.catch_up(header.ack);
            let half = self.half_mut(direction);
            let in_window = half.in_window(header.seq, len);
            if !in_window {
                half.note_wild(header.seq.wrapping_add(len));
            }
            if !ack_sane || !in_window || self.is_stale(header, direction) {
                return Verdict::Invalid;
            }
        }
        let (half, peer) = (self.half(direction), self.half(direction.flipped()));
        match self.state {
            TcpState::Listen | TcpState::SynSent => return Verdict::Invalid,
            TcpState::SynReceived | TcpState::Crossed => {
                let answers = peer.started() && seq::lt(peer.isn(), header.ack);
                if !answers || seq::lt(header.seq, half.isn()) {
                    return Verdict::Invalid;
                }
                // The client's acknowledgement completes the handshake; so does data of the server, who must have had
                // it.
                if direction == Direction::ToServer || len > 0 || self.state == TcpState::Crossed {
                    self.apply(TcpEvent::Acked);
                }
            }
            _ => {}
        }
        let window = u32::from(header.window) << self.shift(direction);
        self.half_mut(direction.flipped()).acknowledge(header.ack, window);
        if header.flags & tcp_flags::FIN != 0 {
            self.half_mut(direction).finish_at(header.seq.wrapping_add(len));
        }
        Verdict::Accept
    }

    /// Scale of the windows this direction sends; scaling needs both sides' consent (RFC 7323 section 2.2).
    fn shift(&self, direction: Direction) -> u8 {
        match (self.scale[0], self.scale[1]) {
            (Some(_), Some(_)) => self.scale[direction as usize].map_or(0, |s| s.min(MAX_SCALE)),
            _ => 0,
        }
    }

    /// Protection against wrapped sequence numbers (RFC 7323 section 5.3): the timestamp is older than the last one in
    /// order.
    fn is_stale(&mut self, header: &TcpHeader, direction: Direction) -> bool {
        let expected = self.half(direction).next();
        let (Some(_), Some(_), Some((value, _))) = (self.recent_ts[0], self.recent_ts[1], header.timestamps) else {
            return false;
        };
        let recent = &mut self.recent_ts[direction as usize];
        let Some(last) = *recent else { return false };
        if seq::lt(value, last) {
            return true;
        }
        if seq::le(header.seq, expected) {
            *recent = Some(value);
        }
        false
    }

    /// After data was pushed: which directions have ended with this segment (told once each), and the state that
    /// follows.
    pub fn settle(&mut self) -> [bool; 2] {
        let mut ended = [false; 2];
        if self.halves[0].fin().is_none() && self.halves[1].fin().is_none() {
            return ended;
        }
        for direction in [Direction::ToServer, Direction::ToClient] {
            let i = direction as usize;
            if self.established() && !self.fin_told[i] && self.halves[i].at_end() {
                self.fin_told[i] = true;
                ended[i] = true;
                self.apply(event_for(direction));
            }
        }
        if self.state == TcpState::BothClosing
            && self.halves.iter().all(|h| h.fin().is_some_and(|fin| h.has_acked(fin)))
        {
            self.apply(TcpEvent::FinsAcked);
        }
        ended
    }

    /// Whether a direction was still open; it counts as ended from now on.
    pub fn end(&mut self, direction: Direction) -> bool {
        !std::mem::replace(&mut self.fin_told[direction as usize], true)
    }

    /// Give everything that waits back to the budget.
    pub fn release(&mut self, budget: &mut Budget) {
        self.halves.iter_mut().for_each(|half| half.release(budget));
    }
}

#[cfg(test)]
mod tests;
