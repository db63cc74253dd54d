//! Which rules are refused, and by which name; and that no text whatever ends in anything but a rule or a refusal.

mod harness;

use harness::load;
use std::path::PathBuf;
use vedette_core::prefilter::MatcherKind;
use vedette_core::rule::{Options, RuleSet, Variables};

/// (rule, keyword of the refusal, a piece of the reason)
const REFUSED: &[(&str, &str, &str)] = &[
    ("alert tcp any any -> any any", "options", "'('"),
    ("alert tcp any any -> any any (sid:1;", "options", "')'"),
    ("alert tcp any any -> any any (sid:1)", "options", "';'"),
    ("alert tcp any any -> any any (msg:\"x\";)", "sid", "needs one"),
    ("alert tcp any any -> any any (sid:0;)", "sid", "0"),
    ("alert tcp any any -> any any (sid:x;)", "sid", "`x`"),
    ("alert tcp any any -> any any (sid:1; sid:2;)", "sid", "twice"),
    ("alert tcp any any any any (sid:1;)", "header", "7 fields"),
    ("alert tcp any any <- any any (sid:1;)", "direction", "`<-`"),
    ("alert tcp any any => any any (sid:1;)", "direction", "transactional"),
    ("pass tcp any any -> any any (sid:1;)", "pass", "suppress"),
    ("log tcp any any -> any any (sid:1;)", "action", "`log`"),
    ("alert tls any any -> any any (sid:1;)", "protocol", "`tls`"),
    ("alert tcp $NOBODY any -> any any (sid:1;)", "address", "$NOBODY"),
    ("alert tcp any 99999 -> any any (sid:1;)", "port", "99999"),
    ("alert tcp any any -> any any (tls.sni; sid:1;)", "tls.sni", "not supported"),
    ("alert tcp any any -> any any (content:\"\"; sid:1;)", "content", "empty"),
    ("alert tcp any any -> any any (content:\"|4|\"; sid:1;)", "content", "odd"),
    ("alert tcp any any -> any any (content:\"a; sid:1;)", "content", "opening quote"),
    ("alert tcp any any -> any any (nocase; sid:1;)", "nocase", "content before"),
    ("alert tcp any any -> any any (content:\"a\"; nocase:x; sid:1;)", "nocase", "no value"),
    ("alert tcp any any -> any any (content:\"abc\"; depth:2; sid:1;)", "depth", "less than"),
    ("alert tcp any any -> any any (content:\"abc\"; depth:x; sid:1;)", "depth", "`x`"),
    ("alert tcp any any -> any any (content:\"abc\"; depth:5; distance:1; sid:1;)", "distance", "depth"),
    ("alert tcp any any -> any any (content:\"abc\"; within:2; sid:1;)", "within", "less than"),
    ("alert tcp any any -> any any (content:\"abc\"; startswith; depth:5; sid:1;)", "depth", "startswith"),
    ("alert tcp any any -> any any (content:\"abc\"; offset:1; startswith; sid:1;)", "startswith", "offset"),
    ("alert tcp any any -> any any (content:\"abc\"; fast_pattern:1,3; sid:1;)", "fast_pattern", "not inside"),
    ("alert tcp any any -> any any (content:!\"abc\"; fast_pattern:only; sid:1;)", "fast_pattern", "negated"),
    (
        "alert tcp any any -> any any (content:\"a\"; fast_pattern; content:\"b\"; fast_pattern; sid:1;)",
        "fast_pattern",
        "one",
    ),
    ("alert tcp any any -> any any (pcre:\"/(/\"; sid:1;)", "pcre", "byte"),
    ("alert tcp any any -> any any (pcre:\"abc\"; sid:1;)", "pcre", "/.../"),
    ("alert tcp any any -> any any (pcre:\"/a/H\"; sid:1;)", "pcre", "flag H"),
    ("alert tcp any any -> any any (pcre:\"/a/j\"; sid:1;)", "pcre", "`j`"),
    ("alert tcp any any -> any any (pcre:\"/a/UV\"; sid:1;)", "pcre", "more than one"),
    ("alert tcp any any -> any any (pcre:\"/(a)/, flow:x\"; sid:1;)", "pcre", "captures"),
    ("alert http any any -> any any (http.uri; pcre:\"/a/V\"; sid:1;)", "pcre", "sticky"),
    ("alert tcp any any -> any any (flow:sideways; sid:1;)", "flow", "`sideways`"),
    ("alert tcp any any -> any any (flow:to_server,to_client; sid:1;)", "flow", "contradicts"),
    ("alert tcp any any -> any any (flow:established; flow:to_server; sid:1;)", "flow", "one flow"),
    ("alert tcp any any -> any any (flowbits:set; sid:1;)", "flowbits", "name"),
    ("alert tcp any any -> any any (flowbits:set,a|b; sid:1;)", "flowbits", "one name"),
    ("alert tcp any any -> any any (flowbits:burn,a; sid:1;)", "flowbits", "`burn`"),
    ("alert tcp any any -> any any (threshold:type limit, track by_src, count 1; sid:1;)", "threshold", "seconds"),
    (
        "alert tcp any any -> any any (threshold:type never, track by_src, count 1, seconds 1; sid:1;)",
        "threshold",
        "`never`",
    ),
    (
        "alert tcp any any -> any any (threshold:type limit, track by_src, count 0, seconds 1; sid:1;)",
        "threshold",
        "above 0",
    ),
    ("alert http any any -> any any (http.uri; sid:1;)", "options", "nothing to match"),
    ("alert http any any -> any any (http.uri; http.method; content:\"a\"; sid:1;)", "http.method", "nothing to match"),
    (
        "alert http any any -> any any (http.method; content:\"a\"; content:\"b\"; http_uri; sid:1;)",
        "http_uri",
        "sticky",
    ),
    ("alert http any any -> any any (http.uri; content:\"a\"; flow:to_client; sid:1;)", "flow", "conflicting"),
    ("alert udp any any -> any any (http.uri; content:\"a\"; sid:1;)", "protocol", "carry"),
    ("alert dns any any -> any any (http.uri; content:\"a\"; sid:1;)", "protocol", "Http"),
    ("alert tcp any any -> any any (bsize:5; sid:1;)", "bsize", "sticky"),
    ("alert http any any -> any any (http.uri; content:\"abcdef\"; bsize:5; sid:1;)", "bsize", "cannot be"),
    ("alert tcp-pkt any any -> any any (content:\"a\"; flow:only_stream; sid:1;)", "flow", "stream"),
    ("alert tcp any any -> any any (flags:X; sid:1;)", "flags", "`X`"),
    ("alert tcp any any -> any any (dsize:x; sid:1;)", "dsize", "`x`"),
    ("alert tcp any any -> any any (content:\"a\"; byte_test:9,=,1,0; sid:1;)", "byte_test", "1 to 8"),
    ("alert tcp any any -> any any (content:\"a\"; byte_test:1,~,1,0; sid:1;)", "byte_test", "`~`"),
    ("alert tcp any any -> any any (content:\"a\"; byte_test:1,=,var,0; sid:1;)", "byte_test", "`var`"),
    ("alert tcp any any -> any any (content:\"a\"; byte_jump:1,0,dce; sid:1;)", "byte_jump", "dce"),
    ("alert tcp any any -> any any (content:\"a\"; byte_jump:1,0,multiplier; sid:1;)", "byte_jump", "multiplier"),
    ("alert tcp any any -> any any (content:\"a\"; isdataat:x; sid:1;)", "isdataat", "`x`"),
    ("alert http any any -> any any (urilen:5,raw; sid:1;)", "urilen", "raw"),
    ("alert tcp any any -> any any (priority:0; sid:1;)", "priority", "1 to 255"),
    ("alert tcp any any -> any any (target:me; sid:1;)", "target", "`me`"),
    ("alert tcp any any -> any any (reference:nowhere; sid:1;)", "reference", "scheme,id"),
];

