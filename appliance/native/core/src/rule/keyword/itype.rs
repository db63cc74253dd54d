//! `itype`: the type of an ICMP message.

use super::compare::Compare;
use super::{Keyword, Parsed, Value};
use crate::packet::{Packet, L4};
use crate::rule::check::PacketCheck;
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "itype", parse }];

#[derive(Debug)]
struct Itype(Compare);

impl PacketCheck for Itype {
    fn holds(&self, packet: &Packet<'_>) -> bool {
        matches!(packet.l4, L4::Icmp { kind, .. } if self.0.holds(u64::from(kind)))
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let compare = Compare::parse(value.text()?)?;
    draft.packets_only = true;
    draft.packet_checks.push(Box::new(Itype(compare)));
    Ok(())
}
