//! Header fields as they came, with folded lines put together (RFC 9112 section 5).
//!
//! Rules: tolerant as servers are: a line without a colon is a field without a name, white space around names and
//! values is dropped, NUL bytes in names don't hide them. Bounded in number and bytes; what exceeds is refused.

use super::lines::{chomp, trim};

/// Most fields of a message (libhtp's limit).
const MAX_FIELDS: usize = 1024;
/// Most bytes of all fields of a message.
const MAX_BYTES: usize = 256 * 1024;

/// Too many fields or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

#[derive(Debug, Clone, Copy)]
struct Field {
    name: (u32, u32),
    value: (u32, u32),
}

/// The header fields of a message in order.
#[derive(Debug, Default)]
pub struct Headers {
    text: Vec<u8>,
    fields: Vec<Field>,
}

impl Headers {
    /// Add a line (with or without its end); one that begins with white space continues the field before it.
    ///
    /// With `lenient` (responses) a continuation that looks like a field is one, as browsers take it.
    pub fn add_line(&mut self, line: &[u8], lenient: bool) -> Result<(), TooMany> {
        let line = chomp(line);
        if self.text.len() + line.len() > MAX_BYTES {
            return Err(TooMany);
        }
        let folded = match line.first() {
            Some(b' ' | b'\t') => !(lenient && is_field(line)),
            Some(0) => lenient && !line.contains(&b':'),
            Some(_) => false,
            // Junk between fields.
            None => return Ok(()),
        };
        if folded && self.fold(line) {
            return Ok(());
        }
        if self.fields.len() >= MAX_FIELDS {
            return Err(TooMany);
        }
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (trim(&line[..colon]), trim(&line[colon + 1..])),
            None => (&[][..], trim(line)),
        };
        let name = self.append(name);
        let value = self.append(value);
        self.fields.push(Field { name, value });
        Ok(())
    }

    /// Continue the last field, whose value ends the text. A name may be folded before its colon too. False: there is
    /// none.
    fn fold(&mut self, line: &[u8]) -> bool {
        let Some(last) = self.fields.last_mut() else { return false };
        let nameless = last.name.0 == last.name.1;
        if let (true, Some(colon)) = (nameless, memchr::memchr(b':', line)) {
            // What looked like a value was the first part of the name.
            let more = trim(&line[..colon]);
            self.text.extend_from_slice(more);
            last.name = (last.value.0, self.text.len() as u32);
            self.text.extend_from_slice(trim(&line[colon + 1..]));
            last.value = (last.name.1, self.text.len() as u32);
            return true;
        }
        let more = trim(line);
        if last.value.0 != last.value.1 && !more.is_empty() {
            self.text.push(line[0]);
        }
        self.text.extend_from_slice(more);
        last.value.1 = self.text.len() as u32;
        true
    }

    fn append(&mut self, bytes: &[u8]) -> (u32, u32) {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(bytes);
        (start, self.text.len() as u32)
    }

    fn slice(&self, range: (u32, u32)) -> &[u8] {
        &self.text[range.0 as usize..range.1 as usize]
    }

    /// Values of all fields called `name` (in lower case).
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |f| same_name(self.slice(f.name), name.as_bytes())).map(|f| self.slice(f.value))
    }

    /// Value of the first field called `name` (in lower case).
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|f| same_name(self.slice(f.name), name.as_bytes())).map(|f| self.slice(f.value))
    }

    /// Values of all fields called `name`, joined by ", " when there are several.
    pub fn joined(&self, name: &str) -> Option<Vec<u8>> {
        let mut values = self.all(name);
        let mut joined = values.next()?.to_vec();
        for value in values {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(value);
        }
        Some(joined)
    }

    /// Whether some field called `name` contains `word` (in lower case).
    pub fn mentions(&self, name: &str, word: &str) -> bool {
        self.all(name).any(|value| contains(value, word.as_bytes()))
    }

    /// Forget all.
    pub fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.text.capacity() + self.fields.capacity() * std::mem::size_of::<Field>()
    }
}

/// Whether `name` is `wanted` (lower case), ignoring case and NUL bytes.
fn same_name(name: &[u8], wanted: &[u8]) -> bool {
    if name.len() < wanted.len() || (name.len() > wanted.len() && !name.contains(&0)) {
        return false;
    }
    name.iter().filter(|&&b| b != 0).map(u8::to_ascii_lowercase).eq(wanted.iter().copied())
}

