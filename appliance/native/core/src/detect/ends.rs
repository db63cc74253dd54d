//! Addresses and ports of what is being judged, held against rule headers. Address lookups are remembered while the pair of
//! addresses stays the same: most rules of a set ask for the same few networks.

use crate::rule::header::{EndTables, EndsNeeded};
use crate::rule::model::Rule;
use std::net::IpAddr;

/// Source and destination in the direction of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Source address and port.
    pub src: (IpAddr, u16),
    /// Destination address and port.
    pub dst: (IpAddr, u16),
}

/// Remembers, for each address set, whether the current source and destination are in it.
#[derive(Debug, Default)]
pub struct EndsCache {
    pair: Option<(IpAddr, IpAddr)>,
    /// Entries made under another stamp are void.
    stamp: u32,
    /// For each address set: stamp and answer for source and destination.
    cells: Vec<[(u32, bool); 2]>,
}

impl EndsCache {
    /// Forgets everything, for a rule set with `sets` address sets.
    pub fn reset(&mut self, sets: usize) {
        self.pair = None;
        self.stamp = 0;
        self.cells = vec![[(0, false); 2]; sets];
    }

    /// Whether `ends` satisfy the header of `rule`.
    pub fn admit(&mut self, rule: &Rule, ends: &Ends, tables: &EndTables) -> bool {
        if self.admit_one_way(&rule.ends, ends, tables) {
            return true;
        }
        rule.both_ways && {
            let needed = &rule.ends;
            tables.ports[needed.source_ports as usize].contains(ends.dst.1)
                && tables.ports[needed.destination_ports as usize].contains(ends.src.1)
                && tables.addresses[needed.source as usize].contains(ends.dst.0)
                && tables.addresses[needed.destination as usize].contains(ends.src.0)
        }
    }

    fn admit_one_way(&mut self, needed: &EndsNeeded, ends: &Ends, tables: &EndTables) -> bool {
        tables.ports[needed.destination_ports as usize].contains(ends.dst.1)
            && tables.ports[needed.source_ports as usize].contains(ends.src.1)
            && self.address(needed.source, 0, ends, tables)
            && self.address(needed.destination, 1, ends, tables)
    }

    fn address(&mut self, set: u32, side: usize, ends: &Ends, tables: &EndTables) -> bool {
        let pair = (ends.src.0, ends.dst.0);
        if self.pair != Some(pair) {
            self.pair = Some(pair);
            if self.stamp == u32::MAX {
                self.reset(self.cells.len());
                self.pair = Some(pair);
            }
            self.stamp += 1;
        }
        let cell = &mut self.cells[set as usize][side];
        if cell.0 != self.stamp {
            let address = if side == 0 { pair.0 } else { pair.1 };
            *cell = (self.stamp, tables.addresses[set as usize].contains(address));
        }
        cell.1
    }
}
