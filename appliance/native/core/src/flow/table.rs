//! The flow table: a slab of flows, an index by keyed hash, and one list per timeout class in order of last use.
//!
//! Invariants: every flow is in the index once and in exactly one list; lists are ordered by `last_ns`, so that the
//! flows to expire are at their heads and nothing is ever scanned. The caller makes room (`is_full`,
//! `eviction_candidate`) before it inserts and takes expired flows out itself (`next_expired`), so that it can tell the
//! layers above.

use super::entry::Flow;
use super::key::FlowKey;
use super::timeout::{class, timeout_ns, Proto, State, CLASSES, EVICTION_ORDER};
use crate::packet::Packet;
use hashbrown::HashTable;

/// Place of a flow in the table; valid until the flow is removed.
pub type Slot = u32;
const NIL: Slot = u32::MAX;

#[derive(Clone, Copy)]
struct List {
    head: Slot,
    tail: Slot,
}

/// Flows by key.
pub struct FlowTable<T> {
    slab: Vec<Option<Box<Flow<T>>>>,
    free: Vec<Slot>,
    index: HashTable<Slot>,
    lists: [List; CLASSES],
    capacity: usize,
    seed: u64,
    created: u64,
}

impl<T> FlowTable<T> {
    /// A table of at most `memcap_bytes`, its hash keyed by `seed`.
    pub fn new(memcap_bytes: usize, per_flow_bytes: usize, seed: u64) -> Self {
        // Slab entry, index entry with its control byte at a load of 7/8, free list entry.
        let overhead = std::mem::size_of::<Option<Box<Flow<T>>>>() + 10;
        let each = std::mem::size_of::<Flow<T>>() + overhead + per_flow_bytes;
        Self {
            slab: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            lists: [List { head: NIL, tail: NIL }; CLASSES],
            capacity: (memcap_bytes / each).clamp(1, NIL as usize - 1),
            seed,
            created: 0,
        }
    }

    /// Number of flows.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no flow.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Flows that fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Flows created since the start.
    pub fn created(&self) -> u64 {
        self.created
    }

