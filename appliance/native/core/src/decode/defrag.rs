//! IP defragmentation (RFC 791 section 3.2, RFC 8200 section 4.5) for both versions, in bounded memory and time.
//!
//! Rules of this file: keys, limits and the clock; the work on one datagram is `datagram`'s. What is refused and why:
//! - past 65,535 bytes: ping of death; empty, or (IPv6) not a multiple of 8 before the end: no host takes it;
//! - IPv4, not a multiple of 8 before the end: cut down to one, as Linux does;
//! - an end that contradicts the one known: the first end told stays, so that a forged one cannot move it;
//! - more than [`MAX_PIECES`]: 64 KiB over a 576-byte path are 119; an 8-byte-fragment attack on one request stays below.
//!
//! Overlaps are put together by policy also over IPv6, where RFC 5722 lets hosts drop the datagram: seeing more is no harm.

use super::counters::{Counters, Reason};
use super::datagram::{Fit, Partial, MAX_DATAGRAM_BYTES};
use super::ip::{Datagram, Fragment};
use super::Config;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Pieces kept for one datagram.
const MAX_PIECES: usize = 1024;

/// Which bytes win where two fragments overlap. The names are those of the hosts that behave so (Novak, "Target-based
/// fragmentation reassembly", 2005).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// What came first.
    First,
    /// What came last.
    Last,
    /// The fragment that begins further left; of two that begin together, the first.
    #[default]
    Bsd,
    /// The fragment that begins further left; of two that begin together, the last.
    Linux,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    /// IPv4 only (RFC 791); 0 over IPv6, where the number may differ between fragments.
    proto: u8,
    vlan: [u16; 2],
}

/// What became of a fragment.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// Stored.
    Held,
    /// It was the last one missing: the whole datagram.
    Complete(&'a [u8]),
}

/// The incomplete datagrams.
#[derive(Debug)]
pub struct Defrag {
    policy: Overlap,
    memcap_bytes: usize,
    timeout_ns: u64,
    partials: HashMap<Key, Partial>,
    /// Keys in order of creation; entries of datagrams that are gone are skipped by their serial.
    queue: VecDeque<(Key, u64)>,
    memory_bytes: usize,
    next_serial: u64,
    whole: Vec<u8>,
}

impl Defrag {
    /// Empty.
    pub fn new(config: &Config) -> Self {
        Self {
            policy: config.overlap,
            memcap_bytes: config.defrag_memcap_bytes,
            timeout_ns: config.defrag_timeout_ns,
            partials: HashMap::new(),
            queue: VecDeque::new(),
            memory_bytes: 0,
            next_serial: 0,
            whole: Vec::new(),
        }
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Takes one fragment.
    #[inline(never)]
    pub fn insert(
        &mut self,
        now_ns: u64,
        vlan: [u16; 2],
        datagram: &Datagram<'_>,
        fragment: Fragment,
        counters: &mut Counters,
    ) -> Result<Outcome<'_>, Reason> {
        counters.fragments += 1;
        self.expire(now_ns, counters);
        let body = checked_body(datagram, fragment)?;
        let end = fragment.offset + body.len() as u32;
        let proto = if datagram.src.is_ipv4() { datagram.proto } else { 0 };
        let key = Key { src: datagram.src, dst: datagram.dst, id: fragment.id, proto, vlan };
        let partial = self.partials.entry(key).or_insert_with(|| {
            let partial = Partial::new(now_ns, self.next_serial);
            self.queue.push_back((key, self.next_serial));
            self.next_serial += 1;
            self.memory_bytes += partial.memory_bytes();
            partial
        });
        match partial.fit(fragment.offset, end, fragment.more) {
            Fit::Conflict => return Err(Reason::FragmentConflict),
            Fit::Duplicate => {
                counters.fragment_overlaps += 1;
                if matches!(self.policy, Overlap::First | Overlap::Bsd) {
                    return Ok(Outcome::Held);
                }
            }
            Fit::Overlap => counters.fragment_overlaps += 1,
            Fit::New => {}
        }
        if partial.pieces() == MAX_PIECES {
            return Err(Reason::FragmentLimit);
        }
        let before = partial.memory_bytes();
        partial.add(datagram, fragment, body);
        self.memory_bytes += partial.memory_bytes() - before;
        if partial.is_complete() {
            if let Some(mut partial) = self.remove(&key) {
                if !partial.assemble(self.policy, &mut self.whole) {
                    return Err(Reason::FragmentBad);
                }
                counters.reassembled += 1;
                return Ok(Outcome::Complete(&self.whole));
            }
        }
        self.shrink(counters);
        if self.partials.contains_key(&key) {
            Ok(Outcome::Held)
        } else {
            Err(Reason::FragmentLimit)
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Partial> {
        let partial = self.partials.remove(key)?;
        self.memory_bytes -= partial.memory_bytes();
        // Entries of completed datagrams must not pile up in the queue; swept when they are the majority.
        if self.queue.len() > 2 * self.partials.len() + 64 {
            let partials = &self.partials;
            self.queue.retain(|(key, serial)| partials.get(key).is_some_and(|partial| partial.serial == *serial));
        }
        Some(partial)
    }

    fn oldest(&mut self) -> Option<(Key, u64)> {
        while let Some(&(key, serial)) = self.queue.front() {
            match self.partials.get(&key) {
                Some(partial) if partial.serial == serial => return Some((key, partial.created_ns)),
                _ => self.queue.pop_front(),
            };
        }
        None
    }

    fn expire(&mut self, now_ns: u64, counters: &mut Counters) {
        while let Some((key, created_ns)) = self.oldest() {
            if now_ns.saturating_sub(created_ns) <= self.timeout_ns {
                return;
            }
            self.remove(&key);
            counters.datagrams_timed_out += 1;
        }
    }

    fn shrink(&mut self, counters: &mut Counters) {
        while self.memory_bytes > self.memcap_bytes {
            let Some((key, _)) = self.oldest() else {
                return;
            };
            self.remove(&key);
            counters.datagrams_evicted += 1;
        }
    }
}

/// The fragment's data, or why no datagram can have it.
fn checked_body<'a>(datagram: &Datagram<'a>, fragment: Fragment) -> Result<&'a [u8], Reason> {
    if datagram.cut {
        return Err(Reason::FragmentCut);
    }
    let mut body = datagram.body;
    if fragment.more && body.len() % 8 != 0 {
        if datagram.src.is_ipv6() {
            return Err(Reason::FragmentBad);
        }
        body = &body[..body.len() & !7];
    }
    // The IPv6 length field does not count the fixed header (RFC 8200 section 3).
    let counted = if datagram.src.is_ipv6() { fragment.header_len - 40 } else { fragment.header_len };
    if body.is_empty() || counted + fragment.offset as usize + body.len() > MAX_DATAGRAM_BYTES {
        return Err(Reason::FragmentBad);
    }
    Ok(body)
}
