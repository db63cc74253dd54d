//! A rule file's text, cut into logical lines and a rule's text cut into header and options. No meaning is given here.
//!
//! Bytes that are not UTF-8 are kept: rules are matched against bytes, so a line is read as Latin-1 when it is not UTF-8.

/// Longest logical line; Suricata reads lines into a buffer of 8 KiB and refuses longer ones, address lists of today are
/// longer, so the limit is wider here and only bounds memory.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// One logical line: lines that end in a backslash are joined with the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Number of its first physical line, from 1.
    pub number: u32,
    /// Text without the joining backslashes, without surrounding white space.
    pub text: String,
}

/// Cuts a file into logical lines; empty lines and comments (`#`) are left out.
///
/// A comment that ends in a backslash swallows the next line, as in Suricata.
pub fn logical_lines(file: &[u8]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut pending = String::new();
    let mut first = 0;
    for (index, raw) in file.split(|&byte| byte == b'\n').enumerate() {
        let text = match std::str::from_utf8(raw) {
            Ok(text) => text.to_owned(),
            Err(_) => raw.iter().map(|&byte| char::from(byte)).collect(),
        };
        let text = text.trim();
        if pending.is_empty() {
            first = index as u32 + 1;
        }
        if let Some(joined) = text.strip_suffix('\\') {
            if pending.len() + joined.len() < MAX_LINE_BYTES {
                pending.push_str(joined);
                pending.push(' ');
                continue;
            }
        }
        pending.push_str(text);
        push_line(&mut lines, first, &mut pending);
    }
    push_line(&mut lines, first, &mut pending);
    lines
}

fn push_line(lines: &mut Vec<Line>, number: u32, pending: &mut String) {
    let text = std::mem::take(pending);
    let text = text.trim();
    if !text.is_empty() && !text.starts_with('#') {
        lines.push(Line { number, text: text.to_owned() });
    }
}

/// Splits `header ( options )`.
///
/// # Errors
/// Says which bracket is missing.
pub fn split_rule(text: &str) -> Result<(&str, &str), String> {
    let open = text.find('(').ok_or("no '(' opens the options")?;
    let body = text[open + 1..].trim_end();
    let body = body.strip_suffix(')').ok_or("no ')' closes the options")?;
    Ok((text[..open].trim(), body))
}

/// One option: its name, and its value where there is one, both without surrounding white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opt<'a> {
    /// Keyword.
    pub name: &'a str,
    /// What follows the first colon.
    pub value: Option<&'a str>,
}

/// Cuts the options at each `;` that no backslash escapes; escapes stay in the values, their keywords undo them.
///
/// # Errors
/// The last option has no `;`, or a name is empty.
pub fn split_options(body: &str) -> Result<Vec<Opt<'_>>, String> {
    let mut options = Vec::new();
    let mut rest = body.trim();
    while !rest.is_empty() {
        let bytes = rest.as_bytes();
        let end = memchr::memchr_iter(b';', bytes)
            .find(|&at| at == 0 || bytes[at - 1] != b'\\')
            .ok_or_else(|| format!("no ';' ends the option `{}`", shorten(rest)))?;
        let text = rest[..end].trim();
        rest = rest[end + 1..].trim_start();
        if text.is_empty() {
            continue;
        }
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (text, None),
        };
        if name.is_empty() {
            return Err(format!("an option without a name: `{}`", shorten(text)));
        }
        options.push(Opt { name, value });
    }
    Ok(options)
}

/// The beginning of a text, for messages.
pub fn shorten(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_comments_dropped_and_numbered_by_their_first() {
        let lines = logical_lines(b"# note\n\nalert tcp \\\n any\r\n# off \\\nswallowed\nlast");
        assert_eq!(lines, [Line { number: 3, text: "alert tcp  any".into() }, Line { number: 7, text: "last".into() }]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_kept_as_latin1() {
        assert_eq!(logical_lines(b"alert \xe9")[0].text, "alert é");
    }

    #[test]
    fn escaped_semicolons_do_not_end_an_option() {
        let options = split_options(r#" msg:"a\; b" ; nocase; content:"x:y";"#).unwrap();
        assert_eq!(options[0], Opt { name: "msg", value: Some(r#""a\; b""#) });
        assert_eq!(options[1], Opt { name: "nocase", value: None });
        assert_eq!(options[2], Opt { name: "content", value: Some(r#""x:y""#) });
        assert!(split_options("sid:1").is_err());
    }
}