/// Whether `value` contains `word` (lower case), ignoring case and NUL bytes.
pub fn contains(value: &[u8], word: &[u8]) -> bool {
    let found = |text: &[u8]| text.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word));
    if value.contains(&0) {
        let text: Vec<u8> = value.iter().copied().filter(|&b| b != 0).collect();
        return found(&text);
    }
    found(value)
}

/// Whether a line, white space before it left aside, begins with a token and a colon.
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let name = trim(&line[..colon]);
    !name.is_empty() && name.iter().all(|&b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&b))
}

/// The first number in a Content-Length value: junk before and after it is passed over, as browsers and libhtp do.
pub fn content_length(value: &[u8]) -> Option<u64> {
    let start = value.iter().position(u8::is_ascii_digit)?;
    let digits = value[start..].iter().take_while(|b| b.is_ascii_digit());
    digits.into_iter().try_fold(0_u64, |n, &b| n.checked_mul(10)?.checked_add(u64::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Headers {
        let mut headers = Headers::default();
        for line in text.split_inclusive('\n') {
            headers.add_line(line.as_bytes(), false).unwrap();
        }
        headers
    }

    #[test]
    fn fields_are_found_whatever_their_case_and_white_space() {
        let h = parse("Host: a\r\nUSER-agent \t:  b c \nX\0-Y: z\r\nno colon\r\nempty:\r\n");
        assert_eq!(h.get("host"), Some(&b"a"[..]));
        assert_eq!(h.get("user-agent"), Some(&b"b c"[..]));
        assert_eq!(h.get("x-y"), Some(&b"z"[..]));
        assert_eq!(h.get("empty"), Some(&b""[..]));
        assert_eq!(h.get("no colon"), None);
    }

    #[test]
    fn folded_lines_continue_the_field_before_them() {
        let h = parse("A: one\r\n two\r\n\tthree\r\nB:\r\n four\r\n");
        assert_eq!(h.get("a"), Some(&b"one two\tthree"[..]));
        assert_eq!(h.get("b"), Some(&b"four"[..]));
    }

    #[test]
    fn a_name_may_be_folded_before_its_colon() {
        let h = parse("Transfer-Encoding\r\n \r\n :\r\n chunked\r\nB: c\r\n");
        assert_eq!(h.get("transfer-encoding"), Some(&b"chunked"[..]));
        assert_eq!(h.get("b"), Some(&b"c"[..]));
    }

    #[test]
    fn in_responses_a_continuation_that_looks_like_a_field_is_one() {
        for (lenient, expected) in [(true, Some(&b"chunked"[..])), (false, None)] {
            let mut h = Headers::default();
            h.add_line(b"A: b\r\n", lenient).unwrap();
            h.add_line(b" Transfer-Encoding : chunked\r\n", lenient).unwrap();
            assert_eq!(h.get("transfer-encoding"), expected);
        }
        let mut h = Headers::default();
        h.add_line(b"A:\n", true).unwrap();
        h.add_line(b"\0chu\0nked\r\n", true).unwrap();
        assert!(h.mentions("a", "chunked"), "NUL bytes hide nothing");
    }

    #[test]
    fn repeated_fields_are_joined() {
        let h = parse("UA: one\r\nother: x\r\nua: two\r\n");
        assert_eq!(h.joined("ua").unwrap(), b"one, two");
        assert!(h.mentions("ua", "tw") && !h.mentions("ua", "three"));
    }

    #[test]
    fn a_flood_of_fields_is_refused() {
        let mut h = Headers::default();
        let added = (0..10_000).take_while(|_| h.add_line(b"a: b\r\n", false).is_ok()).count();
        assert_eq!(added, MAX_FIELDS);
        let mut h = Headers::default();
        let added = (0..1000).take_while(|_| h.add_line(&[b'x'; 16_000], false).is_ok()).count();
        assert!(added * 16_000 <= MAX_BYTES);
    }

    #[test]
    fn lengths_are_read_past_junk_and_never_overflow() {
        let cases: [(&[u8], Option<u64>); 6] = [
            (b"42", Some(42)),
            (b" +42 bytes", Some(42)),
            (b"1, 2", Some(1)),
            (b"", None),
            (b"none", None),
            (b"99999999999999999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(content_length(text), expected, "{text:?}");
        }
    }
}
