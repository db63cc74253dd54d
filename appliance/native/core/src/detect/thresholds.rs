//! The counters behind `threshold`: how often each rule has matched per tracked key, by packet time, in bounded memory.
//!
//! When the table is full the counters that began longest ago go first. Keys name rules by number, so counters outlive a
//! change of the rule set.

use super::ends::Ends;
use crate::rule::keyword::threshold::{Counter, Threshold, Track};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Most counters: about 8 MiB.
const MAX_COUNTERS: usize = 65_536;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tracked {
    Address(IpAddr),
    Pair(IpAddr, IpAddr),
    Flow(u64),
    Rule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    rule: (u32, u32),
    tracked: Tracked,
}

/// The counters.
#[derive(Debug, Default)]
pub struct Thresholds {
    counters: HashMap<Key, Counter>,
    /// Keys in the order in which they came, for eviction.
    order: VecDeque<Key>,
}

impl Thresholds {
    /// Counts one match of rule (gid, sid) and says whether to tell it.
    pub fn tell(&mut self, rule: (u32, u32), threshold: &Threshold, ends: &Ends, flow_id: u64, now_ns: u64) -> bool {
        let tracked = match threshold.track {
            Track::Source => Tracked::Address(ends.src.0),
            Track::Destination => Tracked::Address(ends.dst.0),
            // The two directions of a conversation count together, as in Suricata.
            Track::Both => Tracked::Pair(ends.src.0.min(ends.dst.0), ends.src.0.max(ends.dst.0)),
            Track::Flow => Tracked::Flow(flow_id),
            Track::Rule => Tracked::Rule,
        };
        let key = Key { rule, tracked };
        let mut counter = self.counters.get(&key).copied();
        let fresh = counter.is_none();
        let tell = threshold.step(&mut counter, now_ns);
        if let Some(counter) = counter {
            self.counters.insert(key, counter);
        }
        if fresh {
            self.order.push_back(key);
            if self.order.len() > MAX_COUNTERS {
                if let Some(oldest) = self.order.pop_front() {
                    self.counters.remove(&oldest);
                }
            }
        }
        tell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::keyword::threshold::Kind;

    #[test]
    fn a_flood_of_sources_stays_in_bounds_and_keeps_counting() {
        let threshold = Threshold { kind: Kind::Limit, track: Track::Source, count: 1, period_ns: u64::MAX };
        let mut thresholds = Thresholds::default();
        let ends =
            |number: u32| Ends { src: (IpAddr::from(number.to_be_bytes()), 1), dst: (IpAddr::from([9, 9, 9, 9]), 2) };
        for number in 0..200_000 {
            assert!(thresholds.tell((1, 1), &threshold, &ends(number), 0, 0));
        }
        assert_eq!(thresholds.counters.len(), MAX_COUNTERS);
        assert_eq!(thresholds.order.len(), MAX_COUNTERS);
        assert!(!thresholds.tell((1, 1), &threshold, &ends(199_999), 0, 0));
        assert!(thresholds.tell((1, 2), &threshold, &ends(199_999), 0, 0));
    }
}
