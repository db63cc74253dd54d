"""Cases of the rule language itself: one keyword each, with neighbours that must stay silent by one byte."""

from __future__ import annotations

import struct

from tests.cases.case import CLIENT, CLIENT_SIDE, SERVER, SERVER_SIDE, Case, found, rule, spoken
from tests.cases.craft import udp

UDP_9999 = "udp any any -> any 9999"


def datagram(payload: bytes) -> bytes:
    """From the client to port 9999."""
    return udp(CLIENT, (SERVER[0], 9999), payload)


def dns(ident: int, *names: str) -> bytes:
    """A query for A records (RFC 1035 section 4)."""
    labels = [b"".join(bytes((len(part),)) + part.encode() for part in name.split(".")) + b"\0" for name in names]
    questions = b"".join(label + struct.pack(">HH", 1, 1) for label in labels)
    return struct.pack(">6H", ident, 0x0100, len(names), 0, 0, 0) + questions


def _dns_queries() -> tuple[bytes, ...]:
    resolver = (SERVER[0], 53)
    over_tcp = dns(3, "tcp.example.net")
    return (
        udp(CLIENT, resolver, dns(1, "Evil.Example.com")),
        udp(CLIENT, resolver, dns(2, "www.example.org", "two.example.org")),
        udp(CLIENT, resolver, dns(4, "evil.example.com.au")),
        udp(CLIENT, resolver, dns(5, over_tcp[12:].hex()[:20] + ".example")),
    )


def threshold(sid: int, kind: str, count: int, seconds: int) -> str:
    """A rule on the datagrams below with one threshold."""
    body = f'content:"tick"; startswith; threshold:type {kind}, track by_src, count {count}, seconds {seconds};'
    return rule(sid, body, UDP_9999)


