//! A number read out of a buffer: what `byte_test` and `byte_jump` have in common.

use crate::rule::check::Window;

/// How the number is written in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Bytes, the most significant first.
    Big,
    /// Bytes, the least significant first.
    Little,
    /// Digits to this base; 0 finds it by the prefixes `0x` and `0`.
    Digits(u32),
}

/// Where and how to read.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Number of bytes; 0 for as many digits as there are.
    pub bytes: usize,
    /// From the beginning, or from the match before.
    pub offset: i64,
    /// `relative`
    pub relative: bool,
    /// Form.
    pub form: Form,
    /// `bitmask`: kept bits, moved down to bit 0.
    pub mask: Option<u64>,
}

/// Most bytes of a binary number, and of digits (as Suricata allows for octal).
const MAX_BINARY: usize = 8;
const MAX_DIGITS: usize = 23;

impl Field {
    /// Reads it: the number, and the index behind what was read.
    pub fn read(&self, window: &Window<'_>, cursor: usize) -> Option<(u64, usize)> {
        let base = if self.relative { i64::try_from(cursor).ok()? } else { 0 };
        let start = usize::try_from(base + self.offset).ok()?;
        let bytes = match (self.form, self.bytes) {
            (Form::Digits(_), 0) => window.data.get(start..).map(|rest| &rest[..rest.len().min(MAX_DIGITS)])?,
            (_, count) => window.data.get(start..start.checked_add(count)?)?,
        };
        let (number, used) = match self.form {
            Form::Big => (bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), bytes.len()),
            Form::Little => (bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)), bytes.len()),
            Form::Digits(base) => digits(bytes, base)?,
        };
        let number = match self.mask {
            Some(mask) => (number & mask) >> mask.trailing_zeros().min(63),
            None => number,
        };
        Some((number, start + used))
    }
}

/// As strtoull reads: white space, an optional prefix, as many digits as there are.
fn digits(bytes: &[u8], base: u32) -> Option<(u64, usize)> {
    let mut at = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let rest = &bytes[at..];
    let prefixed = rest.len() > 2 && rest[0] == b'0' && rest[1].eq_ignore_ascii_case(&b'x');
    let base = match base {
        0 if prefixed => 16,
        0 if rest.first() == Some(&b'0') => 8,
        0 => 10,
        other => other,
    };
    if base == 16 && prefixed && char::from(rest[2]).is_ascii_hexdigit() {
        at += 2;
    }
    let begin = at;
    let mut number = 0_u64;
    while let Some(digit) = bytes.get(at).and_then(|byte| char::from(*byte).to_digit(base)) {
        number = number.checked_mul(u64::from(base))?.checked_add(u64::from(digit))?;
        at += 1;
    }
    (at > begin).then_some((number, at))
}

/// Takes the options that both keywords share out of `words`; answers what is left.
///
/// # Errors
/// Says what is wrong, or that the number of bytes does not go with the form.
pub fn field<'w>(bytes: &str, offset: &str, words: Vec<&'w str>) -> Result<(Field, Vec<&'w str>), String> {
    let bytes: usize = bytes.parse().map_err(|_| format!("`{bytes}` is no number of bytes"))?;
    let offset: i32 = offset.parse().map_err(|_| format!("`{offset}` is no offset"))?;
    let mut field = Field { bytes, offset: i64::from(offset), relative: false, form: Form::Big, mask: None };
    let (mut string, mut base) = (false, None);
    let mut left = Vec::new();
    for word in words {
        match word {
            "relative" => field.relative = true,
            "big" => field.form = Form::Big,
            "little" => field.form = Form::Little,
            "string" => string = true,
            "hex" => base = Some(16),
            "dec" => base = Some(10),
            "oct" => base = Some(8),
            "dce" => return Err("`dce` is not supported".into()),
            other => match other.strip_prefix("bitmask") {
                Some(mask) => field.mask = Some(mask_of(mask.trim())?),
                None => left.push(other),
            },
        }
    }
    if base.is_some() && !string {
        return Err("hex, dec and oct go with `string`".into());
    }
    if string {
        field.form = Form::Digits(base.unwrap_or(0));
    }
    let (least, most) = if string { (0, MAX_DIGITS) } else { (1, MAX_BINARY) };
    if !(least..=most).contains(&bytes) {
        return Err(format!("{bytes} bytes; allowed are {least} to {most}"));
    }
    Ok((field, left))
}

fn mask_of(text: &str) -> Result<u64, String> {
    let digits = text.trim_start_matches("0x").trim_start_matches("0X");
    match u64::from_str_radix(digits, 16) {
        Ok(mask) if mask != 0 => Ok(mask),
        _ => Err(format!("`{text}` is no bit mask in hexadecimal")),
    }
}
