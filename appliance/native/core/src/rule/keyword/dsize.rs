//! `dsize`: the size of a packet's payload; the rule looks at packets, not at the stream.

use super::compare::Compare;
use super::{Keyword, Parsed, Value};
use crate::packet::Packet;
use crate::rule::check::PacketCheck;
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "dsize", parse }];

#[derive(Debug)]
struct Dsize(Compare);

impl PacketCheck for Dsize {
    fn holds(&self, packet: &Packet<'_>) -> bool {
        // As Suricata has it, `!N` is a statement about a payload: where there is none, it does not hold.
        let not_empty = !matches!(self.0, Compare::Not(_)) || !packet.payload.is_empty();
        not_empty && self.0.holds(packet.payload.len() as u64)
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let compare = Compare::parse(value.text()?)?;
    draft.packets_only = true;
    draft.packet_checks.push(Box::new(Dsize(compare)));
    Ok(())
}
