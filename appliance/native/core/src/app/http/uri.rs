//! The request target as `http.uri` shows it: the path decoded and put in order, then query and fragment.
//!
//! What rules are written against is Suricata's view (libhtp, personality IDS, with the letter case kept): percent and
//! %u escapes are decoded in path and query, backslashes in the path become slashes, repeated slashes one, dot segments
//! are removed (RFC 3986 section 5.2.4), UTF-8 in the path becomes single bytes. Scheme and authority are left out.

/// What stands for a character that has no single-byte form.
const REPLACEMENT: u8 = b'?';

/// The parts of a target; `scheme` and authority only where a scheme was given.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parts<'a> {
    path: Option<&'a [u8]>,
    query: Option<&'a [u8]>,
    fragment: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
}

fn until<'a>(text: &'a [u8], stops: &[u8]) -> (&'a [u8], &'a [u8]) {
    let at = text.iter().position(|b| stops.contains(b)).unwrap_or(text.len());
    text.split_at(at)
}

fn split(target: &[u8]) -> Parts<'_> {
    let mut parts = Parts::default();
    let mut rest = target;
    // A target that does not begin with a slash and has a colon begins with a scheme.
    if !target.starts_with(b"/") {
        if let Some(colon) = memchr::memchr(b':', target) {
            rest = &target[colon + 1..];
            if let Some(authority) = rest.strip_prefix(b"//").filter(|a| !a.starts_with(b"/") && !a.is_empty()) {
                let (authority, behind) = until(authority, b"/?#");
                let host = authority.rsplit(|&b| b == b'@').next().unwrap_or(authority);
                parts.host = Some(until(host, b":").0);
                rest = behind;
            }
        }
    }
    let (path, behind) = until(rest, b"?#");
    parts.path = Some(path).filter(|p| !p.is_empty());
    rest = behind;
    if let Some(query) = rest.strip_prefix(b"?") {
        let (query, behind) = until(query, b"#");
        parts.query = Some(query);
        rest = behind;
    }
    parts.fragment = rest.strip_prefix(b"#");
    parts
}

/// The host named in an absolute target.
pub fn host(target: &[u8]) -> Option<&[u8]> {
    split(target).host
}

/// The target normalised; None when nothing is left of it (an absolute target without a path).
pub fn normalize(target: &[u8]) -> Option<Vec<u8>> {
    let parts = split(target);
    let mut out = Vec::with_capacity(target.len());
    if let Some(path) = parts.path {
        decode_path(path, &mut out);
        collapse_utf8(&mut out);
        remove_dot_segments(&mut out);
    }
    if let Some(query) = parts.query {
        out.push(b'?');
        decode_query(query, &mut out);
    }
    if let Some(fragment) = parts.fragment {
        out.push(b'#');
        decode_query(fragment, &mut out);
    }
    Some(out).filter(|o| !o.is_empty())
}

fn hex(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |n, &b| Some(n << 4 | (b as char).to_digit(16)? as u16))
}

/// The byte behind a `%` and the length of the escape with it; None: no valid escape.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'%', b'u' | b'U', digits @ ..] => {
            let code = hex(digits.get(..4)?)?;
            Some((best_fit(u32::from(code)), 6))
        }
        [b'%', digits @ ..] => Some((hex(digits.get(..2)?)? as u8, 3)),
        _ => None,
    }
}

fn decode_path(path: &[u8], out: &mut Vec<u8>) {
    let mut i = 0;
    while i < path.len() {
        let (byte, len) = escape(&path[i..]).unwrap_or((path[i], 1));
        i += len;
        let byte = if byte == b'\\' { b'/' } else { byte };
        if byte != b'/' || out.last() != Some(&b'/') {
            out.push(byte);
        }
    }
}

fn decode_query(query: &[u8], out: &mut Vec<u8>) {
    let mut rest = query;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        let (byte, len) = escape(&rest[at..]).unwrap_or((b'%', 1));
        out.push(byte);
        rest = &rest[at + len..];
    }
    out.extend_from_slice(rest);
}

/// The single byte that resembles a character: itself below U+0100, ASCII for the full-width forms and the slashes that
/// have served to hide paths.
fn best_fit(code: u32) -> u8 {
    match code {
        0..=0xff => code as u8,
        0xff01..=0xff5e => (code - 0xfee0) as u8,
        0x2044 | 0x2215 => b'/',
        0x2216 => b'\\',
        0x2018 | 0x2019 | 0x2032 => b'\'',
        0x201c | 0x201d => b'"',
        0x2010..=0x2015 => b'-',
        0x2024 => b'.',
        _ => REPLACEMENT,
    }
}

/// Turn UTF-8 sequences into single bytes, in place; bytes that are no valid UTF-8 stay.
fn collapse_utf8(path: &mut Vec<u8>) {
    if path.is_ascii() {
        return;
    }
    let (mut read, mut write) = (0, 0);
    while read < path.len() {
        let (byte, len) = sequence(&path[read..]).unwrap_or((path[read], 1));
        path[write] = byte;
        read += len;
        write += 1;
    }
    path.truncate(write);
}

