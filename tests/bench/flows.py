"""Generated everyday flows for the benchmark: TLS-shaped, HTTP/1.1 and DNS, from a seeded source of chance.

The bytes are ours: random words, random noise where a wire would carry ciphertext or pictures. Sizes are log-uniform,
many small and few big, as on a wire.
"""

from __future__ import annotations

import gzip
import math
import random
import struct
from collections.abc import Iterator

from tests.cases.craft import Connection, udp

WORDS = (
    "amber", "bridge", "canal", "dawn", "echo", "field", "grove", "harbour", "island", "jetty", "kettle", "lantern",
    "meadow", "north", "orchard", "pier", "quarry", "river", "stone", "tower", "under", "valley", "willow", "yard",
    "zenith", "account", "basket", "client", "delivery", "export", "folder", "group", "header", "invoice", "join",
    "kernel", "label", "module", "notice", "order", "portal", "query", "report", "search", "ticket", "update",
    "version", "window",
)  # fmt: skip
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "curl/7.88.1",
    "Debian APT-HTTP/1.3 (2.6.1)",
)
Message = tuple[int, bytes]
"""(0 from the client or 1 from the server, what it says)"""


def spread(chance: random.Random, low: int, high: int) -> int:
    """Log-uniform between the bounds."""
    return int(math.exp(chance.uniform(math.log(low), math.log(high))))


def host_name(chance: random.Random) -> str:
    """A host below one of a few endings."""
    name = chance.choice(WORDS) + chance.choice(WORDS)
    return (
        f"{chance.choice(('www', 'api', 'static', 'mail'))}.{name}.{chance.choice(('com', 'net', 'org', 'de', 'io'))}"
    )


def markup(chance: random.Random, size: int) -> bytes:
    """HTML of about this many bytes."""
    lines = ["<!DOCTYPE html>", f"<html><head><title>{chance.choice(WORDS)}</title></head><body>"]
    total = sum(map(len, lines))
    while total < size:
        link = f"/{chance.choice(WORDS)}/{chance.randrange(10000)}.html"
        lines.append(
            f'<p class="{chance.choice(WORDS)}"><a href="{link}">{" ".join(chance.choices(WORDS, k=14))}</a></p>'
        )
        total += len(lines[-1]) + 1
    return "\n".join(lines).encode()


def response_body(chance: random.Random) -> tuple[str, str, bytes]:
    """(content type, further header lines, bytes)"""
    kind = chance.choices(("page", "zipped page", "picture", "data"), (3, 3, 3, 2))[0]
    if kind == "picture":
        return "image/jpeg", "", chance.randbytes(spread(chance, 2_000, 2_000_000))
    if kind == "data":
        values = ", ".join(
            f'"{chance.choice(WORDS)}": {chance.randrange(10**6)}' for _ in range(spread(chance, 5, 1500))
        )
        return "application/json", "", f"{{{values}}}".encode()
    page = markup(chance, spread(chance, 1_000, 120_000))
    if kind == "page":
        return "text/html; charset=utf-8", "", page
    return "text/html; charset=utf-8", "Content-Encoding: gzip\r\n", gzip.compress(page, 6, mtime=0)


def http(chance: random.Random) -> Iterator[Message]:
    """One to four requests on one connection, some of them forms."""
    host, agent, session = host_name(chance), chance.choice(AGENTS), f"{chance.getrandbits(128):032x}"
    for _ in range(chance.randrange(1, 5)):
        path = "/" + "/".join(chance.choices(WORDS, k=chance.randrange(1, 4)))
        common = (
            f"Host: {host}\r\nUser-Agent: {agent}\r\nAccept: text/html,*/*;q=0.8\r\nAccept-Language: en;q=0.5\r\n"
            f"Accept-Encoding: gzip, deflate\r\nReferer: http://{host}/\r\nCookie: session={session}\r\n"
        )
        if chance.random() < 0.15:
            form = "&".join(f"{chance.choice(WORDS)}={chance.choice(WORDS)}{chance.randrange(999)}" for _ in range(12))
            kind = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n"
            yield 0, f"POST {path} HTTP/1.1\r\n{common}{kind}\r\n{form}".encode()
        else:
            query = f"?id={chance.randrange(99999)}&q={chance.choice(WORDS)}"
            yield 0, f"GET {path}{query} HTTP/1.1\r\n{common}\r\n".encode()
        content_type, more, body = response_body(chance)
        head = (
            f"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: {content_type}\r\n{more}Content-Length: {len(body)}\r\n"
        )
        yield 1, f"{head}Cache-Control: max-age=600\r\nConnection: keep-alive\r\n\r\n".encode() + body


