//! Which rule is looked for where: rules cut into programs, programs sorted into groups, groups compiled for the prefilter.
//!
//! A program is one way a rule can be met (in the stream, in packets, in a transaction, by addresses alone). Programs are
//! numbered in the order of their rules, so ascending programs are judged in the rules' order.

pub mod addresses;
pub mod groups;
pub mod pattern;
pub mod places;

use super::header::EndTables;
use super::model::{stage_of, Rule};
use super::set::Options;
use crate::error::Result;
use crate::inspect::{AppProto, Direction, Stage};
use crate::prefilter::{self, Matcher, PatternSet};
use addresses::AddressTable;
use groups::{Group, GroupBuilder, PortedBuilder, PortedGroup};
use pattern::{bound_to_packet_start, choose, Among, FastPattern, Place};

/// Where a program is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// By addresses alone, once per flow and direction.
    Addresses,
    /// In each packet's headers.
    Packet,
    /// In each packet's payload.
    PacketPayload,
    /// In the reassembled stream.
    Stream,
    /// In the reassembled stream or the datagram, as one half of a rule whose other half is a transaction.
    PayloadHalf,
    /// In a transaction.
    Transaction,
    /// As soon as the flow's application protocol is known, once per direction.
    AppSeen,
}

/// One way a rule can be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Index of the rule.
    pub rule: u32,
    /// Where.
    pub scope: Scope,
    /// In which direction; `None` for both.
    pub direction: Option<Direction>,
    /// It has a fast pattern, so it becomes a candidate only where that occurs.
    pub filtered: bool,
    /// The last stage whose buffers it needs (transactions).
    pub stage: Stage,
}

/// Layer-4 protocols that packets are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketClass {
    /// TCP.
    Tcp = 0,
    /// UDP.
    Udp = 1,
    /// ICMP of both families.
    Icmp = 2,
    /// Anything else.
    Other = 3,
}

/// How many [`BufferId`] there are.
const BUFFERS: usize = 7;
/// How many [`Stage`] there are.
const STAGES: usize = 4;

/// The compiled plan of a rule set.
#[derive(Debug)]
pub struct Plan {
    /// All programs.
    pub programs: Vec<Program>,
    /// Packet programs by class and direction.
    pub packets: [[PortedGroup; 2]; 4],
    /// Stream programs by direction, and packet programs whose patterns are searched for along with theirs.
    pub streams: [PortedGroup; 2],
    /// Transaction programs by the buffer of their fast pattern.
    pub buffers: [Group; BUFFERS],
    /// Transaction programs without a fast pattern, by protocol (HTTP, DNS) and last stage.
    pub unfiltered: [[Vec<u32>; STAGES]; 2],
    /// Programs met when the application protocol is known.
    pub app_seen: Vec<u32>,
    /// Programs met by addresses alone.
    pub addresses: AddressTable,
    /// The compiled patterns of all groups.
    pub matcher: Box<dyn Matcher>,
}

/// Row of [`Plan::unfiltered`] for a protocol.
pub fn app_row(app: AppProto) -> Option<usize> {
    match app {
        AppProto::Http => Some(0),
        AppProto::Dns => Some(1),
        AppProto::Unknown | AppProto::Tls | AppProto::None => None,
    }
}

impl Plan {
    /// Cuts, sorts and compiles.
    ///
    /// # Errors
    /// The matcher fails.
    pub fn build(rules: &[Rule], ends: &EndTables, options: &Options) -> Result<Self> {
        let mut builder = Builder::new(rules, ends);
        for (index, rule) in rules.iter().enumerate() {
            builder.add(index as u32, rule);
        }
        builder.finish(options)
    }
}

struct Builder<'r> {
    rules: &'r [Rule],
    ends: &'r EndTables,
    programs: Vec<Program>,
    packets: [[PortedBuilder; 2]; 4],
    streams: [PortedBuilder; 2],
    buffers: [GroupBuilder; BUFFERS],
    unfiltered: [[Vec<u32>; STAGES]; 2],
    app_seen: Vec<u32>,
    addresses: Vec<u32>,
}

impl<'r> Builder<'r> {
    fn new(rules: &'r [Rule], ends: &'r EndTables) -> Self {
        Self {
            rules,
            ends,
            programs: Vec::with_capacity(rules.len()),
            packets: Default::default(),
            streams: Default::default(),
            buffers: Default::default(),
            unfiltered: Default::default(),
            app_seen: Vec::new(),
            addresses: Vec::new(),
        }
    }

    fn program(&mut self, rule: u32, scope: Scope, direction: Option<Direction>, stage: Stage) -> u32 {
        self.programs.push(Program { rule, scope, direction, filtered: false, stage });
        self.programs.len() as u32 - 1
    }

    fn add(&mut self, index: u32, rule: &Rule) {
        if rule.app_chains().next().is_some() {
            for way in ways(rule.flow.direction) {
                self.add_transaction(index, rule, way);
            }
        } else if rule.payload().is_some() {
            self.add_payload(index, rule);
        } else {
            self.add_bare(index, rule);
        }
    }