/// A UTF-8 sequence of two to four bytes as one byte. Overlong ones count too: that is how slashes were hidden.
fn sequence(text: &[u8]) -> Option<(u8, usize)> {
    let (len, first) = match text.first()? {
        b @ 0xc0..=0xdf => (2, u32::from(b & 0x1f)),
        b @ 0xe0..=0xef => (3, u32::from(b & 0x0f)),
        b @ 0xf0..=0xf7 => (4, u32::from(b & 0x07)),
        _ => return None,
    };
    let code =
        text.get(1..len)?.iter().try_fold(first, |n, &b| (b & 0xc0 == 0x80).then_some(n << 6 | u32::from(b & 0x3f)))?;
    Some((best_fit(code), len))
}

/// RFC 3986 section 5.2.4, in place; a path that ends in a dot segment loses its last slash too, as libhtp's does.
fn remove_dot_segments(path: &mut Vec<u8>) {
    if !path.contains(&b'.') {
        return;
    }
    let text = std::mem::take(path);
    let mut rest = text.as_slice();
    while let Some(behind) = rest.strip_prefix(b"../").or_else(|| rest.strip_prefix(b"./")) {
        rest = behind;
    }
    if matches!(rest, b"." | b"..") {
        return;
    }
    while !rest.is_empty() {
        let (slash, body) = match rest.strip_prefix(b"/") {
            Some(body) => (true, body),
            None => (false, rest),
        };
        let (segment, behind) = until(body, b"/");
        match (slash, segment) {
            (true, b".") => {}
            (true, b"..") => {
                let cut = path.iter().rposition(|&b| b == b'/').unwrap_or(0);
                path.truncate(cut);
            }
            _ => {
                if slash {
                    path.push(b'/');
                }
                path.extend_from_slice(segment);
            }
        }
        let dots = slash && matches!(segment, b"." | b"..");
        if dots && behind == b"/" {
            break;
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_shown_as_rules_expect_them() {
        let cases = [
            ("/index.html", "/index.html"),
            ("/a/../b", "/b"),
            ("/a/./b/", "/a/b/"),
            ("/a/b/c/./../../g", "/a/g"),
            ("/../../../images.gif", "/images.gif"),
            ("mid/content=5/../6", "mid/6"),
            ("./one", "one"),
            ("one/.", "one"),
            ("/a/..", ""),
            ("//a///b", "/a/b"),
            ("/a%2fb%5Cc\\d", "/a/b/c/d"),
            ("/%41%62c%zz%4", "/Abc%zz%4"),
            ("/caf%u00e9", "/caf\u{e9}"),
            ("/%uff0e%uff0e/x", "/x"),
            ("/a%00b", "/a\0b"),
            ("/a+b", "/a+b"),
            ("/Case/KEPT", "/Case/KEPT"),
            ("/a?b=%20c//d/../e\\f+g", "/a?b= c//d/../e\\f+g"),
            ("/a?x%u0041y#f%41", "/a?xAy#fA"),
            ("?only=query", "?only=query"),
            ("http://user:pw@Host.example:8080/p/a?q", "/p/a?q"),
            ("http://host", ""),
            ("HTTP://host?x", "?x"),
            ("/with:colon", "/with:colon"),
            ("*", "*"),
            ("", ""),
        ];
        for (target, expected) in cases {
            let latin1: Vec<u8> = expected.chars().map(|c| c as u8).collect();
            assert_eq!(normalize(target.as_bytes()).unwrap_or_default(), latin1, "{target}");
        }
    }

    #[test]
    fn utf8_in_the_path_becomes_single_bytes_and_overlong_slashes_are_slashes() {
        assert_eq!(normalize("/caf\u{e9}".as_bytes()).unwrap(), b"/caf\xe9");
        assert_eq!(normalize("/\u{4e2d}".as_bytes()).unwrap(), b"/?");
        assert_eq!(normalize(b"/a/%c0%ae%c0%ae/b").unwrap(), b"/b");
        assert_eq!(normalize(b"/\xff\xc3").unwrap(), b"/\xff\xc3", "what is no UTF-8 stays");
    }

    #[test]
    fn the_host_of_an_absolute_target() {
        assert_eq!(host(b"http://u:p@a.example:80/x"), Some(&b"a.example"[..]));
        assert_eq!(host(b"/x"), None);
    }

    #[test]
    fn random_targets_never_panic_and_never_grow() {
        let alphabet = b"/\\.%uU0123fF?#:@ \xc3\xa9\xe2\x88\x95";
        let mut x = 0x1357_9bdf_0246_8ace_u64;
        for _ in 0..50_000 {
            let target: Vec<u8> = (0..=x as usize % 24)
                .map(|_| {
                    x ^= x << 13;
                    x ^= x >> 7;
                    x ^= x << 17;
                    alphabet[x as usize % alphabet.len()]
                })
                .collect();
            assert!(normalize(&target).unwrap_or_default().len() <= target.len());
        }
    }
}