def record(kind: int, content: bytes) -> bytes:
    """A TLS record (RFC 8446 section 5.1)."""
    return struct.pack(">BHH", kind, 0x0303, len(content)) + content


def handshake(kind: int, body: bytes, extensions: tuple[tuple[int, bytes], ...]) -> bytes:
    """A hello message in its record."""
    listed = b"".join(struct.pack(">HH", number, len(content)) + content for number, content in extensions)
    body += struct.pack(">H", len(listed)) + listed
    return record(22, bytes((kind,)) + len(body).to_bytes(3, "big") + body)


def tls(chance: random.Random) -> Iterator[Message]:
    """The shape of a TLS 1.3 connection: both hellos as they are, noise for everything encrypted."""
    name = host_name(chance).encode()
    server_name = struct.pack(">HBH", len(name) + 3, 0, len(name)) + name
    suites = bytes.fromhex("0008130113021303c02f")
    common = b"\x03\x03" + chance.randbytes(32) + b"\x20" + chance.randbytes(32)
    share = chance.randbytes(32)
    yield (
        0,
        handshake(
            1,
            common + suites + b"\x01\x00",
            ((0, server_name), (10, b"\0\x02\0\x1d"), (43, b"\x02\x03\x04"), (51, b"\0\x24\0\x1d\0\x20" + share)),
        ),
    )
    answer = b"\x03\x03" + chance.randbytes(32) + b"\x20" + common[35:] + b"\x13\x01\x00"
    hello = handshake(2, answer, ((43, b"\x03\x04"), (51, b"\0\x1d\0\x20" + chance.randbytes(32))))
    yield 1, hello + record(20, b"\x01") + record(23, chance.randbytes(3200))
    yield 0, record(20, b"\x01") + record(23, chance.randbytes(53))
    for _ in range(chance.randrange(1, 8)):
        yield 0, record(23, chance.randbytes(chance.randrange(80, 900)))
        size = spread(chance, 300, 1_500_000)
        yield 1, b"".join(record(23, chance.randbytes(min(16384, size - at))) for at in range(0, size, 16384))


def tcp_flow(chance: random.Random, port: int, messages: Iterator[Message]) -> Iterator[bytes]:
    """A whole connection from an inside client to an outside server."""
    client = (f"10.0.{chance.randrange(256)}.{chance.randrange(1, 255)}", chance.randrange(32768, 61000))
    server = (f"{chance.choice((23, 45, 85, 104, 142))}.{chance.randrange(256)}.{chance.randrange(256)}.7", port)
    connection = Connection(client, server, chance.getrandbits(32), chance.getrandbits(32))
    yield from connection.open()
    for side, data in messages:
        yield from connection.say(side, data)
    yield from connection.close()


def dns_flow(chance: random.Random) -> Iterator[bytes]:
    """A question and its answer."""
    client = (f"10.0.{chance.randrange(256)}.{chance.randrange(1, 255)}", chance.randrange(1024, 65535))
    resolver, ident = ("10.0.0.1", 53), chance.randbytes(2)
    labels = b"".join(bytes((len(label),)) + label.encode() for label in host_name(chance).split(".")) + b"\0"
    question = labels + struct.pack(">HH", chance.choice((1, 28, 65)), 1)
    yield udp(client, resolver, ident + b"\x01\x00" + struct.pack(">4H", 1, 0, 0, 0) + question)
    count = chance.randrange(1, 4)
    answers = b"".join(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + chance.randbytes(4) for _ in range(count))
    yield udp(resolver, client, ident + b"\x81\x80" + struct.pack(">4H", 1, count, 0, 0) + question + answers)


def one(chance: random.Random) -> Iterator[bytes]:
    """The datagrams of one flow of one of the kinds."""
    kind = chance.choices(("tls", "http", "dns"), (30, 14, 60))[0]
    if kind == "dns":
        return dns_flow(chance)
    return tcp_flow(chance, 443, tls(chance)) if kind == "tls" else tcp_flow(chance, 80, http(chance))
