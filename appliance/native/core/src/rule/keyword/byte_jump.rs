//! `byte_jump`: reads a number in the buffer and moves the point that relative checks count from by it:
//! `bytes,offset` and options.

use super::number::{self, Field};
use super::{Keyword, Parsed, Value};
use crate::rule::check::{BufferCheck, Found, Reach, Window};
use crate::rule::draft::Draft;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "byte_jump", parse }];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// Behind the number.
    Number,
    Beginning,
    End,
}

#[derive(Debug)]
struct ByteJump {
    field: Field,
    multiplier: u64,
    align: bool,
    from: From,
    post_offset: i64,
}

impl ByteJump {
    fn target(&self, window: &Window<'_>, cursor: usize) -> Option<usize> {
        let (number, behind) = self.field.read(window, cursor)?;
        let mut jump = number.checked_mul(self.multiplier)?;
        if self.align {
            jump = jump.checked_next_multiple_of(4)?;
        }
        let base = match self.from {
            From::Number => behind,
            From::Beginning => 0,
            From::End => window.data.len(),
        };
        let jump = i64::try_from(jump).ok()?.checked_add(self.post_offset)?;
        // A jump to before the beginning ends at the beginning, as in Suricata; one behind the end fails.
        let target = i64::try_from(base).ok()?.checked_add(jump)?.max(0);
        let target = usize::try_from(target).ok()?;
        (target <= window.data.len()).then_some(target)
    }
}

impl BufferCheck for ByteJump {
    fn find(&self, window: &Window<'_>, cursor: usize, _from: Option<usize>) -> Found {
        self.target(window, cursor).map_or(Found::No, Found::MovesTo)
    }

    fn reach(&self) -> Reach {
        if self.field.relative {
            Reach::Near
        } else {
            Reach::Free
        }
    }

    fn moves(&self) -> bool {
        true
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let parts: Vec<&str> = value.text()?.split(',').map(str::trim).collect();
    let [bytes, offset, words @ ..] = parts.as_slice() else {
        return Err("it is written bytes,offset and options".into());
    };
    let (field, left) = number::field(bytes, offset, words.to_vec())?;
    let mut jump = ByteJump { field, multiplier: 1, align: false, from: From::Number, post_offset: 0 };
    for word in left {
        let (name, value) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        let wrong = || format!("`{word}` is not supported or lacks its number");
        match name {
            "align" => jump.align = true,
            "from_beginning" => jump.from = From::Beginning,
            "from_end" => jump.from = From::End,
            "multiplier" => jump.multiplier = value.trim().parse::<u16>().map(u64::from).map_err(|_| wrong())?,
            "post_offset" => jump.post_offset = value.trim().parse::<i32>().map(i64::from).map_err(|_| wrong())?,
            _ => return Err(wrong()),
        }
    }
    let relative = jump.field.relative;
    draft.add_placed_check(Box::new(jump), relative)
}
