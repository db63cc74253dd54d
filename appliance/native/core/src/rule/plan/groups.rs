//! Programs that are looked for together: one set of patterns, which programs each pattern stands for, and the programs
//! without a pattern. For payloads, groups by the ports that narrow rules name.

use super::pattern::{FastPattern, Place};
use super::places::{Places, PlacesBuilder};
use crate::prefilter::{Pattern, PatternSet};
use crate::rule::header::EndTables;
use crate::rule::model::Rule;
use std::collections::BTreeMap;

/// Programs that are looked for together.
#[derive(Debug, Default)]
pub struct Group {
    /// Patterns that may be anywhere.
    pub anywhere: Patterns,
    /// Patterns that lie in the first `head_bytes`.
    pub head: Patterns,
    /// Where the last of these ends at most.
    pub head_bytes: usize,
    /// Patterns that are compared in their place.
    pub places: Places,
    /// Programs without a pattern: always candidates.
    pub always: Vec<u32>,
}

/// Patterns of one set and what they stand for.
#[derive(Debug, Default)]
pub struct Patterns {
    /// The matcher's number for the set; `None` when there are none.
    pub set: Option<u32>,
    /// For each pattern, where its programs begin in `programs`; one more at the end.
    starts: Vec<u32>,
    programs: Vec<u32>,
}

