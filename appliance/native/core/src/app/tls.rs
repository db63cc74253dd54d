//! TLS: recognised by its record header, followed record by record until encryption begins; not parsed.
//!
//! Source: RFC 8446 section 5.1, RFC 5246 section 6.2.1. From the first `ApplicationData` record (or `MAX_CLEAR_BYTES`) on, a
//! direction is opaque: scanning ciphertext finds nothing but chance. Not from `ChangeCipherSpec`: record headers behind it
//! still tell (heartbeats that ask for too much, RFC 6520), and Suricata's rules look at them.

use super::{AppContext, AppParser, Match, Probe, Protocol, Transport};
use crate::inspect::{AppProto, Direction};

/// Row in the table of protocols.
pub const PROTOCOL: Protocol =
    Protocol { app: AppProto::Tls, transport: Transport::Tcp, probe, new: || Box::<Tls>::default() };

const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// Handshakes with long certificate chains take a few KiB; what is still going on after this is not worth scanning.
const MAX_CLEAR_BYTES: u64 = 32 * 1024;

fn probe(probe: &Probe<'_>) -> Match {
    // type, major version 3, minor 0..=4, then the message: ClientHello (1) or ServerHello (2).
    let hello = if probe.direction == Direction::ToServer { 1 } else { 2 };
    let expected: [(usize, std::ops::RangeInclusive<u8>); 4] =
        [(0, HANDSHAKE..=HANDSHAKE), (1, 3..=3), (2, 0..=4), (5, hello..=hello)];
    for (index, range) in expected {
        match probe.data.get(index) {
            None => return Match::More,
            Some(byte) if !range.contains(byte) => return Match::No,
            Some(_) => {}
        }
    }
    Match::Yes
}

#[derive(Debug, Default)]
struct Records {
    header: [u8; 5],
    have: usize,
    body_left: usize,
    seen: u64,
    opaque: bool,
}

impl Records {
    fn data(&mut self, mut data: &[u8]) {
        self.seen += data.len() as u64;
        while !data.is_empty() && !self.opaque {
            if self.body_left > 0 {
                let n = self.body_left.min(data.len());
                self.body_left -= n;
                data = &data[n..];
                continue;
            }
            self.header[self.have] = data[0];
            self.have += 1;
            data = &data[1..];
            if self.have == 5 {
                self.have = 0;
                self.body_left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
                self.opaque = self.header[0] == APPLICATION_DATA;
            }
        }
        self.opaque |= self.seen > MAX_CLEAR_BYTES;
    }
}

#[derive(Debug, Default)]
struct Tls {
    directions: [Records; 2],
    counted: bool,
}

impl AppParser for Tls {
    fn data(&mut self, direction: Direction, data: &[u8], cx: &mut AppContext<'_>) {
        if !std::mem::replace(&mut self.counted, true) {
            cx.counters.tls_flows += 1;
        }
        self.directions[direction as usize].data(data);
    }

    fn gap(&mut self, direction: Direction, _len: u64, _cx: &mut AppContext<'_>) {
        // Record boundaries are lost; a handshake with holes is over soon.
        self.directions[direction as usize].opaque = true;
    }

    fn end(&mut self, _direction: Direction, _cx: &mut AppContext<'_>) {}

    fn finish(&mut self, _cx: &mut AppContext<'_>) {}

    fn memory(&self) -> usize {
        std::mem::size_of::<Self>()
    }

    fn opaque(&self, direction: Direction) -> bool {
        self.directions[direction as usize].opaque
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(data: &[u8]) -> Match {
        probe(&Probe { data, direction: Direction::ToServer, ports: (1, 443) })
    }

    #[test]
    fn a_client_hello_is_recognised_from_its_first_bytes() {
        let hello = [22, 3, 1, 1, 0, 1, 0, 0];
        assert_eq!(look(&hello), Match::Yes);
        for n in 0..6 {
            assert_eq!(look(&hello[..n]), Match::More, "{n}");
        }
        assert_eq!(look(&[22, 3, 9, 1, 0, 1]), Match::No);
        assert_eq!(look(b"GET / "), Match::No);
    }

    #[test]
    fn a_direction_turns_opaque_when_encryption_begins_however_it_is_split() {
        let mut stream = vec![22, 3, 3, 0, 4, 2, 0, 0, 0];
        stream.extend([23, 3, 3, 0, 1, 1]);
        for size in 1..stream.len() {
            let mut records = Records::default();
            let mut after = 0;
            for chunk in stream.chunks(size) {
                if !records.opaque {
                    after += chunk.len();
                }
                records.data(chunk);
            }
            assert!(records.opaque && after >= 14, "split by {size}: after {after}");
        }
    }
}