#[test]
fn a_wrong_rule_is_refused_by_keyword_and_reason() {
    for (rule, keyword, piece) in REFUSED {
        let set = load(rule);
        assert!(set.rules.is_empty(), "{rule}");
        let refusal = &set.refused[0];
        assert_eq!(refusal.keyword, *keyword, "{rule}: {}", refusal.reason);
        assert!(refusal.reason.contains(piece), "{rule}: {}", refusal.reason);
        assert_eq!((&*refusal.file, refusal.line), ("test.rules", 1));
    }
}

#[test]
fn one_wrong_rule_does_not_keep_the_others_out() {
    let set = load("alert tcp any any -> any any (sid:1;)\n\nalert tcp any any \\\n -> any any (magic; sid:2;)\ndrop ip any any -> any any (sid:3;)");
    assert_eq!(set.rules.len(), 2);
    assert_eq!((set.refused[0].line, set.refused[0].sid), (3, Some(2)));
}

#[test]
fn a_line_longer_than_a_rule_may_be_is_refused_and_the_next_one_loads() {
    let long = format!("alert tcp any any -> any any (msg:\"{}\"; sid:1;)", "x".repeat(1 << 20));
    let set = load(&format!("{long}\nalert tcp any any -> any any (sid:2;)"));
    assert_eq!((set.rules.len(), set.refused.len()), (1, 1));
    assert_eq!(set.refused[0].keyword, "line");
}

