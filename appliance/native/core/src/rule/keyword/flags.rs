//! `tcp.flags` (old spelling `flags`): the flag bits of a TCP header: exactly these, with `+` these and any others, with `*` any
//! of these, with `!` not all of these; behind a comma, bits that are left out of account.

use super::{Keyword, Parsed, Value};
use crate::packet::{tcp_flags, Packet, L4};
use crate::rule::check::PacketCheck;
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "flags", parse }, Keyword { name: "tcp.flags", parse }];

/// Congestion window reduced, and the ECN echo (RFC 3168 section 6.1).
const CWR: u8 = 0x80;
const ECE: u8 = 0x40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Exactly,
    All,
    Any,
    Not,
}

#[derive(Debug)]
struct Flags {
    mode: Mode,
    wanted: u8,
    ignored: u8,
}

impl PacketCheck for Flags {
    fn holds(&self, packet: &Packet<'_>) -> bool {
        let L4::Tcp(header) = packet.l4 else { return false };
        let flags = header.flags & !self.ignored;
        match self.mode {
            Mode::Exactly => flags == self.wanted,
            Mode::All => flags & self.wanted == self.wanted,
            Mode::Any => flags & self.wanted != 0,
            Mode::Not => flags & self.wanted != self.wanted,
        }
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let text = value.text()?;
    let (text, ignored) = match text.split_once(',') {
        Some((text, ignored)) => (text, bits(ignored.trim())?),
        None => (text, 0),
    };
    let mut mode = Mode::Exactly;
    let mut letters = String::new();
    for letter in text.chars().filter(|letter| !letter.is_whitespace()) {
        let named = match letter {
            '+' => Mode::All,
            '*' => Mode::Any,
            '!' => Mode::Not,
            _ => {
                letters.push(letter);
                continue;
            }
        };
        if mode != Mode::Exactly {
            return Err("it takes one of + * !".into());
        }
        mode = named;
    }
    let wanted = bits(&letters)?;
    draft.packets_only = true;
    draft.packet_checks.push(Box::new(Flags { mode, wanted, ignored }));
    Ok(())
}

fn bits(letters: &str) -> Result<u8, String> {
    if letters.is_empty() {
        return Err("it names no flag".into());
    }
    letters.chars().try_fold(0, |bits, letter| {
        let bit = match letter.to_ascii_uppercase() {
            'F' => tcp_flags::FIN,
            'S' => tcp_flags::SYN,
            'R' => tcp_flags::RST,
            'P' => tcp_flags::PSH,
            'A' => tcp_flags::ACK,
            'U' => tcp_flags::URG,
            '1' | 'C' => CWR,
            '2' | 'E' => ECE,
            '0' => 0,
            other => return Err(format!("`{other}` is no flag; allowed are F S R P A U C E 1 2 0")),
        };
        Ok(bits | bit)
    })
}
