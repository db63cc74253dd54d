//! PCRE2 behind a safe face: compile, find. No UTF mode: rules match bytes.
//!
//! An expression is compiled when its rule is read (so that a bad one refuses the rule) and translated to machine code when it
//! is first used, because most expressions of a rule set never run. Matching is bounded by PCRE2's match limit, which counts
//! backtracking steps; Suricata's default of 3500 is used so that both give up on the same inputs.

use pcre2_sys as sys;
use std::cell::RefCell;
use std::ptr;
use std::sync::Once;

/// Backtracking steps an expression may take (Suricata's `pcre.match-limit`).
const MATCH_LIMIT: u32 = 3500;
/// Depth of backtracking (Suricata's `pcre.match-limit-recursion`).
const DEPTH_LIMIT: u32 = 1500;
/// Limits of an expression with flag `O`, which asks to be free of the ones above: PCRE2's own default, still bounded.
const OWN_MATCH_LIMIT: u32 = 1_000_000;
/// Longest expression, so that compiling is bounded; the longest real ones have about 3 kB.
const MAX_EXPRESSION_BYTES: usize = 16 * 1024;

/// What stands behind an expression's last slash, as far as it is about matching.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools)] // Each is one flag letter of the rule language.
pub struct Options {
    /// `i`
    pub caseless: bool,
    /// `s`
    pub dotall: bool,
    /// `m`
    pub multiline: bool,
    /// `x`
    pub extended: bool,
    /// `A`
    pub anchored: bool,
    /// `E`
    pub dollar_endonly: bool,
    /// `G`
    pub ungreedy: bool,
    /// `O`
    pub own_limits: bool,
}

impl Options {
    fn bits(self) -> u32 {
        [
            (self.caseless, sys::PCRE2_CASELESS),
            (self.dotall, sys::PCRE2_DOTALL),
            (self.multiline, sys::PCRE2_MULTILINE),
            (self.extended, sys::PCRE2_EXTENDED),
            (self.anchored, sys::PCRE2_ANCHORED),
            (self.dollar_endonly, sys::PCRE2_DOLLAR_ENDONLY),
            (self.ungreedy, sys::PCRE2_UNGREEDY),
        ]
        .iter()
        .filter_map(|&(wanted, bit)| wanted.then_some(bit))
        .sum()
    }
}

/// A match was given up: a limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitReached;

/// A compiled expression.
#[derive(Debug)]
pub struct Regex {
    code: *mut sys::pcre2_code_8,
    translated: Once,
    own_limits: bool,
    /// Bound to where the search begins.
    anchored: bool,
    /// See [`Regex::may_cut`].
    may_cut: bool,
}

// SAFETY: PCRE2 only reads compiled code while matching; the one write, its translation, happens inside `Once` before any match.
unsafe impl Send for Regex {}
// SAFETY: as above.
unsafe impl Sync for Regex {}

impl Regex {
    /// Compiles an expression.
    ///
    /// # Errors
    /// PCRE2's words and the place they are about.
    pub fn compile(text: &str, options: Options) -> Result<Self, String> {
        if text.len() > MAX_EXPRESSION_BYTES {
            return Err(format!("{} bytes; allowed are {MAX_EXPRESSION_BYTES}", text.len()));
        }
        let (mut code, mut offset) = (0, 0);
        // SAFETY: the pointer and length are those of `text`; the two out-parameters live through the call; a null compile
        // context asks for the defaults.
        let compiled = unsafe {
            sys::pcre2_compile_8(
                text.as_ptr(),
                text.len(),
                options.bits(),
                &raw mut code,
                &raw mut offset,
                ptr::null_mut(),
            )
        };
        if compiled.is_null() {
            return Err(format!("{} at byte {offset} of the expression", message(code)));
        }
        let mut bits = 0_u32;
        // SAFETY: `compiled` is valid, and this piece of information is a 32-bit number (pcre2_pattern_info(3)).
        unsafe { sys::pcre2_pattern_info_8(compiled, sys::PCRE2_INFO_ALLOPTIONS, (&raw mut bits).cast()) };
        Ok(Self {
            code: compiled,
            translated: Once::new(),
            own_limits: options.own_limits,
            anchored: bits & sys::PCRE2_ANCHORED != 0,
            may_cut: looks_no_further_than_it_matches(text),
        })
    }

    /// Whether a match can only begin where the search does.
    pub fn anchored(&self) -> bool {
        self.anchored
    }

    /// Whether a match in the first part of a subject, which ends well before that part does, is one in the whole subject.
    pub fn may_cut(&self) -> bool {
        self.may_cut
    }

    /// First match that starts at or behind `start`, as (start, end). With `cut`, the subject goes on behind its end.
    ///
    /// # Errors
    /// [`LimitReached`]
    pub fn find(&self, subject: &[u8], start: usize, cut: bool) -> Result<Option<(usize, usize)>, LimitReached> {
        self.translated.call_once(|| {
            // SAFETY: `code` is a valid compiled expression that nobody else uses yet. A failure (no executable memory)
            // leaves it to be interpreted, so the answer is not looked at.
            unsafe { sys::pcre2_jit_compile_8(self.code, sys::PCRE2_JIT_COMPLETE) };
        });
        MATCHER.with_borrow(|matcher| {
            let context = if self.own_limits { matcher.own_limits } else { matcher.limits };
            let bits = if cut { sys::PCRE2_NOTEOL } else { 0 };
            // SAFETY: subject, length and start (`start <= len`, else PCRE2 answers BADOFFSET) are valid for the call; match
            // data and context are this thread's own and non-null.
            let found = unsafe {
                sys::pcre2_match_8(self.code, subject.as_ptr(), subject.len(), start, bits, matcher.data, context)
            };
            match found {
                0.. => {
                    // SAFETY: after a match the vector holds at least one pair.
                    let pair = unsafe {
                        let vector = sys::pcre2_get_ovector_pointer_8(matcher.data);
                        (*vector, *vector.add(1))
                    };
                    // \K inside a look-around can put the start behind the end; such a match has no place.
                    Ok((pair.0 <= pair.1 && pair.1 <= subject.len()).then_some(pair))
                }
                sys::PCRE2_ERROR_NOMATCH => Ok(None),
                _ => Err(LimitReached),
            }
        })
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: made by pcre2_compile, freed once.
        unsafe { sys::pcre2_code_free_8(self.code) };
    }
}

