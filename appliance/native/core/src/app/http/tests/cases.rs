//! Conversations and what is told of them; each runs whole, byte by byte and split at every place.

use crate::inspect::Direction::{self, ToClient, ToServer};

/// (what it shows, pieces in order, stages told)
pub type Case = (&'static str, &'static [(Direction, &'static str)], &'static [&'static str]);

pub const CASES: &[Case] = &[
    (
        "a request and its answer",
        &[
            (ToServer, "GET /a%20b?x=1 HTTP/1.1\r\nHost: h\r\nUser-Agent:  ua \r\n\r\n"),
            (ToClient, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        ],
        &["0 0: GET /a b?x=1 ua", "0 1: -", "0 2: 200", "0 3: hello"],
    ),
    (
        "pipelined requests are paired in order",
        &[
            (ToServer, "GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n"),
            (ToClient, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nA"),
            (ToClient, "HTTP/1.1 404 No\r\nContent-Length: 99\r\n\r\nHTTP/1.1 204 Nothing\r\n\r\n"),
        ],
        &[
            "0 0: GET /1 -", "0 1: -", "1 0: HEAD /2 -", "1 1: -", "2 0: GET /3 -", "2 1: -", "0 2: 200", "0 3: A", "1 2: 404", "1 3: -",
            "2 2: 204", "2 3: -",
        ],
    ),
    (
        "bare line feeds, folded fields, leading empty lines",
        &[
            (ToServer, "\r\n\nPOST /p HTTP/1.0\nUser-Agent: a\n b\nContent-Length: 4\n\nbody"),
            (ToClient, "HTTP/1.0 200\n\nuntil the end"),
        ],
        &["0 0: POST /p a b", "0 1: body", "0 2: 200", "0 3: until the end"],
    ),
    (
        "chunks with extensions and trailers, both ways",
        &[
            (ToServer, "POST /c HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n 2 \r\nde\r\n0\r\nT: t\r\n\r\n"),
            (ToClient, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n"),
            (ToServer, "GET /next HTTP/1.1\r\n\r\n"),
        ],
        &["0 0: POST /c -", "0 1: abcde", "0 2: 200", "0 3: 0123456789", "1 0: GET /next -", "1 1: -", "1 2: -", "1 3: -"],
    ),
    (
        "100 and 103 come before the answer, 204 and 304 have no body",
        &[
            (ToServer, "POST /e HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
            (ToClient, "HTTP/1.1 100 Continue\r\n\r\n"),
            (ToServer, "okGET /f HTTP/1.1\r\n\r\n"),
            (ToClient, "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\nHTTP/1.1 304 Same\r\n\r\n"),
        ],
        &["0 0: POST /e -", "0 1: ok", "1 0: GET /f -", "1 1: -", "0 2: 201", "0 3: -", "1 2: 304", "1 3: -"],
    ),
    (
        "a body that was announced and refused is not waited for",
        &[
            (ToServer, "PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"),
            (ToClient, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"),
            (ToServer, "GET /y HTTP/1.1\r\n\r\n"),
        ],
        &["0 0: PUT /x -", "0 1: -", "0 2: 417", "0 3: -", "1 0: GET /y -", "1 1: -", "1 2: -", "1 3: -"],
    ),
    (
        "an answer that comes before the request's end waits for it",
        &[
            (ToServer, "POST /slow HTTP/1.1\r\nContent-Length: 4\r\n\r\nab"),
            (ToClient, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            (ToServer, "cd"),
        ],
        &["0 0: POST /slow -", "0 1: abcd", "0 2: 200", "0 3: ok"],
    ),
    (
        "CONNECT ends HTTP after a 2xx and goes on after a refusal",
        &[
            (ToServer, "CONNECT h:443 HTTP/1.1\r\n\r\n"),
            (ToClient, "HTTP/1.1 407 Auth\r\nContent-Length: 1\r\n\r\nx"),
            (ToServer, "CONNECT h:443 HTTP/1.1\r\nUser-Agent: u\r\n\r\n"),
            (ToClient, "HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01"),
            (ToServer, "GET /no HTTP/1.1\r\n\r\n"),
        ],
        &["0 0: CONNECT - -", "0 1: -", "0 2: 407", "0 3: x", "1 0: CONNECT - u", "1 1: -", "1 2: 200", "1 3: -"],
    ),
    (
        "Upgrade ends HTTP",
        &[
            (ToServer, "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
            (ToClient, "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
            (ToServer, "GET /no HTTP/1.1\r\n\r\n"),
        ],
        &["0 0: GET /ws -", "0 1: -", "0 2: 101", "0 3: -"],
    ),
    (
        "an answer without a question",
        &[(ToClient, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")],
        &["0 0: - - -", "0 1: -", "0 2: 200", "0 3: hi"],
    ),
    (
        "an answer without a header is all body",
        &[(ToServer, "GET /old\r\n"), (ToClient, "<html>\nold</html>")],
        &["0 0: GET /old -", "0 1: -", "0 2: -", "0 3: <html>\nold</html>"],
    ),
    (
        "chunks that are none are shown as they come",
        &[
            (ToServer, "GET / HTTP/1.1\r\n\r\n"),
            (ToClient, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n<html>\r\nx"),
        ],
        &["0 0: GET / -", "0 1: -", "0 2: 200", "0 3: <html>\r\nx"],
    ),
    (
        "an answer with lines ended by carriage returns alone",
        &[
            (ToServer, "GET / HTTP/1.1\r\n\r\n"),
            (ToClient, "HTTP/1.1 200 ok\rA: b\rTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
        ],
        &["0 0: GET / -", "0 1: -", "0 2: 200", "0 3: hi"],
    ),
    (
        "names and values folded, repeated and with NUL bytes inside",
        &[
            (ToServer, "GET / HTTP/1.1\r\n\r\n"),
            (
                ToClient,
                "HTTP/1.1 200 ok\r\nTransfer-Encoding: x\r\nA: b\r\nTrans\0fer-Encoding\r\n :\r\n chu\0nked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            ),
        ],
        &["0 0: GET / -", "0 1: -", "0 2: 200", "0 3: hi"],
    ),
    (
        "odd ends of a header",
        &[
            (ToServer, "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.1\r\n\r\n"),
            (ToClient, "HTTP/1.1 200 a\r\nContent-Length: 2\n\r\r\nab"),
            (ToClient, "HTTP/1.1 200 b\r\nContent-Length: 2\n\r\r\n\r\ncd"),
            (ToClient, "HTTP/1.1 200 c\r\nContent-Length: 2\n\t\nef"),
            (ToClient, "HTTP/1.1 200 d\r\nContent-Length: 2\n \n\ngh"),
        ],
        &[
            "0 0: GET /1 -",
            "0 1: -",
            "1 0: GET /2 -",
            "1 1: -",
            "2 0: GET /3 -",
            "2 1: -",
            "3 0: GET /4 -",
            "3 1: -",
            "0 2: 200",
            "0 3: ab",
            "1 2: 200",
            "1 3: cd",
            "2 2: 200",
            "2 3: ef",
            "3 2: 200",
            "3 3: gh",
        ],
    ),
    (
        "a target with spaces, an absolute target, a lower-case method",
        &[
            (ToServer, "GET /a b c HTTP/1.1\r\n\r\nget http://h/p?q HTTP/1.0\r\n\r\n"),
        ],
        &["0 0: GET /a b c -", "0 1: -", "1 0: get /p?q -", "1 1: -", "0 2: -", "0 3: -", "1 2: -", "1 3: -"],
    ),
    (
        "repeated user agents are joined, a header without a line end counts",
        &[(ToServer, "GET / HTTP/1.1\r\nUser-Agent: a\r\nuser-agent: b\r\nX: y")],
        &["0 0: GET / a, b", "0 1: -", "0 2: -", "0 3: -"],
    ),
];