    fn add_transaction(&mut self, index: u32, rule: &Rule, direction: Direction) {
        let stage =
            rule.app_chains().map(|chain| stage_of(chain.buffer.resolve(direction))).max().unwrap_or(Stage::Request);
        let program = self.program(index, Scope::Transaction, Some(direction), stage);
        if let Some(pattern) = choose(rule, Among::Buffers) {
            self.programs[program as usize].filtered = true;
            let buffer = pattern.buffer.resolve(direction);
            // Searching a buffer's beginning besides the whole would cost more than it saves.
            let place = match pattern.place {
                Place::Head { .. } => Place::Anywhere,
                place => place,
            };
            self.buffers[buffer as usize].add(program, Some(&FastPattern { place, ..pattern }));
        } else if let Some(row) = rule.app.and_then(app_row) {
            self.unfiltered[row][stage as usize].push(program);
        }
        if rule.payload().is_some() {
            let half = self.program(index, Scope::PayloadHalf, Some(direction), stage);
            if rule.layer4.tcp {
                self.place_stream(half, rule, Some(direction));
            }
            if rule.layer4.udp {
                let pattern = choose(rule, Among::Payload);
                let group = &mut self.packets[PacketClass::Udp as usize][direction as usize];
                group.add(half, rule, self.ends, pattern.as_ref());
            }
        }
    }

    fn add_payload(&mut self, index: u32, rule: &Rule) {
        let packets_only = rule.packets_only || rule.flow.no_stream;
        let direction = rule.flow.direction;
        if rule.layer4.tcp && !packets_only {
            let program = self.program(index, Scope::Stream, direction, Stage::Request);
            self.place_stream(program, rule, direction);
        }
        let tcp_packets = rule.layer4.tcp && (packets_only || (bound_to_packet_start(rule) && !rule.flow.only_stream));
        let classes = classes(rule, tcp_packets);
        if !classes.is_empty() {
            let program = self.program(index, Scope::PacketPayload, direction, Stage::Request);
            let pattern = choose(rule, Among::Payload);
            self.programs[program as usize].filtered = pattern.is_some();
            for class in classes {
                for way in ways(direction) {
                    if let (PacketClass::Tcp, Some(searched)) = (class, searched_in_stream(pattern.as_ref())) {
                        self.streams[way as usize].add(program, rule, self.ends, Some(&searched));
                        continue;
                    }
                    let group = &mut self.packets[class as usize][way as usize];
                    group.add(program, rule, self.ends, pattern.as_ref());
                }
            }
        }
    }

    fn place_stream(&mut self, program: u32, rule: &Rule, direction: Option<Direction>) {
        let pattern = choose(rule, Among::Payload);
        self.programs[program as usize].filtered = pattern.is_some();
        for way in ways(direction) {
            self.streams[way as usize].add(program, rule, self.ends, pattern.as_ref());
        }
    }

    /// Rules without any buffer.
    fn add_bare(&mut self, index: u32, rule: &Rule) {
        let direction = rule.flow.direction;
        if rule.app.is_some() && rule.packet_checks.is_empty() {
            let program = self.program(index, Scope::AppSeen, direction, Stage::Request);
            self.app_seen.push(program);
            return;
        }
        let any_ports = [rule.ends.source_ports, rule.ends.destination_ports]
            .iter()
            .all(|&ports| self.ends.ports[ports as usize].is_any());
        let tests_bits = rule.flowbits.iter().any(|bit| !bit.tested().is_empty());
        if any_ports && rule.packet_checks.is_empty() && !rule.flow.needed && !tests_bits && !rule.packets_only {
            let program = self.program(index, Scope::Addresses, direction, Stage::Request);
            self.addresses.push(program);
            return;
        }
        let program = self.program(index, Scope::Packet, direction, Stage::Request);
        for class in classes(rule, rule.layer4.tcp) {
            for way in ways(direction) {
                self.packets[class as usize][way as usize].add(program, rule, self.ends, None);
            }
        }
    }

    fn finish(self, options: &Options) -> Result<Plan> {
        let mut sets: Vec<PatternSet> = Vec::new();
        let packets = self.packets.map(|ways| ways.map(|group| group.finish(&mut sets)));
        let streams = self.streams.map(|group| group.finish(&mut sets));
        let buffers = self.buffers.map(|group| group.finish(&mut sets));
        let addresses = AddressTable::build(&self.addresses, |program| {
            let ends = self.rules[self.programs[program as usize].rule as usize].ends;
            (&self.ends.addresses[ends.source as usize], &self.ends.addresses[ends.destination as usize])
        });
        let matcher = prefilter::build(&sets, options.matcher, options.cache_dir.as_deref())?;
        Ok(Plan {
            programs: self.programs,
            packets,
            streams,
            buffers,
            unfiltered: self.unfiltered,
            app_seen: self.app_seen,
            addresses,
            matcher,
        })
    }
}

/// A TCP packet's payload is searched once, with the patterns of the stream: the pattern of a packet program that has to be
/// searched for all over the payload stands among them.
fn searched_in_stream(pattern: Option<&FastPattern>) -> Option<FastPattern> {
    /// Shorter ones are found too often where they do not count.
    const MIN_BYTES: usize = 4;
    let pattern = pattern?;
    match pattern.place {
        Place::At { .. } => None,
        Place::Head { .. } if pattern.bytes.len() < MIN_BYTES => None,
        Place::Head { .. } | Place::Anywhere => Some(FastPattern { place: Place::Anywhere, ..pattern.clone() }),
    }
}

fn ways(direction: Option<Direction>) -> impl Iterator<Item = Direction> {
    [Direction::ToServer, Direction::ToClient].into_iter().filter(move |way| direction.is_none_or(|only| only == *way))
}

fn classes(rule: &Rule, tcp: bool) -> Vec<PacketClass> {
    let layer4 = rule.layer4;
    [
        (tcp, PacketClass::Tcp),
        (layer4.udp, PacketClass::Udp),
        (layer4.icmp4 || layer4.icmp6, PacketClass::Icmp),
        (layer4.other, PacketClass::Other),
    ]
    .into_iter()
    .filter_map(|(wanted, class)| wanted.then_some(class))
    .collect()
}
