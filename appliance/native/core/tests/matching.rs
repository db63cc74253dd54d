//! Which bytes which rule matches: tables of (options, bytes, whether), run through every matcher.

mod harness;

use harness::{kinds, load_with, Bench, FakeTx};
use vedette_core::inspect::{BufferId, Direction, Stage};
use vedette_core::packet::ip_proto;

/// (options of a rule over a UDP payload, payload, matches)
const PAYLOAD: &[(&str, &[u8], bool)] = &[
    // Plain contents.
    (r#"content:"abc";"#, b"xxabcxx", true),
    (r#"content:"abc";"#, b"xxaBcxx", false),
    (r#"content:"aBc"; nocase;"#, b"xxAbCxx", true),
    (r#"content:"a|00 ff|c";"#, b"a\x00\xffc", true),
    (r#"content:"a\"b\;c\:d\\";"#, br#"a"b;c:d\"#, true),
    (r#"content:"|3a 20|x";"#, b": x", true),
    (r#"content:"aa"; content:"aa";"#, b"aa", true),
    // Negation.
    (r#"content:"abc"; content:!"def";"#, b"abcdef", false),
    (r#"content:"abc"; content:!"def";"#, b"abcde", true),
    (r#"content:!"abc";"#, b"xyz", true),
    (r#"content:!"abc";"#, b"abc", false),
    (r#"content:!"ABC"; nocase;"#, b"aabc", false),
    // Offset and depth bound the whole buffer.
    (r#"content:"abc"; offset:2;"#, b"abc", false),
    (r#"content:"abc"; offset:2;"#, b"xxabc", true),
    (r#"content:"abc"; offset:3;"#, b"xxabcabc", true),
    (r#"content:"abc"; depth:3;"#, b"abcx", true),
    (r#"content:"abc"; depth:3;"#, b"xabc", false),
    (r#"content:"abc"; depth:4;"#, b"xabc", true),
    (r#"content:"abc"; offset:1; depth:3;"#, b"xabc", true),
    (r#"content:"abc"; offset:1; depth:3;"#, b"xxabc", false),
    (r#"content:"abc"; depth:3; offset:1;"#, b"xabc", true),
    (r#"content:!"abc"; depth:3;"#, b"xabc", true),
    (r#"content:"x"; content:!"abc"; offset:5;"#, b"xabc", true),
    // Relative contents.
    (r#"content:"abc"; content:"def"; distance:0;"#, b"abcdef", true),
    (r#"content:"abc"; content:"def"; distance:0;"#, b"defabc", false),
    (r#"content:"abc"; content:"def"; distance:1;"#, b"abcdef", false),
    (r#"content:"abc"; content:"def"; distance:1;"#, b"abcxdef", true),
    (r#"content:"abc"; content:"def"; within:3;"#, b"abcdef", true),
    (r#"content:"abc"; content:"def"; within:3;"#, b"abcxdef", false),
    (r#"content:"abc"; content:"def"; distance:1; within:3;"#, b"abcxdef", true),
    (r#"content:"abc"; content:"def"; distance:1; within:3;"#, b"abcxxdef", false),
    (r#"content:"abc"; content:"bcd"; distance:-2;"#, b"abcd", true),
    (r#"content:"abc"; content:"abc"; distance:-3;"#, b"abc", true),
    (r#"content:"abc"; content:"a"; distance:-10; within:20;"#, b"abc", true),
    (r#"content:"abc"; content:!"def"; within:3;"#, b"abcdef", false),
    (r#"content:"abc"; content:!"def"; within:3;"#, b"abcxdef", true),
    (r#"content:"abc"; content:!"def"; distance:0;"#, b"defabc", true),
    (r#"content:"ab"; content:"ab"; distance:0;"#, b"abab", true),
    (r#"content:"aa"; content:"aa"; distance:0;"#, b"aaa", false),
    // Backtracking: a later match of what stands before fits.
    (r#"content:"a"; content:"b"; within:1;"#, b"axxab", true),
    (r#"content:"a"; content:"b"; within:1; content:"c"; within:1;"#, b"abxabyabc", true),
    (r#"content:"a"; content:"b"; distance:1; within:1; content:"c"; distance:0;"#, b"axxcaxbc", true),
    (r#"content:"a"; content:"b"; within:2; content:"c"; within:1;"#, b"abxacbc", true),
    (r#"content:"aa"; content:"b"; within:1;"#, b"aaab", true),
    (r#"content:"a"; content:!"b"; within:1;"#, b"abac", true),
    (r#"content:"a"; content:!"b"; within:1;"#, b"abab", false),
    (r#"content:"a"; content:!"b"; distance:0;"#, b"aba", true),
    (r#"content:"a"; content:!"b"; distance:0;"#, b"abb", false),
    (r#"content:"a"; content:"b"; distance:0; content:!"c"; distance:0;"#, b"abcab", true),
    // An end before the beginning binds nothing.
    (r#"content:"a"; distance:-3; within:2;"#, b"xxa", true),
    (r#"content:"b"; content:"a"; distance:-5; within:3;"#, b"bxxa", true),
    (r#"content:"a"; pcre:"/^c/R";"#, b"abac", true),
    (r#"content:"a"; pcre:"/^d/R";"#, b"abac", false),
    (r#"pcre:"/a./"; content:"c"; within:1;"#, b"axbaxc", true),
    (r#"pcre:"/a.*x/"; content:"c"; distance:0;"#, b"axcx", false),
    // The first relative content has nothing before it.
    (r#"content:"abc"; within:3;"#, b"abcd", true),
    (r#"content:"abc"; within:3;"#, b"xabcd", false),
    (r#"content:"abc"; distance:1;"#, b"abcd", false),
    (r#"content:"abc"; distance:1; within:3;"#, b"xabc", true),
    // Beginning and end.
    (r#"content:"abc"; startswith;"#, b"abcd", true),
    (r#"content:"abc"; startswith;"#, b"xabc", false),
    (r#"content:"ABC"; startswith; nocase;"#, b"abcd", true),
    (r#"content:!"abc"; startswith;"#, b"xabc", true),
    (r#"content:!"abc"; startswith;"#, b"abc", false),
    (r#"content:"abc"; endswith;"#, b"abcabc", true),
    (r#"content:"abc"; endswith;"#, b"abcx", false),
    (r#"content:"AbC"; nocase; endswith;"#, b"xxaBc", true),
    (r#"content:"abc"; startswith; endswith;"#, b"abc", true),
    (r#"content:"abc"; startswith; endswith;"#, b"abcabc", false),
    (r#"content:!"abc"; endswith;"#, b"abcx", true),
    (r#"content:!"abc"; endswith;"#, b"xabc", false),
    (r#"content:!"abc"; endswith;"#, b"abcabc", false),
    (r#"content:"a"; content:"bc"; distance:0; endswith;"#, b"abcxbc", true),
    (r#"content:"a"; content:"bc"; within:2; endswith;"#, b"abcabc", true),
    // Fast patterns change nothing about the answer.
    (r#"content:"abc"; fast_pattern:only; content:"d";"#, b"dabc", true),
    (r#"content:"abc"; fast_pattern:only; content:"d";"#, b"abc", false),
    (r#"content:"abcdef"; fast_pattern:1,3; content:"x";"#, b"xabcdef", true),
    (r#"content:"abcdef"; fast_pattern:1,3; content:"x";"#, b"xbcd", false),
    (r#"content:"ABC"; nocase; fast_pattern; content:"x"; distance:0;"#, b"abcx", true),
    (r#"content:"long content"; content:"x"; fast_pattern;"#, b"long content x", true),
    // Expressions.
    (r#"pcre:"/a{3}/";"#, b"xaaa", true),
    (r#"pcre:"/A{3}/i";"#, b"xaaa", true),
    (r#"pcre:!"/a{3}/";"#, b"xaa", true),
    (r#"content:"x"; pcre:!"/a{3}/";"#, b"xaaa", false),
    (r#"pcre:"/^a\x3b\;$/m";"#, b"b\na;;\nc", true),
    (r#"content:"a/b"; pcre:"/a\/b/";"#, b"a/b", true),
    (r#"pcre:"/(a)(b)\1/";"#, b"aba", true),
    (r#"pcre:"/a(?=b)/";"#, b"ab", true),
    (r#"content:"abc"; pcre:"/^\d{2}$/R";"#, b"abc12", true),
    (r#"content:"abc"; pcre:"/^\d{2}$/R";"#, b"abc123", false),
    (r#"content:"abc"; pcre:!"/^d/R";"#, b"abcd", false),
    (r#"content:"abc"; rawbytes;"#, b"abc", true),
    // Sizes and numbers.
    (r#"content:"abc"; dsize:5;"#, b"abcde", true),
    (r#"content:"abc"; dsize:3<>6;"#, b"abc", false),
    (r#"content:"abc"; isdataat:2,relative;"#, b"abcde", true),
    (r#"content:"abc"; isdataat:3,relative;"#, b"abcde", false),
    (r#"content:"abc"; isdataat:!1,relative;"#, b"xxabc", true),
    (r#"content:"abc"; isdataat:!1,relative;"#, b"abcabc", true),
    (r#"content:"a"; isdataat:4;"#, b"abcde", true),
    (r#"content:"a"; isdataat:5;"#, b"abcde", false),
    (r#"content:"a"; byte_test:2,=,258,0,relative;"#, b"a\x01\x02", true),
    (r#"content:"a"; byte_test:2,=,513,0,relative,little;"#, b"a\x01\x02", true),
    (r#"content:"a"; byte_test:1,&,0x80,-2,relative;"#, b"\x81a", true),
    (r#"content:"a"; byte_test:1,!&,0x80,-2,relative;"#, b"\x81a", false),
    (r#"content:"a"; byte_test:4,>,0,0,relative;"#, b"a\x01\x02", false),
    (r#"content:"n="; byte_test:0,>,99,0,relative,string,dec;"#, b"n=100x", true),
    (r#"content:"n="; byte_test:4,=,0x1f,0,relative,string,hex;"#, b"n=0x1f", true),
    (r#"content:"n="; byte_test:1,=,3,0,relative,bitmask 0xf0;"#, b"n=5", true),
    (r#"content:"a"; byte_jump:1,0,relative; content:"z"; distance:0; within:1;"#, b"a\x02xxz", true),
    (r#"content:"a"; byte_jump:1,0,relative; content:"z"; distance:0; within:1;"#, b"a\x03xxz", false),
    (r#"content:"a"; byte_jump:1,0,relative,multiplier 2,post_offset -1; content:"z"; within:1;"#, b"a\x01xz", true),
    (r#"content:"a"; byte_jump:1,0,relative,from_beginning; content:"z"; within:1;"#, b"zza\x01", true),
    (r#"content:"a"; byte_jump:1,0,relative,align; content:"z"; within:1;"#, b"a\x01xxxxz", true),
    (r#"content:"a"; byte_jump:2,0,relative,string,dec; isdataat:!1,relative;"#, b"a03xyz", true),
];

#[test]
fn payload_options_match_as_in_suricata() {
    for kind in kinds() {
        for (options, payload, expected) in PAYLOAD {
            let rule = format!("alert udp any any -> any any ({options} sid:1;)");
            let mut bench = Bench { proto: ip_proto::UDP, ..Bench::over(load_with(&rule, Some(kind))) };
            let told = bench.packet(Direction::ToServer, payload);
            assert_eq!(!told.is_empty(), *expected, "{kind:?} {options} on {:?}", String::from_utf8_lossy(payload));
        }
    }
}

#[test]
fn a_stream_of_the_same_bytes_matches_the_same() {
    // dsize looks at packets.
    for (options, payload, expected) in PAYLOAD.iter().filter(|(options, ..)| !options.contains("dsize")) {
        let mut bench = Bench::new(&format!("alert tcp any any -> any any ({options} sid:1;)"));
        let told = bench.stream(Direction::ToServer, payload, 0, 0);
        assert_eq!(!told.is_empty(), *expected, "{options} on {:?}", String::from_utf8_lossy(payload));
    }
}

#[test]
fn decoys_do_not_hide_a_match_and_cost_what_they_are_worth() {
    // (options, decoy, what follows the decoys, matches behind 200 of them)
    let cases: &[(&str, &str, &str, bool)] = &[
        (r#"content:"x="; pcre:"/^[a-z]{2}\x3b/R";"#, "x=1", "x=ab;", true),
        (r#"content:"x="; pcre:"/[a-z]{2}\x3b/R";"#, "x=1", "ab;", true),
        (r#"content:"x="; pcre:"/^[a-z]{900}\x3b$/R";"#, "x=1", "x=", false),
        (r#"content:"x="; pcre:"/^[0-9x=]+$/R"; content:"q"; distance:0;"#, "x=1", "q", false),
        (r#"content:"x="; isdataat:3,relative; pcre:"/y=[0-9]/";"#, "x=1", "y=1", true),
        (r#"content:"x="; isdataat:3,relative; pcre:"/y=[0-9]/";"#, "x=1", "y=q", false),
        (r#"content:"x="; content:!"y="; pcre:"/^q/R";"#, "x=1", "x=q", true),
        (r#"content:"x="; content:!"y="; pcre:"/^q/R";"#, "x=1", "x=qy=", false),
    ];
    for (options, decoy, rest, expected) in cases {
        let mut bench = Bench {
            proto: ip_proto::UDP,
            ..Bench::over(load_with(&format!("alert udp any any -> any any ({options} sid:1;)"), None))
        };
        let told = bench.packet(Direction::ToServer, format!("{}{rest}", decoy.repeat(200)).as_bytes());
        assert_eq!(!told.is_empty(), *expected, "{options} before {rest}");
    }
    // Each decoy sends the expression through all that follows, and there are thirty thousand.
    let rule = r#"alert udp any any -> any any (content:"x="; pcre:"/y[0-9]+z/R"; sid:1;)"#;
    let mut bench = Bench { proto: ip_proto::UDP, ..Bench::over(load_with(rule, None)) };
    assert!(bench.packet(Direction::ToServer, &b"x=".repeat(30_000)).is_empty());
}

type Buffers = &'static [(BufferId, &'static [u8])];

const GET: Buffers = &[
    (BufferId::HttpMethod, b"GET"),
    (BufferId::HttpUri, b"/admin/login.php?id=1"),
    (BufferId::HttpUserAgent, b"Mozilla/5.0 (evil)"),
];
const POST: Buffers = &[
    (BufferId::HttpMethod, b"POST"),
    (BufferId::HttpUri, b"/upload"),
    (BufferId::HttpRequestBody, b"user=root&pass=toor"),
    (BufferId::HttpResponseBody, b"<html>uid=0(root)</html>"),
];

/// (options of an http rule, buffers, matches)
const HTTP: &[(&str, Buffers, bool)] = &[
    (r#"http.method; content:"GET"; http.uri; content:"/admin"; startswith;"#, GET, true),
    (r#"http.method; content:"POST"; http.uri; content:"/admin"; startswith;"#, GET, false),
    (r#"content:"GET"; http_method; content:"login.php"; http_uri; nocase;"#, GET, true),
    (r#"content:"/admin"; http_uri; content:"id="; http_uri; distance:0;"#, GET, true),
    (r#"content:"id="; http_uri; content:"/admin"; http_uri; distance:0;"#, GET, false),
    (r#"uricontent:"login.php"; nocase; pcre:"/ID=\d+$/Ui";"#, GET, true),
    (r#"uricontent:"login.php"; pcre:"/ID=\d+$/U";"#, GET, false),
    (r#"uricontent:"login.php"; isdataat:4,relative;"#, GET, true),
    (r#"uricontent:"login.php"; isdataat:400,relative;"#, GET, false),
    (r#"http.uri; content:"login.php"; pcre:"/^id=\d/R"; http.user_agent; content:"evil";"#, GET, false),
    (r#"http.uri; content:"login.php"; pcre:"/^\?id=\d/R"; http.user_agent; content:"evil";"#, GET, true),
    (r#"http.user_agent; content:!"evil";"#, GET, false),
    (r#"http.user_agent; content:!"good"; http.uri; content:"login";"#, GET, true),
    (r#"http.uri; bsize:21; content:"login";"#, GET, true),
    (r#"http.uri; bsize:<21; content:"login";"#, GET, false),
    (r"http.method; bsize:3;", GET, true),
    (r"urilen:21;", GET, true),
    (r#"urilen:>21; http.method; content:"GET";"#, GET, false),
    (r#"http.method; content:"G"; http.uri; content:"a"; http.method; content:"T"; distance:1;"#, GET, true),
    (r#"content:"evil"; http_user_agent; pcre:"/^Mozilla/V";"#, GET, true),
    (r#"http.request_body; content:"pass=";"#, GET, false),
    (r#"http.method; content:"POST"; http.request_body; content:"user=root"; content:"toor"; distance:0;"#, POST, true),
    (r#"content:"pass="; http_client_body; pcre:"/root/P";"#, POST, true),
    (r#"flow:to_client; file_data; content:"uid=0";"#, POST, true),
    (r#"flow:established,to_client; file.data; content:"root"; content:"html"; distance:0;"#, POST, true),
    (r#"flow:to_server; file_data; content:"pass=";"#, POST, true),
    (r#"flow:to_server; file_data; content:"uid=0";"#, POST, false),
    (r#"file_data; content:"uid=0";"#, POST, true),
    (r#"file_data; content:"pass=";"#, POST, true),
    (r#"file_data; content:"root"; file_data; content:"uid"; distance:0;"#, POST, true),
    (r#"http.uri; content:"/upload"; file_data; content:"pass=";"#, POST, true),
    (r#"http.uri; content:"/upload"; file_data; content:"uid=0";"#, POST, false),
];

fn all_stages(bench: &mut Bench, tx: &mut FakeTx) -> Vec<u32> {
    [Stage::Request, Stage::RequestBody, Stage::Response, Stage::ResponseBody]
        .into_iter()
        .flat_map(|stage| bench.transaction(stage, tx))
        .collect()
}

#[test]
fn http_options_match_as_in_suricata() {
    for kind in kinds() {
        for (options, buffers, expected) in HTTP {
            let rule = format!("alert http any any -> any any ({options} sid:1;)");
            let mut bench = Bench::over(load_with(&rule, Some(kind)));
            let told = all_stages(&mut bench, &mut FakeTx::http(buffers));
            assert_eq!(told, if *expected { vec![1] } else { vec![] }, "{kind:?} {options}");
        }
    }
}

/// (options of a dns rule, names asked for, matches)
const DNS: &[(&str, &[&[u8]], bool)] = &[
    (r#"dns.query; content:"evil.example"; nocase; bsize:12;"#, &[b"Evil.Example"], true),
    (r#"dns_query; content:"evil"; content:"example"; distance:1; within:7;"#, &[b"evil.example"], true),
    (r#"dns.query; content:"evil"; content:"good";"#, &[b"evil.example", b"good.example"], false),
    (r#"dns.query; content:"evil"; dns.query; content:"good";"#, &[b"evil.example", b"good.example"], true),
    (r#"dns.query; content:".example"; endswith; pcre:"/^[a-z]{4}\./";"#, &[b"x.example", b"evil.example"], true),
    (r#"dns.query; content:!"evil";"#, &[b"good.example"], true),
];

#[test]
fn dns_options_match_as_in_suricata() {
    for (options, names, expected) in DNS {
        let mut bench = Bench::udp(&format!("alert dns any any -> any any ({options} sid:1;)"));
        let told = bench.transaction(Stage::Request, &mut FakeTx::dns(names));
        assert_eq!(told, if *expected { vec![1] } else { vec![] }, "{options}");
    }
}

#[test]
fn hostile_bytes_cannot_hold_a_chain_up() {
    let mut bench = Bench::udp(
        r#"alert udp any any -> any any (content:"a"; content:"a"; within:50; content:"a"; within:50; content:"a"; within:50;
           content:"b"; within:50; sid:1;)"#
            .replace('\n', " ")
            .as_str(),
    );
    let mut payload = vec![b'a'; 60_000];
    payload.push(b'b');
    // Suricata gives up at the same number of steps; what matters is that an answer comes.
    bench.packet(Direction::ToServer, &payload);
}