#[test]
fn variables_that_name_others_many_times_are_refused_before_they_fill_the_memory() {
    // Each is eight of the one before: eight to the seventh addresses, or ports.
    for leaf in ["10.0.0.1", "80"] {
        let mut values = vec![("V0".to_string(), format!("[{}]", [leaf; 8].join(",")))];
        for n in 1..7 {
            values.push((format!("V{n}"), format!("[{}]", [format!("$V{}", n - 1).as_str(); 8].join(","))));
        }
        let refused = Variables::with(&values).unwrap_err().to_string();
        assert!(leaf == "80" || refused.contains("entries"), "{refused}");
    }
}

#[test]
fn of_two_rules_with_one_sid_the_higher_revision_is_loaded_and_the_other_listed() {
    let rule = |rev: u32| format!("alert tcp any any -> any any (msg:\"rev {rev}\"; sid:1; rev:{rev};)");
    for (text, kept, line) in [([rule(2), rule(3)], 3, 1), ([rule(3), rule(2)], 3, 2), ([rule(3), rule(3)], 3, 2)] {
        let set = load(&text.join("\n"));
        assert_eq!((set.rules.len(), set.rules[0].info.rev), (1, kept));
        assert_eq!((set.refused[0].keyword.as_str(), set.refused[0].line), ("sid", line));
    }
}

#[test]
fn what_a_reader_wants_to_know_is_kept() {
    let set = load(
        r#"drop tcp any any -> any any (msg:"a \"b\"\; c"; classtype:trojan-activity; reference:url,example.org/x; reference:cve,2020-1;
"#
        .replace('\n', "\\\n")
        .as_str()
        .trim_end()
        .to_owned()
        .as_str(),
    );
    assert!(set.rules.is_empty(), "the rule above breaks off");
    let set = load(
        r#"drop tcp any any -> any any (msg:"a \"b\"\; c"; classtype:trojan-activity; reference:url,example.org/x; reference:cve,2020-1; metadata:created_at 2020_01_01, flag; target:dest_ip; gid:3; sid:5; rev:7;)"#,
    );
    let info = &set.rules[0].info;
    assert_eq!((info.gid, info.sid, info.rev, info.action.as_str(), info.priority), (3, 5, 7, "drop", 1));
    assert_eq!(
        (&*info.msg, &*info.classtype, info.category),
        (r#"a "b"; c"#, "trojan-activity", "A Network Trojan was detected")
    );
    let pairs =
        |pairs: &[(Box<str>, Box<str>)]| pairs.iter().map(|(a, b)| format!("{a}={b}")).collect::<Vec<_>>().join(" ");
    assert_eq!(pairs(&info.references), "url=example.org/x cve=2020-1");
    assert_eq!(pairs(&info.metadata), "created_at=2020_01_01 flag=");
}

#[test]
fn the_digest_changes_with_rules_and_variables_and_with_nothing_else() {
    let digest = |text: &str, variables: &[(String, String)], kind| {
        let options = Options { matcher: Some(kind), cache_dir: None };
        RuleSet::from_texts([("f", text.as_bytes())], &Variables::with(variables).unwrap(), &options).unwrap().digest
    };
    let text =
        "alert tcp any any -> any any (content:\"a\"; sid:1;)\nalert tcp any any -> any any (content:\"b\"; sid:2;)";
    let turned = "# note\nalert tcp any any -> any any (content:\"b\"; sid:2;)\nalert tcp any any -> any any (content:\"a\"; sid:1;)";
    let base = digest(text, &[], MatcherKind::AhoCorasick);
    assert_eq!(base.len(), 64);
    assert_eq!(base, digest(turned, &[], MatcherKind::AhoCorasick));
    assert_ne!(base, digest(&text.replace("\"b\"", "\"c\""), &[], MatcherKind::AhoCorasick));
    assert_ne!(base, digest(text, &[("HOME_NET".into(), "10.0.0.0/8".into())], MatcherKind::AhoCorasick));
}

/// xorshift64*: enough to reach every branch, the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }
}

