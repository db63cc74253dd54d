//! One DNS message: header, questions, and the answers an analyst wants to see (RFC 1035 section 4.1).
//!
//! Rules: bounded questions and answers; a message is read as far as its questions (an answer section that breaks off
//! is kept up to the break), anything worse is [`Malformed`].

use super::name::read_name;
use crate::inspect::Direction;

/// Length of the header.
pub const HEADER_BYTES: usize = 12;
/// Questions read; more than one is rare, a rule may look at each.
const MAX_QUESTIONS: usize = 32;
/// Text of all questions of a message: pointers make a few bytes stand for a name of a thousand, and each is searched.
const MAX_QUESTION_BYTES: usize = 4096;
/// Answers kept for the analyst.
const MAX_ANSWERS: usize = 16;

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const PTR: u16 = 12;
const AAAA: u16 = 28;

/// The message cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Dotted text without the last dot.
    pub name: Vec<u8>,
    /// Record type.
    pub rrtype: u16,
}

/// One answer that has a textual form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Record type.
    pub rrtype: u16,
    /// Address or name as text.
    pub data: Vec<u8>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Identifier.
    pub id: u16,
    /// The flags word.
    pub flags: u16,
    /// Questions.
    pub questions: Vec<Question>,
    /// Answers of the kinds A, AAAA, CNAME, NS and PTR.
    pub answers: Vec<Answer>,
    /// Questions were left out because they are too many or their text is too long.
    pub cut: bool,
}

fn word(data: &[u8], at: usize) -> Result<u16, Malformed> {
    data.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]])).ok_or(Malformed)
}

/// Whether the first 12 bytes can be a DNS header: a known opcode and a sane number of questions.
pub fn plausible_header(data: &[u8]) -> bool {
    let (Ok(flags), Ok(questions)) = (word(data, 2), word(data, 4)) else { return false };
    if data.len() < HEADER_BYTES {
        return false;
    }
    let opcode = flags >> 11 & 0xf;
    let is_response = flags & 0x8000 != 0;
    // RFC 5395 section 2.2: QUERY, IQUERY, STATUS, NOTIFY, UPDATE.
    matches!(opcode, 0..=2 | 4 | 5) && (1..=MAX_QUESTIONS as u16).contains(&questions)
        || (is_response && questions == 0 && opcode == 0)
}

/// Whether this is DNS beyond doubt, for ports that are not its own: one well-formed question of the Internet class
/// with a host name in it, and nothing left over in a query.
pub fn is_unmistakable(data: &[u8], direction: Direction) -> bool {
    let Ok(message) = Message::parse(data) else { return false };
    let [question] = message.questions.as_slice() else { return false };
    let Ok(behind) = read_name(data, HEADER_BYTES, &mut Vec::new()) else { return false };
    let (Ok(class), Ok(answers), Ok(additional)) = (word(data, behind + 2), word(data, 6), word(data, 10)) else {
        return false;
    };
    let host = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let query = !message.is_response();
    message.flags & 0x7840 == 0
        && class == 1
        && question.name.len() >= 3
        && question.name.iter().all(host)
        && question.name.contains(&b'.')
        && query == (direction == Direction::ToServer)
        && (!query || (answers == 0 && (additional > 0 || behind + 4 == data.len())))
}

impl Message {
    /// Read a message.
    pub fn parse(data: &[u8]) -> Result<Self, Malformed> {
        if data.len() < HEADER_BYTES {
            return Err(Malformed);
        }
        let counts = (usize::from(word(data, 4)?), usize::from(word(data, 6)?));
        let mut message =
            Self { id: word(data, 0)?, flags: word(data, 2)?, questions: Vec::new(), answers: Vec::new(), cut: false };
        let (mut at, mut text) = (HEADER_BYTES, 0);
        for _ in 0..counts.0.min(MAX_QUESTIONS) {
            let mut name = Vec::new();
            at = read_name(data, at, &mut name)?;
            let rrtype = word(data, at)?;
            word(data, at + 2)?;
            at += 4;
            text += name.len();
            if text > MAX_QUESTION_BYTES {
                message.cut = true;
                return Ok(message);
            }
            message.questions.push(Question { name, rrtype });
        }
        message.cut = counts.0 > MAX_QUESTIONS;
        if !message.cut {
            message.read_answers(data, at, counts.1.min(MAX_ANSWERS));
        }
        Ok(message)
    }

    fn read_answers(&mut self, data: &[u8], mut at: usize, count: usize) {
        for _ in 0..count {
            let Ok(end) = self.read_answer(data, at) else { return };
            at = end;
        }
    }

    fn read_answer(&mut self, data: &[u8], at: usize) -> Result<usize, Malformed> {
        let at = read_name(data, at, &mut Vec::new())?;
        let (rrtype, len) = (word(data, at)?, usize::from(word(data, at + 8)?));
        let start = at + 10;
        let rdata = data.get(start..start + len).ok_or(Malformed)?;
        let text = match rrtype {
            A => <[u8; 4]>::try_from(rdata).ok().map(|b| std::net::Ipv4Addr::from(b).to_string().into_bytes()),
            AAAA => <[u8; 16]>::try_from(rdata).ok().map(|b| std::net::Ipv6Addr::from(b).to_string().into_bytes()),
            CNAME | NS | PTR => {
                let mut name = Vec::new();
                read_name(data, start, &mut name).ok().map(|_| name)
            }
            _ => None,
        };
        if let Some(data) = text {
            self.answers.push(Answer { rrtype, data });
        }
        Ok(start + len)
    }

    /// Whether it is an answer.
    pub fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// The response code.
    pub fn rcode(&self) -> u8 {
        (self.flags & 0xf) as u8
    }
}
