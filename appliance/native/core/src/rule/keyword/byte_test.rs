//! `byte_test`: compares a number in the buffer with a value: `bytes,operator,value,offset` and options.

use super::number::{self, Field};
use super::{Keyword, Parsed, Value};
use crate::rule::check::{BufferCheck, Found, Reach, Window};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "byte_test", parse }];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
    And,
    /// Bits that differ. `^` of Suricata: true when the exclusive or is not zero.
    Xor,
}

#[derive(Debug)]
struct ByteTest {
    field: Field,
    negated: bool,
    operator: Operator,
    value: u64,
}

impl BufferCheck for ByteTest {
    fn find(&self, window: &Window<'_>, cursor: usize, _from: Option<usize>) -> Found {
        let Some((number, _)) = self.field.read(window, cursor) else { return Found::No };
        let holds = match self.operator {
            Operator::Less => number < self.value,
            Operator::AtMost => number <= self.value,
            Operator::Equal => number == self.value,
            Operator::AtLeast => number >= self.value,
            Operator::More => number > self.value,
            Operator::And => number & self.value != 0,
            Operator::Xor => number ^ self.value != 0,
        };
        if holds == self.negated {
            Found::No
        } else {
            Found::Holds
        }
    }

    fn reach(&self) -> Reach {
        if self.field.relative {
            Reach::Near
        } else {
            Reach::Free
        }
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let parts: Vec<&str> = value.text()?.split(',').map(str::trim).collect();
    let [bytes, operator, value, offset, words @ ..] = parts.as_slice() else {
        return Err("it is written bytes,operator,value,offset and options".into());
    };
    let (field, left) = number::field(bytes, offset, words.to_vec())?;
    if let Some(word) = left.first() {
        return Err(format!("`{word}` is not supported"));
    }
    let (negated, operator) = match operator.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, *operator),
    };
    let operator = match operator {
        "<" => Operator::Less,
        "<=" => Operator::AtMost,
        "=" => Operator::Equal,
        "" if negated => Operator::Equal,
        ">=" => Operator::AtLeast,
        ">" => Operator::More,
        "&" => Operator::And,
        "^" => Operator::Xor,
        other => return Err(format!("`{other}` is no operator; allowed are < <= = >= > & ^, with ! before it")),
    };
    let number = match value.strip_prefix("0x").or_else(|| value.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => value.parse(),
    };
    let value = number.map_err(|_| format!("`{value}` is no number"))?;
    let relative = field.relative;
    draft.add_placed_check(Box::new(ByteTest { field, negated, operator, value }), relative)
}
