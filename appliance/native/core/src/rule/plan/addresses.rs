//! Programs that addresses alone decide, found by a sorted table of address ranges instead of one by one.
//!
//! Each program stands under its narrower side (the address list of a blocklist rule, not the home network); what is wide on
//! both sides is kept apart and always a candidate. Candidates are checked in full by the caller.

use crate::rule::address::{key, mapped, AddressSet};
use std::net::IpAddr;

/// A side with more IPv4 addresses than this is wide: it would fill a large part of the table.
const WIDE_ADDRESSES: u64 = 1 << 24;

/// The table.
#[derive(Debug, Default)]
pub struct AddressTable {
    by_source: Segments,
    by_destination: Segments,
    wide: Vec<u32>,
}

/// Ranges of addresses (IPv4 mapped into IPv6) with the programs that hold there.
#[derive(Debug, Default)]
struct Segments {
    /// First key of each segment, ascending; a segment ends where the next begins.
    starts: Vec<u128>,
    /// For each segment, where its programs begin in `programs`; one more at the end.
    offsets: Vec<u32>,
    programs: Vec<u32>,
}

impl AddressTable {
    /// Sorts the programs; `sides` gives a program's source and destination addresses.
    pub fn build<'s>(programs: &[u32], sides: impl Fn(u32) -> (&'s AddressSet, &'s AddressSet)) -> Self {
        let (mut by_source, mut by_destination, mut wide) = (Vec::new(), Vec::new(), Vec::new());
        for &program in programs {
            let (source, destination) = sides(program);
            let (breadth_source, breadth_destination) = (breadth(source), breadth(destination));
            if breadth_source.min(breadth_destination) > WIDE_ADDRESSES {
                wide.push(program);
            } else if breadth_source <= breadth_destination {
                by_source.push((program, source));
            } else {
                by_destination.push((program, destination));
            }
        }
        Self { by_source: Segments::build(&by_source), by_destination: Segments::build(&by_destination), wide }
    }

    /// Appends the candidates for a packet, unsorted.
    pub fn candidates(&self, source: IpAddr, destination: IpAddr, into: &mut Vec<u32>) {
        into.extend_from_slice(&self.wide);
        into.extend_from_slice(self.by_source.at(key(source)));
        into.extend_from_slice(self.by_destination.at(key(destination)));
    }

    /// Whether it has no program at all.
    pub fn is_empty(&self) -> bool {
        self.wide.is_empty() && self.by_source.starts.is_empty() && self.by_destination.starts.is_empty()
    }
}

/// Number of IPv4 addresses, or 2^40 for IPv6 ranges wider than a /64.
fn breadth(set: &AddressSet) -> u64 {
    let v4: u64 = set.v4().iter().map(|&(low, high)| u64::from(high - low) + 1).sum();
    let v6_wide = set.v6().iter().any(|&(low, high)| high - low > u128::from(u64::MAX));
    if v6_wide {
        1 << 40
    } else {
        v4
    }
}

impl Segments {
    fn build(programs: &[(u32, &AddressSet)]) -> Self {
        // Each range opens its program at its first key and closes it behind its last one.
        let mut events: Vec<(u128, bool, u32)> = Vec::new();
        for &(program, set) in programs {
            let v4 = set.v4().iter().map(|&(low, high)| (mapped(low), mapped(high)));
            for (low, high) in v4.chain(set.v6().iter().copied()) {
                events.push((low, true, program));
                if let Some(behind) = high.checked_add(1) {
                    events.push((behind, false, program));
                }
            }
        }
        events.sort_unstable();
        let mut segments = Self { offsets: vec![0], ..Self::default() };
        // A program may be open more than once: an IPv6 range can contain the mapped IPv4 block.
        let mut open: Vec<u32> = Vec::new();
        let mut at = 0;
        while at < events.len() {
            let start = events[at].0;
            while at < events.len() && events[at].0 == start {
                let (_, opens, program) = events[at];
                if opens {
                    open.push(program);
                } else if let Some(found) = open.iter().position(|other| *other == program) {
                    open.swap_remove(found);
                }
                at += 1;
            }
            segments.starts.push(start);
            segments.programs.extend_from_slice(&open);
            segments.offsets.push(segments.programs.len() as u32);
        }
        segments
    }

    fn at(&self, key: u128) -> &[u32] {
        match self.starts.partition_point(|start| *start <= key) {
            0 => &[],
            behind => &self.programs[self.offsets[behind - 1] as usize..self.offsets[behind] as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::vars::Variables;

    #[test]
    fn the_table_finds_what_going_through_all_sets_finds() {
        let variables = Variables::default();
        let sets: Vec<AddressSet> =
            ["10.0.0.0/24", "[10.0.0.5,10.0.0.7-10.0.0.9,2001:db8::/64]", "any", "$HOME_NET", "10.0.0.255"]
                .iter()
                .map(|text| AddressSet::parse(text, &variables).unwrap())
                .collect();
        let pairs: Vec<(usize, usize)> = (0..25).map(|at| (at / 5, at % 5)).collect();
        let programs: Vec<u32> = (0..25).collect();
        let sides = |program: u32| (&sets[pairs[program as usize].0], &sets[pairs[program as usize].1]);
        let table = AddressTable::build(&programs, sides);
        let addresses =
            ["10.0.0.0", "10.0.0.5", "10.0.0.6", "10.0.0.8", "10.0.0.255", "10.0.1.0", "8.8.8.8", "2001:db8::1", "::1"];
        for source in addresses {
            for destination in addresses {
                let (source, destination): (IpAddr, IpAddr) = (source.parse().unwrap(), destination.parse().unwrap());
                let mut found = Vec::new();
                table.candidates(source, destination, &mut found);
                found.retain(|&program| sides(program).0.contains(source) && sides(program).1.contains(destination));
                found.sort_unstable();
                let all: Vec<u32> = programs
                    .iter()
                    .copied()
                    .filter(|&program| sides(program).0.contains(source) && sides(program).1.contains(destination))
                    .collect();
                assert_eq!(found, all, "{source} {destination}");
            }
        }
    }
}