#[test]
fn mutated_rules_end_in_a_rule_or_a_refusal() {
    let seeds: Vec<&str> = REFUSED
        .iter()
        .map(|(rule, ..)| *rule)
        .chain([
            r#"alert http [$HOME_NET,!10.1.0.0/16] [80,!81] <> any any (msg:"m"; flow:established,to_server; http.uri; content:"a|20 41|"; fast_pattern:0,1; bsize:5<>9; pcre:!"/a(?=b)\x3b/RiUsmx"; threshold:type both, track by_src, count 1, seconds 60; flowbits:isset,a|b; sid:1; rev:2;)"#,
            r#"alert tcp any any -> any any (content:"abc"; nocase; offset:1; depth:9; content:!"de"; distance:-1; within:7; endswith; sid:9; metadata:a b, c d; reference:url,x;)"#,
        ])
        .collect();
    let pieces = [
        "\"",
        ";",
        ":",
        "|",
        "\\",
        "!",
        "[",
        "]",
        "$",
        "(",
        ")",
        ",",
        "content:\"x\";",
        "http.uri;",
        "-",
        "999999999999",
        "\u{e9}",
        "nocase;",
        "distance:0;",
    ];
    let mut dice = Dice(0x5eed);
    let mut text = String::new();
    for round in 0..20_000 {
        let mut rule: Vec<char> = seeds[dice.roll(seeds.len())].chars().collect();
        for _ in 0..=dice.roll(4) {
            let at = dice.roll(rule.len().max(1)).min(rule.len());
            match dice.roll(4) {
                0 if at < rule.len() => {
                    rule.remove(at);
                }
                1 if at < rule.len() => rule[at] = char::from(dice.roll(256) as u8),
                2 => {
                    let to = (at + dice.roll(12)).min(rule.len());
                    rule.drain(at..to);
                }
                _ => {
                    for letter in pieces[dice.roll(pieces.len())].chars().rev() {
                        rule.insert(at, letter);
                    }
                }
            }
        }
        text.extend(rule);
        text.push('\n');
        if round % 500 == 499 {
            let options = Options { matcher: Some(MatcherKind::AhoCorasick), cache_dir: None };
            let set = RuleSet::from_texts([("mutated", text.as_bytes())], &Variables::default(), &options).unwrap();
            assert!(set.rules.len() + set.refused.len() > 0);
            text.clear();
        }
    }
}

/// The published rule sets beside the repository, when they are there.
fn bench_rules() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/rules/bench");
    folder.is_dir().then_some(folder)
}

#[test]
fn published_rules_load_but_for_keywords_that_are_named() {
    let Some(folder) = bench_rules() else {
        eprintln!("skipped: ../shared/data/rules/bench is not there");
        return;
    };
    let options = Options { matcher: Some(MatcherKind::AhoCorasick), cache_dir: None };
    let set = RuleSet::load(&[folder], &Variables::default(), &options).unwrap();
    // 28,027 rules and the 200 of the small set, which stand twice.
    assert_eq!(set.rules.len() + set.refused.len(), 28_227);
    assert!(set.rules.len() > 18_000, "{}", set.rules.len());
    // Suricata loads them all, so nothing may be refused for its form: only for a keyword, flag or protocol we do not have.
    let strange: Vec<_> = set
        .refused
        .iter()
        .filter(|refusal| !refusal.reason.contains("not supported") && !refusal.reason.contains("stands twice"))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}