/// Whether an expression says nothing of what lies far behind its match: no end of the subject but `$`, which
/// [`Regex::find`] knows how to leave out, and no "not followed by" of any length.
fn looks_no_further_than_it_matches(text: &str) -> bool {
    let unbounded = |behind: &str| {
        let mut depth = 1_usize;
        let end = behind.find(|c| {
            depth = depth + usize::from(c == '(') - usize::from(c == ')');
            depth == 0
        });
        let group = &behind[..end.unwrap_or(behind.len())];
        group.contains(['*', '+']) || group.contains(",}")
    };
    !text.contains("\\z") && !text.contains("\\Z") && !text.split("(?!").skip(1).any(unbounded)
}

/// What a thread needs to match: room for one pair of offsets, and the two sets of limits.
struct Matcher {
    data: *mut sys::pcre2_match_data_8,
    limits: *mut sys::pcre2_match_context_8,
    own_limits: *mut sys::pcre2_match_context_8,
}

thread_local! {
    static MATCHER: RefCell<Matcher> = RefCell::new(Matcher::new());
}

impl Matcher {
    fn new() -> Self {
        // SAFETY: a null general context asks for malloc; the results are checked before they are used.
        unsafe {
            let data = sys::pcre2_match_data_create_8(1, ptr::null_mut());
            let limits = sys::pcre2_match_context_create_8(ptr::null_mut());
            let own_limits = sys::pcre2_match_context_create_8(ptr::null_mut());
            assert!(!data.is_null() && !limits.is_null() && !own_limits.is_null(), "out of memory");
            sys::pcre2_set_match_limit_8(limits, MATCH_LIMIT);
            sys::pcre2_set_depth_limit_8(limits, DEPTH_LIMIT);
            sys::pcre2_set_match_limit_8(own_limits, OWN_MATCH_LIMIT);
            Self { data, limits, own_limits }
        }
    }
}

impl Drop for Matcher {
    fn drop(&mut self) {
        // SAFETY: each was made in `new` and is freed once.
        unsafe {
            sys::pcre2_match_data_free_8(self.data);
            sys::pcre2_match_context_free_8(self.limits);
            sys::pcre2_match_context_free_8(self.own_limits);
        }
    }
}

fn message(code: i32) -> String {
    let mut text = [0_u8; 160];
    // SAFETY: buffer and length belong together.
    let length = unsafe { sys::pcre2_get_error_message_8(code, text.as_mut_ptr(), text.len()) };
    let length = usize::try_from(length).unwrap_or(0).min(text.len());
    String::from_utf8_lossy(&text[..length]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_mean_what_they_mean_in_perl() {
        type Case<'c> = (&'c str, Options, &'c [u8], Option<(usize, usize)>);
        let plain = Options::default();
        let cases: &[Case<'_>] = &[
            ("b+", plain, b"abbb", Some((1, 4))),
            ("b+", Options { ungreedy: true, ..plain }, b"abbb", Some((1, 2))),
            ("B", Options { caseless: true, ..plain }, b"ab", Some((1, 2))),
            ("a.b", plain, b"a\nb", None),
            ("a.b", Options { dotall: true, ..plain }, b"a\nb", Some((0, 3))),
            ("^b", plain, b"a\nb", None),
            ("^b", Options { multiline: true, ..plain }, b"a\nb", Some((2, 3))),
            ("a b", Options { extended: true, ..plain }, b"ab", Some((0, 2))),
            ("b", Options { anchored: true, ..plain }, b"ab", None),
            ("a$", plain, b"a\n", Some((0, 1))),
            ("a$", Options { dollar_endonly: true, ..plain }, b"a\n", None),
            ("\\xff\\x00", plain, b"\xff\x00", Some((0, 2))),
        ];
        for (text, options, subject, expected) in cases {
            assert_eq!(
                Regex::compile(text, *options).unwrap().find(subject, 0, false),
                Ok(*expected),
                "{text} {options:?}"
            );
        }
    }

    #[test]
    fn a_bad_expression_is_refused_with_its_place_and_a_hostile_subject_hits_the_limit() {
        assert!(Regex::compile("a(b", Options::default()).unwrap_err().contains("byte 3"));
        let regex = Regex::compile("(a+)+$", Options::default()).unwrap();
        let subject = [vec![b'a'; 4000], vec![b'b']].concat();
        assert_eq!(regex.find(&subject, 0, false), Err(LimitReached));
    }

    #[test]
    fn expressions_that_look_behind_their_match_are_known() {
        for (text, expected) in [
            ("^a[^b]*$", true),
            ("^a(?!bc)d", true),
            ("^a(?!.*b)", false),
            ("^a(?!b{2,})", false),
            ("^a(?!(b|c)d*)", false),
            ("^a(?!(b|c))", true),
            ("^a\\z", false),
        ] {
            assert_eq!(Regex::compile(text, Options::default()).unwrap().may_cut(), expected, "{text}");
        }
        let end = Regex::compile("^a+$", Options::default()).unwrap();
        assert_eq!((end.find(b"aaa", 0, false), end.find(b"aaa", 0, true)), (Ok(Some((0, 3))), Ok(None)));
    }
}