    /// Whether one must go before the next can come.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.index.len() >= self.capacity
    }

    /// Hash of a key in this table.
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> u64 {
        key.hash(self.seed)
    }

    /// The flow with this key.
    #[inline]
    pub fn find(&self, hash: u64, key: &FlowKey) -> Option<Slot> {
        let slab = &self.slab;
        self.index.find(hash, |&slot| slab[slot as usize].as_ref().is_some_and(|f| f.key == *key)).copied()
    }

    /// The flow at `slot`.
    ///
    /// # Panics
    /// When the slot is empty: the caller kept a slot beyond `remove`.
    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> &mut Flow<T> {
        self.slab[slot as usize].as_mut().expect("slot of a living flow")
    }

    /// A new flow for `packet`, whose source is the client unless `reversed`. The caller has made room.
    pub fn insert(
        &mut self,
        hash: u64,
        key: FlowKey,
        packet: &Packet<'_>,
        reversed: bool,
        forward: bool,
        data: T,
    ) -> Slot {
        let (sport, dport) = packet.ports();
        let (src, dst) = ((packet.src, sport), (packet.dst, dport));
        let flow = Box::new(Flow {
            key,
            id: key.id(self.seed, packet.ts_ns, self.created),
            client_is_low: forward != reversed,
            client: if reversed { dst } else { src },
            server: if reversed { src } else { dst },
            proto: packet.proto,
            first_ns: packet.ts_ns,
            last_ns: packet.ts_ns,
            source: packet.source,
            seen: [false; 2],
            data,
            hash,
            state: State::New,
            class: class(Proto::of(packet.proto), State::New),
            prev: NIL,
            next: NIL,
        });
        self.created += 1;
        let slot = if let Some(slot) = self.free.pop() {
            self.slab[slot as usize] = Some(flow);
            slot
        } else {
            self.slab.push(Some(flow));
            self.slab.len() as Slot - 1
        };
        let slab = &self.slab;
        self.index.insert_unique(hash, slot, |&s| slab[s as usize].as_ref().map_or(0, |f| f.hash));
        self.append(slot);
        slot
    }

    /// Note use at `now_ns` in `state`; the flow moves to the end of its class.
    #[inline]
    pub fn touch(&mut self, slot: Slot, now_ns: u64, state: State) {
        let flow = self.slab[slot as usize].as_mut().expect("slot of a living flow");
        flow.last_ns = now_ns;
        let class = class(Proto::of(flow.proto), state);
        if flow.class == class && flow.next == NIL {
            return;
        }
        self.unlink(slot);
        let flow = self.get_mut(slot);
        flow.state = state;
        flow.class = class;
        self.append(slot);
    }

    /// Whether the flow's silence has exceeded its timeout.
    #[inline]
    pub fn is_expired(&self, slot: Slot, now_ns: u64) -> bool {
        self.slab[slot as usize].as_ref().is_some_and(|f| now_ns.saturating_sub(f.last_ns) > timeout_ns(f.class))
    }

    /// A flow whose timeout has passed, in order of class and last use.
    pub fn next_expired(&self, now_ns: u64) -> Option<Slot> {
        self.lists.iter().map(|l| l.head).find(|&head| head != NIL && self.is_expired(head, now_ns))
    }

    /// The flow to give up for a new one: the longest unused in the least established state.
    pub fn eviction_candidate(&self) -> Option<Slot> {
        EVICTION_ORDER.iter().find_map(|&state| {
            [Proto::Tcp, Proto::Udp, Proto::Icmp, Proto::Other]
                .into_iter()
                .map(|proto| self.lists[usize::from(class(proto, state))].head)
                .filter(|&head| head != NIL)
                .min_by_key(|&head| self.slab[head as usize].as_ref().map_or(0, |f| f.last_ns))
        })
    }

    /// Any flow, the longest unused of the first class that has one: for the end of input.
    pub fn first(&self) -> Option<Slot> {
        self.lists.iter().map(|l| l.head).find(|&head| head != NIL)
    }

    /// Take a flow out.
    pub fn remove(&mut self, slot: Slot) -> Box<Flow<T>> {
        self.unlink(slot);
        let flow = self.slab[slot as usize].take().expect("slot of a living flow");
        self.free.push(slot);
        if let Ok(entry) = self.index.find_entry(flow.hash, |&s| s == slot) {
            entry.remove();
        }
        flow
    }

    /// Take a flow out of its slot for a while, to work on it with the table at hand; [`FlowTable::lower`] puts it
    /// back. Between the two the table must not be asked for this flow.
    pub fn lift(&mut self, slot: Slot) -> Box<Flow<T>> {
        self.slab[slot as usize].take().expect("slot of a living flow")
    }

    /// Put a lifted flow back.
    pub fn lower(&mut self, slot: Slot, flow: Box<Flow<T>>) {
        self.slab[slot as usize] = Some(flow);
    }

    fn append(&mut self, slot: Slot) {
        let class = usize::from(self.get_mut(slot).class);
        let tail = self.lists[class].tail;
        let flow = self.get_mut(slot);
        flow.prev = tail;
        flow.next = NIL;
        if tail == NIL {
            self.lists[class].head = slot;
        } else {
            self.get_mut(tail).next = slot;
        }
        self.lists[class].tail = slot;
    }

    fn unlink(&mut self, slot: Slot) {
        let flow = self.get_mut(slot);
        let (prev, next, class) = (flow.prev, flow.next, usize::from(flow.class));
        if prev == NIL {
            self.lists[class].head = next;
        } else {
            self.get_mut(prev).next = next;
        }
        if next == NIL {
            self.lists[class].tail = prev;
        } else {
            self.get_mut(next).prev = prev;
        }
    }
}

#[cfg(test)]
mod tests;