CASES = (
    Case(
        "content-positions",
        "offset, depth, distance and within at their exact bounds (odd sids) and one byte short of them (even sids).",
        (
            rule(1, 'content:"abc"; offset:4; depth:3;', UDP_9999),
            rule(2, 'content:"abc"; offset:5;', UDP_9999),
            rule(3, 'content:"abc"; depth:7;', UDP_9999),
            rule(4, 'content:"abc"; depth:6;', UDP_9999),
            rule(5, 'content:"abc"; content:"def"; distance:2; within:3;', UDP_9999),
            rule(6, 'content:"abc"; content:"def"; distance:3;', UDP_9999),
            rule(7, 'content:"abc"; content:"def"; within:5;', UDP_9999),
            rule(8, 'content:"abc"; content:"def"; within:4;', UDP_9999),
            rule(9, 'content:"def"; content:"abc"; distance:-8; within:3;', UDP_9999),
            rule(10, 'content:"def"; content:"abc"; distance:-7;', UDP_9999),
        ),
        (datagram(b"0123abc..def"),),
        (found(*((sid, 0, 1) for sid in (1, 3, 5, 7, 9))),),
    ),
    Case(
        "content-backtracking",
        "A relative content must try every earlier match of the one before it, not only the first.",
        (
            rule(1, 'content:"key"; content:"=9"; distance:0; within:2;', UDP_9999),
            rule(2, 'content:"key"; content:"=7"; distance:0; within:2;', UDP_9999),
            rule(
                3,
                'content:"key"; content:"="; distance:0; within:1; pcre:"/^9;/R";'.replace(";/R", r"\x3b/R"),
                UDP_9999,
            ),
        ),
        (datagram(b"key=1;key=2;key=9;end"),),
        (found((1, 0, 1), (3, 0, 1)),),
    ),
    Case(
        "content-ends",
        "startswith, endswith, nocase, hex and negation.",
        (
            rule(1, 'content:"GREETING"; nocase; startswith;', UDP_9999),
            rule(2, 'content:"reeting"; startswith;', UDP_9999),
            rule(3, 'content:"|0D 0A|"; endswith;', UDP_9999),
            rule(4, 'content:"world"; endswith;', UDP_9999),
            rule(5, 'content:"greeting"; startswith; content:!"moon";', UDP_9999),
            rule(6, 'content:"greeting"; startswith; content:!"WORLD"; nocase;', UDP_9999),
            rule(7, 'content:"greeting"; content:!"hello"; distance:0; within:8;', UDP_9999),
            rule(8, 'content:"greeting"; content:!"hello"; distance:0; within:9;', UDP_9999),
        ),
        (datagram(b"greeting to hello world\r\n"),),
        (found((1, 0, 1), (3, 0, 1), (5, 0, 1), (7, 0, 1)),),
    ),
    Case(
        "pcre-modifiers",
        "i, s, m, x, A, R, negation and a back reference.",
        (
            rule(1, 'content:"line"; pcre:"/LINE two/i";', UDP_9999),
            rule(2, 'content:"line"; pcre:"/LINE two/";', UDP_9999),
            rule(3, 'content:"line"; pcre:"/one.line/s";', UDP_9999),
            rule(4, 'content:"line"; pcre:"/one.line/";', UDP_9999),
            rule(5, 'content:"line"; pcre:"/^line two$/m";', UDP_9999),
            rule(6, 'content:"line"; pcre:"/^line two$/";', UDP_9999),
            rule(7, r'content:"line"; pcre:"/(o)ne\nline tw\1/";', UDP_9999),
            rule(8, 'content:"line"; pcre:!"/line two/";', UDP_9999),
            rule(9, r'content:"line one|0A|"; pcre:"/^line/R";', UDP_9999),
            rule(10, 'content:"line one"; pcre:"/^line/R";', UDP_9999),
        ),
        (datagram(b"line one\nline two\nline three"),),
        (found(*((sid, 0, 1) for sid in (1, 3, 5, 7, 9))),),
    ),
    Case(
        "header-addresses",
        "Directions, negation, lists, ranges and variables of the rule header (odd sids match).",
        (
            rule(1, 'content:"tick";', "udp $HOME_NET any -> $EXTERNAL_NET 9999"),
            rule(2, 'content:"tick";', "udp $EXTERNAL_NET any -> $HOME_NET any"),
            rule(3, 'content:"tick";', "udp $EXTERNAL_NET any <> $HOME_NET any"),
            rule(4, 'content:"tick";', "udp !$HOME_NET any -> any any"),
            rule(5, 'content:"tick";', "udp [192.0.2.0/24,!192.0.2.128/25] 39999:40000 -> 198.51.100.80 [1:9,9999]"),
            rule(6, 'content:"tick";', "udp [192.0.2.0/24,!192.0.2.0/28] any -> any any"),
            rule(7, 'content:"tick";', "udp any !1:1024 -> any [!80,!443]"),
            rule(8, 'content:"tick";', "udp any any -> any !9990:"),
        ),
        (datagram(b"tick"),),
        (found(*((sid, 0, 1) for sid in (1, 3, 5, 7))),),
    ),
    Case(
        "threshold-types",
        "Twenty datagrams, half a second apart: limit tells the first of each window (its last instant is inside), "
        "threshold every fifth, both one.",
        (
            threshold(1, "limit", 2, 60),
            threshold(2, "threshold", 5, 60),
            threshold(3, "both", 5, 60),
            threshold(4, "limit", 1, 3),
        ),
        tuple(datagram(b"tick %d" % number) for number in range(20)),
        (found((1, 0, 2), (2, 0, 4), (3, 0, 1), (4, 0, 3)),),
        500_000,
    ),
    Case(
        "threshold-by-destination",
        "Datagrams to two ports: by_dst counts per address, by_src too, by_rule all alike.",
        (
            rule(1, 'content:"tick"; threshold:type threshold, track by_dst, count 4, seconds 60;', UDP_9999),
            rule(2, 'content:"tick 1"; threshold:type limit, track by_dst, count 1, seconds 60;', UDP_9999),
        ),
        tuple(datagram(b"tick %d" % number) for number in range(20)),
        (found((1, 0, 5), (2, 0, 1)),),
    ),
    Case(
        "address-only-rule",
        "A rule about addresses alone is told once for a direction of a flow, not for every packet.",
        (
            rule(1, "", "ip $HOME_NET any -> any any"),
            rule(2, "", "ip any any -> $HOME_NET any"),
            rule(3, "", "ip 203.0.113.0/24 any -> any any"),
        ),
        spoken((CLIENT_SIDE, b"one"), (SERVER_SIDE, b"two"), (CLIENT_SIDE, b"three"), (SERVER_SIDE, b"four")),
        (found((1, 0, 1), (2, 1, 1)),),
    ),
    Case(
        "flowbits-operations",
        "toggle, isset with alternatives, and a bit that another flow has set.",
        (
            rule(1, 'content:"one"; flowbits:toggle,case.t; flowbits:noalert;', UDP_9999),
            rule(2, 'content:"two"; flowbits:isset,case.t;', UDP_9999),
            rule(3, 'content:"two"; flowbits:isset,case.absent|case.t;', UDP_9999),
            rule(4, 'content:"two"; flowbits:isset,case.absent;', UDP_9999),
        ),
        (
            datagram(b"two, nothing set"),
            datagram(b"one"),
            datagram(b"two, set"),
            datagram(b"one"),
            datagram(b"two, off again"),
        ),
        (found((2, 0, 1), (3, 0, 1)),),
    ),
    Case(
        "dns-query",
        "Each question is a buffer of dotted text without the last dot; letters keep their case.",
        (
            rule(1, 'dns.query; content:"evil.example.com"; nocase; bsize:16;', "dns any any -> any any"),
            rule(2, 'dns.query; content:"evil.example.com"; bsize:16;', "dns any any -> any any"),
            rule(3, 'dns.query; content:"two.example.org"; startswith; endswith;', "dns any any -> any any"),
            rule(4, 'dns.query; content:"www"; content:"two"; distance:0;', "dns any any -> any any"),
        ),
        _dns_queries(),
        (found((1, 0, 1), (3, 0, 1)),),
    ),
    Case(
        "flow-direction",
        "to_server, to_client and established; a rule for packets without data fires on none with data only.",
        (
            rule(1, 'flow:established,to_server; content:"ping-pong";'),
            rule(2, 'flow:established,to_client; content:"ping-pong";'),
            rule(3, 'flow:established,to_client; content:"pong-ping";'),
            rule(4, 'flow:not_established; content:"ping-pong";'),
        ),
        spoken((CLIENT_SIDE, b"ping-pong"), (SERVER_SIDE, b"pong-ping")),
        (found((1, 0, 1), (3, 1, 1)),),
    ),
)
