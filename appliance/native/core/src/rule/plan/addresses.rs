//! Programs that addresses alone decide, found by a sorted table of address ranges instead of one by one.
//!
//! Each program stands under its narrower side (the address list of a blocklist rule, not the home network); what is wide on
//! both sides is kept apart and always a candidate. Candidates are checked in full by the caller.

use crate::rule::address::{key, mapped, AddressSet};
use std::net::IpAddr;

/// A side with more IPv4 addresses than this is wide: it would fill a large part of the table.
const WIDE_ADDRESSES: u64 = 1 << 24;

/// Most entries of one side's table (16 MiB). Ranges that overlap in ever new ways make their square of them; the widest
/// of those are kept apart then.
const MAX_ENTRIES: usize = 1 << 22;

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
        let by_source = Segments::within(MAX_ENTRIES, by_source, &mut wide);
        let by_destination = Segments::within(MAX_ENTRIES, by_destination, &mut wide);
        Self { by_source, by_destination, wide }
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

/// Addresses from the first to the last of a set: what it overlaps with.
fn span(set: &AddressSet) -> u128 {
    let ends = |low: Option<u128>, high: Option<u128>| high.unwrap_or(0) - low.unwrap_or(0);
    let v4 = ends(set.v4().first().map(|r| u128::from(r.0)), set.v4().last().map(|r| u128::from(r.1)));
    v4.max(ends(set.v6().first().map(|r| r.0), set.v6().last().map(|r| r.1)))
}

impl Segments {
    /// A table of at most `limit` entries; programs that do not fit go to `wide`, those that span most first.
    fn within(limit: usize, mut programs: Vec<(u32, &AddressSet)>, wide: &mut Vec<u32>) -> Self {
        programs.sort_by_key(|(_, set)| span(set));
        loop {
            if let Some(segments) = Self::build(&programs, limit) {
                return segments;
            }
            wide.extend(programs.drain(programs.len() / 2..).map(|(program, _)| program));
        }
    }

    fn build(programs: &[(u32, &AddressSet)], limit: usize) -> Option<Self> {
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
            if segments.programs.len() + open.len() > limit {
                return None;
            }
            segments.starts.push(start);
            segments.programs.extend_from_slice(&open);
            segments.offsets.push(segments.programs.len() as u32);
        }
        Some(segments)
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
    fn ranges_that_all_overlap_do_not_make_a_table_of_their_square() {
        let variables = Variables::default();
        let sets: Vec<AddressSet> = (0..400)
            .map(|n| AddressSet::parse(&format!("2001:db8::{n:x}-2001:db8::1:{:x}", 65_535 - n), &variables).unwrap())
            .collect();
        let programs: Vec<(u32, &AddressSet)> = (0..).zip(&sets).collect();
        let mut wide = Vec::new();
        let segments = Segments::within(1000, programs, &mut wide);
        assert!(segments.programs.len() <= 1000 && !segments.starts.is_empty());
        let table = AddressTable { by_source: segments, wide, ..AddressTable::default() };
        for text in ["2001:db8::0", "2001:db8::c8", "2001:db8::1:ff00", "2001:db8::2:0"] {
            let address: IpAddr = text.parse().unwrap();
            let mut found = Vec::new();
            table.candidates(address, address, &mut found);
            let all = (0..400).filter(|&program| sets[program as usize].contains(address));
            assert!(all.into_iter().all(|program| found.contains(&program)), "{text}: nothing is missed");
        }
    }

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