impl Patterns {
    /// The programs a pattern stands for, ascending.
    pub fn programs_of(&self, pattern: u32) -> &[u32] {
        let at = pattern as usize;
        &self.programs[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    fn new(patterns: BTreeMap<Pattern, Vec<u32>>, sets: &mut Vec<PatternSet>) -> Self {
        if patterns.is_empty() {
            return Self::default();
        }
        let (mut starts, mut programs) = (vec![0], Vec::new());
        let mut set = PatternSet::default();
        for (pattern, of_pattern) in patterns {
            set.patterns.push(pattern);
            programs.extend(of_pattern);
            starts.push(programs.len() as u32);
        }
        sets.push(set);
        Self { set: Some(sets.len() as u32 - 1), starts, programs }
    }
}

impl Group {
    /// Whether it has no program at all.
    pub fn is_empty(&self) -> bool {
        self.anywhere.set.is_none() && self.head.set.is_none() && self.places.is_empty() && self.always.is_empty()
    }
}

/// A group being filled.
#[derive(Debug, Default, Clone)]
pub struct GroupBuilder {
    anywhere: BTreeMap<Pattern, Vec<u32>>,
    head: BTreeMap<Pattern, Vec<u32>>,
    head_bytes: usize,
    places: PlacesBuilder,
    always: Vec<u32>,
}

impl GroupBuilder {
    /// Adds a program with its fast pattern.
    pub fn add(&mut self, program: u32, pattern: Option<&FastPattern>) {
        let Some(pattern) = pattern else {
            self.always.push(program);
            return;
        };
        let nocase = pattern.nocase && pattern.bytes.iter().any(u8::is_ascii_alphabetic);
        let bytes = Pattern { bytes: pattern.bytes.clone(), nocase };
        match pattern.place {
            Place::Anywhere => self.anywhere.entry(bytes).or_default().push(program),
            Place::Head { end } => {
                self.head_bytes = self.head_bytes.max(end as usize);
                self.head.entry(bytes).or_default().push(program);
            }
            Place::At { first, count } => self.places.add(program, first, count, &bytes),
        }
    }

    /// Hands the patterns to the list of sets to compile.
    pub fn finish(self, sets: &mut Vec<PatternSet>) -> Group {
        let anywhere = Patterns::new(self.anywhere, sets);
        Group {
            anywhere,
            head: Patterns::new(self.head, sets),
            head_bytes: self.head_bytes,
            places: self.places.finish(),
            always: self.always,
        }
    }
}

/// Port sets up to this size make a rule narrow: it is looked for only where one of its ports occurs.
const NARROW_PORTS: usize = 1024;
/// A port that this many narrow rules name gets a group of its own.
const OWN_GROUP_RULES: usize = 8;
/// Most groups of single ports on one side.
const MAX_OWN_GROUPS: usize = 12;

/// A group for any port, and groups by destination or source port for narrow rules.
#[derive(Debug, Default)]
pub struct PortedGroup {
    any: Group,
    destination: SideGroups,
    source: SideGroups,
}

impl PortedGroup {
    /// The groups to look through for a packet with these ports; each program is in at most one of them.
    pub fn groups(&self, source: u16, destination: u16) -> impl Iterator<Item = &Group> {
        let all = [Some(&self.any), self.destination.group(destination), self.source.group(source)];
        all.into_iter().flatten().filter(|group| !group.is_empty())
    }
}

/// Groups of one side's ports.
#[derive(Debug, Default)]
struct SideGroups {
    /// At most [`MAX_OWN_GROUPS`], so going through them beats hashing.
    own: Vec<(u16, Group)>,
    rest: Group,
    /// One bit per port that a rule of `rest` names; empty when there is none.
    rest_ports: Vec<u64>,
}

impl SideGroups {
    fn group(&self, port: u16) -> Option<&Group> {
        if self.own.is_empty() && self.rest_ports.is_empty() {
            return None;
        }
        if let Some((_, own)) = self.own.iter().find(|(own, _)| *own == port) {
            return Some(own);
        }
        let word = self.rest_ports.get(usize::from(port) / 64)?;
        (word >> (port % 64) & 1 == 1).then_some(&self.rest)
    }
}

/// A ported group being filled: narrow programs wait until all are known and the busy ports show.
#[derive(Debug, Default)]
pub struct PortedBuilder {
    any: GroupBuilder,
    destination: Vec<Narrow>,
    source: Vec<Narrow>,
}

#[derive(Debug)]
struct Narrow {
    program: u32,
    ports: Vec<u16>,
    pattern: Option<FastPattern>,
}

impl PortedBuilder {
    /// Adds a program under the ports of its rule.
    pub fn add(&mut self, program: u32, rule: &Rule, ends: &EndTables, pattern: Option<&FastPattern>) {
        let narrow = |ports: u32| {
            let set = &ends.ports[ports as usize];
            (!rule.both_ways && set.count() <= NARROW_PORTS).then(|| set.iter().collect::<Vec<u16>>())
        };
        if let Some(ports) = narrow(rule.ends.destination_ports) {
            self.destination.push(Narrow { program, ports, pattern: pattern.cloned() });
        } else if let Some(ports) = narrow(rule.ends.source_ports) {
            self.source.push(Narrow { program, ports, pattern: pattern.cloned() });
        } else {
            self.any.add(program, pattern);
        }
    }

    /// Sorts the narrow programs by port and hands all patterns over.
    pub fn finish(self, sets: &mut Vec<PatternSet>) -> PortedGroup {
        PortedGroup {
            any: self.any.finish(sets),
            destination: side(self.destination, sets),
            source: side(self.source, sets),
        }
    }
}

fn side(narrow: Vec<Narrow>, sets: &mut Vec<PatternSet>) -> SideGroups {
    let mut rules_of_port: BTreeMap<u16, usize> = BTreeMap::new();
    for port in narrow.iter().flat_map(|narrow| &narrow.ports) {
        *rules_of_port.entry(*port).or_default() += 1;
    }
    let mut busy: Vec<(usize, u16)> = rules_of_port
        .iter()
        .map(|(port, rules)| (*rules, *port))
        .filter(|(rules, _)| *rules >= OWN_GROUP_RULES)
        .collect();
    busy.sort_by_key(|&(rules, port)| (std::cmp::Reverse(rules), port));
    busy.truncate(MAX_OWN_GROUPS);
    let mut own: BTreeMap<u16, GroupBuilder> =
        busy.into_iter().map(|(_, port)| (port, GroupBuilder::default())).collect();
    let mut rest = GroupBuilder::default();
    let mut rest_ports = Vec::new();
    for narrow in narrow {
        let mut in_rest = false;
        for port in &narrow.ports {
            if let Some(group) = own.get_mut(port) {
                group.add(narrow.program, narrow.pattern.as_ref());
                continue;
            }
            in_rest = true;
            rest_ports.resize(1024, 0_u64);
            rest_ports[usize::from(*port) / 64] |= 1 << (port % 64);
        }
        if in_rest {
            rest.add(narrow.program, narrow.pattern.as_ref());
        }
    }
    SideGroups {
        own: own.into_iter().map(|(port, group)| (port, group.finish(sets))).collect(),
        rest: rest.finish(sets),
        rest_ports,
    }
}
