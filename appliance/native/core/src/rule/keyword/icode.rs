//! `icode`: the code of an ICMP message.

use super::compare::Compare;
use super::{Keyword, Parsed, Value};
use crate::packet::{Packet, L4};
use crate::rule::check::PacketCheck;
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "icode", parse }];

#[derive(Debug)]
struct Icode(Compare);

impl PacketCheck for Icode {
    fn holds(&self, packet: &Packet<'_>) -> bool {
        matches!(packet.l4, L4::Icmp { code, .. } if self.0.holds(u64::from(code)))
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let compare = Compare::parse(value.text()?)?;
    draft.packets_only = true;
    draft.packet_checks.push(Box::new(Icode(compare)));
    Ok(())
}
