//! DNS over UDP and TCP (RFC 1035): messages to transactions.
//!
//! Every message is a transaction of its own: a query reaches stage Request, an answer stage Response. Messages that
//! cannot be read are counted; on TCP they are skipped by their length prefix.

mod message;
mod name;
mod transaction;
mod types;

pub use message::{Malformed, Message};

use super::{AppContext, AppParser, Match, Probe, Protocol, Transport};
use crate::inspect::{AppProto, Direction, Stage};
use transaction::DnsTransaction;

/// Row in the table of protocols: one message per datagram.
pub const OVER_UDP: Protocol =
    Protocol { app: AppProto::Dns, transport: Transport::Udp, probe: probe_udp, new: || Box::new(Dns::new(false)) };
/// Row in the table of protocols: messages with a 16-bit length before each (RFC 1035 section 4.2.2).
pub const OVER_TCP: Protocol =
    Protocol { app: AppProto::Dns, transport: Transport::Tcp, probe: probe_tcp, new: || Box::new(Dns::new(true)) };

const PORT: u16 = 53;
/// Protocols that look like DNS and are not: `NetBIOS` name service, mDNS, LLMNR.
const LOOKALIKES: [u16; 3] = [137, 5353, 5355];

fn has_port(ports: (u16, u16), port: u16) -> bool {
    ports.0 == port || ports.1 == port
}

fn probe_udp(probe: &Probe<'_>) -> Match {
    if LOOKALIKES.iter().any(|&port| has_port(probe.ports, port)) {
        return Match::No;
    }
    let matches = if has_port(probe.ports, PORT) {
        message::plausible_header(probe.data)
    } else {
        message::is_unmistakable(probe.data, probe.direction)
    };
    if matches {
        Match::Yes
    } else {
        Match::No
    }
}

fn probe_tcp(probe: &Probe<'_>) -> Match {
    let Some((prefix, rest)) = probe.data.split_first_chunk::<2>() else { return Match::More };
    let len = usize::from(u16::from_be_bytes(*prefix));
    if len < message::HEADER_BYTES {
        return Match::No;
    }
    if rest.len() < message::HEADER_BYTES {
        return Match::More;
    }
    if !message::plausible_header(rest) {
        return Match::No;
    }
    if has_port(probe.ports, PORT) {
        return Match::Yes;
    }
    match rest.get(..len) {
        Some(whole) if message::is_unmistakable(whole, probe.direction) => Match::Yes,
        Some(_) => Match::No,
        None => Match::More,
    }
}

#[derive(Debug, Default)]
struct Framing {
    buffer: Vec<u8>,
    lost: bool,
}

/// A flow's parser.
#[derive(Debug)]
struct Dns {
    framed: bool,
    count: u64,
    directions: [Framing; 2],
}

impl Dns {
    fn new(framed: bool) -> Self {
        Self { framed, count: 0, directions: Default::default() }
    }

    fn message(&mut self, data: &[u8], cx: &mut AppContext<'_>) {
        match Message::parse(data) {
            Ok(message) => {
                cx.counters.dns_transactions += 1;
                cx.counters.dns_cut += u64::from(message.cut);
                let stage = if message.is_response() { Stage::Response } else { Stage::Request };
                let mut tx = DnsTransaction::new(self.count, message);
                self.count += 1;
                cx.sink.transaction(stage, &mut tx);
            }
            Err(Malformed) => cx.counters.dns_malformed += 1,
        }
    }

    fn framed_data(&mut self, direction: Direction, mut data: &[u8], cx: &mut AppContext<'_>) {
        let mut buffer = std::mem::take(&mut self.directions[direction as usize].buffer);
        while !data.is_empty() {
            if buffer.is_empty() {
                if let Some((whole, rest)) = split_message(data) {
                    self.message(whole, cx);
                    data = rest;
                    continue;
                }
            }
            // Never more than one message: 2 + 65,535 bytes.
            let wanted = buffer.first_chunk::<2>().map_or(2, |p| 2 + usize::from(u16::from_be_bytes(*p)));
            let n = (wanted - buffer.len()).min(data.len());
            if cx.memory_full {
                self.directions[direction as usize].lost = true;
                return;
            }
            buffer.extend_from_slice(&data[..n]);
            data = &data[n..];
            if let Some((whole, _)) = split_message(&buffer) {
                self.message(whole, cx);
                buffer.clear();
            }
        }
        self.directions[direction as usize].buffer = buffer;
    }
}

/// The first whole message of a framed stream, and what follows it.
fn split_message(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (prefix, rest) = data.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*prefix)))
}

impl AppParser for Dns {
    fn data(&mut self, direction: Direction, data: &[u8], cx: &mut AppContext<'_>) {
        if !self.framed {
            self.message(data, cx);
        } else if !self.directions[direction as usize].lost {
            self.framed_data(direction, data, cx);
        }
    }

    fn gap(&mut self, direction: Direction, _len: u64, _cx: &mut AppContext<'_>) {
        // The place of the next length prefix is unknown.
        self.directions[direction as usize] = Framing { buffer: Vec::new(), lost: true };
    }

    fn end(&mut self, direction: Direction, cx: &mut AppContext<'_>) {
        let framing = std::mem::take(&mut self.directions[direction as usize]);
        if !framing.buffer.is_empty() {
            cx.counters.dns_malformed += 1;
        }
    }

    fn finish(&mut self, cx: &mut AppContext<'_>) {
        self.end(Direction::ToServer, cx);
        self.end(Direction::ToClient, cx);
    }

    fn memory(&self) -> usize {
        std::mem::size_of::<Self>() + self.directions.iter().map(|d| d.buffer.capacity()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
