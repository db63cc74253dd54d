"""Cases of HTTP: what is said between client and server, and which buffer a rule sees it in."""

from __future__ import annotations

import gzip
import zlib

from tests.cases.case import CLIENT_SIDE, SERVER_SIDE, Case, found, rule, spoken

HTTP = "http any any -> any any"
PAGE = b"<html>" + b"nothing to see. " * 40 + b"evil-in-the-page</html>"


def get(target: str, agent: str = "case") -> bytes:
    """A request without body."""
    return f"GET {target} HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: {agent}\r\n\r\n".encode()


def post(target: str, body: bytes) -> bytes:
    """A form."""
    return f"POST {target} HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def answer(body: bytes, *headers: str) -> bytes:
    """A response with its length."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/html", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunks(body: bytes, size: int) -> bytes:
    """The chunked coding (RFC 9112 section 7.1)."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n"
ZIPPED = gzip.compress(PAGE, 6, mtime=0)
IN_PAGE = rule(1, 'flow:established,to_client; file_data; content:"evil-in-the-page";', HTTP)

CASES = (
    Case(
        "http-pipelined",
        "Three requests in one segment: each is a transaction of its own; contents of one rule must be in the same.",
        (
            rule(1, 'http.uri; content:"/second"; startswith; endswith;', HTTP),
            rule(2, 'http.uri; content:"/third"; bsize:6; http.user_agent; content:"three"; bsize:5;', HTTP),
            rule(3, 'http.uri; content:"/first"; http.user_agent; content:"three";', HTTP),
        ),
        spoken(
            (CLIENT_SIDE, get("/first", "one") + get("/second", "two") + get("/third", "three")),
            (SERVER_SIDE, answer(b"1") + answer(b"2") + answer(b"3")),
        ),
        (found((1, 0, 1), (2, 0, 1)),),
    ),
    Case(
        "http-gzip-body",
        "The pattern is in a gzipped body: found in file_data, not in the bytes of the stream.",
        (IN_PAGE, rule(2, 'flow:established,to_client; content:"evil-in-the-page";')),
        spoken((CLIENT_SIDE, get("/")), (SERVER_SIDE, answer(ZIPPED, "Content-Encoding: gzip")), segment_bytes=50),
        (found((1, 1, 1)),),
    ),
    Case(
        "http-chunked-body",
        "Chunks of seven bytes cut the pattern; file_data has it whole.",
        (IN_PAGE, rule(2, 'flow:established,to_client; content:"evil-in-the-page";')),
        spoken((CLIENT_SIDE, get("/")), (SERVER_SIDE, CHUNKED + b"\r\n" + chunks(PAGE, 7))),
        (found((1, 1, 1)),),
    ),
    Case(
        "http-chunked-gzip-body",
        "Gzipped, then chunked, then in small segments.",
        (IN_PAGE,),
        spoken(
            (CLIENT_SIDE, get("/")),
            (SERVER_SIDE, CHUNKED + b"Content-Encoding: gzip\r\n\r\n" + chunks(ZIPPED, 11)),
            segment_bytes=40,
        ),
        (found((1, 1, 1)),),
    ),
    Case(
        "http-deflate-body",
        "The deflate coding, as zlib stream and, as some servers send it, without zlib's frame.",
        (IN_PAGE,),
        spoken(
            (CLIENT_SIDE, get("/1")),
            (SERVER_SIDE, answer(zlib.compress(PAGE), "Content-Encoding: deflate")),
            (CLIENT_SIDE, get("/2")),
            (SERVER_SIDE, answer(zlib.compress(PAGE)[2:-4], "Content-Encoding: deflate")),
        ),
        (found((1, 1, 2)),),
    ),
    Case(
        "http-body-until-close",
        "A response without a length ends with the connection.",
        (IN_PAGE,),
        spoken((CLIENT_SIDE, b"GET / HTTP/1.0\r\n\r\n"), (SERVER_SIDE, b"HTTP/1.0 200 OK\r\n\r\n" + PAGE)),
        (found((1, 1, 1)),),
    ),
    Case(
        "http-head-response",
        "The answer to HEAD has a length but no body: the next response begins right behind its headers.",
        (IN_PAGE,),
        spoken(
            (CLIENT_SIDE, b"HEAD / HTTP/1.1\r\nHost: www.example.com\r\n\r\n"),
            (SERVER_SIDE, b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"),
            (CLIENT_SIDE, get("/")),
            (SERVER_SIDE, answer(PAGE)),
        ),
        (found((1, 1, 1)),),
    ),
    Case(
        "http-continue",
        "An interim response comes before the body is sent; it is not the answer.",
        (IN_PAGE, rule(2, 'http.request_body; content:"late body"; startswith; endswith;', HTTP)),
        spoken(
            (CLIENT_SIDE, b"PUT /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"),
            (SERVER_SIDE, b"HTTP/1.1 100 Continue\r\n\r\n"),
            (CLIENT_SIDE, b"late body"),
            (SERVER_SIDE, answer(PAGE)),
        ),
        (found((1, 1, 1), (2, 0, 1)),),
    ),
    Case(
        "http-chunked-request-body",
        "The request's body comes in chunks; http.request_body has it whole.",
        (rule(1, 'http.request_body; content:"evil=in-chunks"; startswith; endswith;', HTTP),),
        spoken(
            (
                CLIENT_SIDE,
                b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"evil=in-chunks", 5),
            ),
            (SERVER_SIDE, answer(b"ok")),
        ),
        (found((1, 0, 1)),),
    ),
    Case(
        "http-user-agent",
        "http.user_agent is the value without the white space around it; a request without one matches nothing.",
        (
            rule(1, 'http.user_agent; content:"padded agent"; bsize:12;', HTTP),
            rule(2, 'http.user_agent; content:!"padded"; content:!"agent";', HTTP),
        ),
        spoken(
            (CLIENT_SIDE, get("/", "   padded agent  ")),
            (SERVER_SIDE, answer(b"ok")),
            (CLIENT_SIDE, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (SERVER_SIDE, answer(b"ok")),
        ),
        (found((1, 0, 1)),),
    ),
    Case(
        "http-old-spellings",
        "The keywords of older rules: modifiers behind their content, and uricontent.",
        (
            rule(
                1,
                'content:"/old/"; http_uri; content:"POST"; http_method; content:"/SPELLING"; nocase; http_uri;',
                HTTP,
            ),
            rule(2, 'uricontent:"/old/spelling"; content:"GET"; http_method;', HTTP),
            rule(3, 'uricontent:"/old/"; uricontent:"spelling"; distance:0;', HTTP),
        ),
        spoken((CLIENT_SIDE, post("/old/spelling", b"x")), (SERVER_SIDE, answer(b"ok"))),
        (found((1, 0, 1), (3, 0, 1)),),
    ),
    Case(
        "http-request-body",
        "A form's bytes are in http.request_body and nowhere else of the request.",
        (
            rule(1, 'http.method; content:"POST"; http.request_body; content:"evil=1"; startswith;', HTTP),
            rule(2, 'http.uri; content:"evil";', HTTP),
            rule(3, 'http.request_body; content:"/form";', HTTP),
        ),
        spoken((CLIENT_SIDE, post("/form", b"evil=1&more=2")), (SERVER_SIDE, answer(b"ok"))),
        (found((1, 0, 1)),),
    ),
    Case(
        "http-uri-normalised",
        "http.uri is the path a server would open: percent-decoded, without empty and dot segments.",
        (
            rule(1, 'http.uri; content:"/etc/passwd"; bsize:11;', HTTP),
            rule(2, 'http.uri; content:"%65";', HTTP),
            rule(3, 'http.uri; content:"..";', HTTP),
        ),
        spoken((CLIENT_SIDE, get("/a/b/..//%2e%2e/./%65tc//passwd")), (SERVER_SIDE, answer(b"no"))),
        (found((1, 0, 1)),),
    ),
    Case(
        "flowbits-chain",
        "Login, then download, then logout: a rule fires only in the state that the bits say.",
        (
            rule(1, 'http.uri; content:"/login"; flowbits:set,case.in; flowbits:noalert;', HTTP),
            rule(2, 'http.uri; content:"/download"; flowbits:isset,case.in;', HTTP),
            rule(3, 'http.uri; content:"/logout"; flowbits:unset,case.in;', HTTP),
            rule(4, 'http.uri; content:"/download"; flowbits:isnotset,case.in;', HTTP),
        ),
        spoken(
            *(
                turn
                for target in ("/download?n=1", "/login", "/download?n=2", "/logout", "/download?n=3")
                for turn in ((CLIENT_SIDE, get(target)), (SERVER_SIDE, answer(b"ok")))
            )
        ),
        (found((2, 0, 1), (3, 0, 1), (4, 0, 2)),),
    ),
)
