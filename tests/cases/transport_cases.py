"""Cases of IP and TCP: what the packets do to hide or break up what a rule looks for."""

from __future__ import annotations

import struct

from tests.cases.case import CLIENT, CLIENT_SIDE, SERVER, SERVER_SIDE, Case, found, rule, spoken
from tests.cases.craft import ACK, FIN, PSH, RST, UDP, Connection, fragments, icmp_echo, ipv6, udp, with_checksum

DATA = ACK | PSH
EVIL = rule(1, 'flow:established,to_server; content:"evil-in-the-stream";', "tcp any any -> any 80")


def _out_of_order() -> tuple[bytes, ...]:
    connection = Connection(CLIENT, SERVER)
    datagrams = list(connection.open())
    message = b"x" * 20 + b"evil-in-the-stream" + b"y" * 20
    for start in (30, 0, 20):
        end = {0: 20, 20: 30, 30: len(message)}[start]
        datagrams.append(connection.packet(CLIENT_SIDE, DATA, message[start:end], shift=start))
    connection.next[CLIENT_SIDE] += len(message)
    datagrams.append(connection.packet(SERVER_SIDE, ACK))
    return (*datagrams, *connection.close())


def _overlap() -> tuple[bytes, ...]:
    connection = Connection(CLIENT, SERVER)
    datagrams = list(connection.open())
    datagrams.append(connection.packet(CLIENT_SIDE, DATA, b"the-first-to-arrive", shift=10))
    datagrams.append(connection.packet(CLIENT_SIDE, DATA, b"and-the-second-one!", shift=10))
    datagrams.append(connection.packet(CLIENT_SIDE, DATA, b"0123456789"))
    connection.next[CLIENT_SIDE] += 29
    datagrams.append(connection.packet(SERVER_SIDE, ACK))
    return (*datagrams, *connection.close())


def _retransmission() -> tuple[bytes, ...]:
    connection = Connection(CLIENT, SERVER)
    datagrams = list(connection.open())
    datagrams += [
        connection.packet(CLIENT_SIDE, DATA, b"evil-in-the-"),
        connection.packet(CLIENT_SIDE, DATA, b"evil-in-the-"),
    ]
    connection.next[CLIENT_SIDE] += 12
    datagrams.append(connection.packet(SERVER_SIDE, ACK))
    datagrams += connection.say(CLIENT_SIDE, b"stream")
    datagrams += connection.say(SERVER_SIDE, b"understood")
    return (*datagrams, *connection.close())


def _midstream() -> tuple[bytes, ...]:
    connection = Connection(CLIENT, SERVER)
    return (*connection.say(CLIENT_SIDE, b"evil-in-the-stream"), *connection.say(SERVER_SIDE, b"yes"))


def _bad_checksum() -> tuple[bytes, ...]:
    connection = Connection(CLIENT, SERVER)
    datagrams = list(connection.open())
    broken = bytearray(connection.packet(CLIENT_SIDE, DATA, b"evil-in-the-stream"))
    broken[36] ^= 0x55
    datagrams.append(bytes(broken))
    connection.next[CLIENT_SIDE] += 18
    datagrams.append(connection.packet(SERVER_SIDE, ACK))
    return (*datagrams, *connection.close())


def _ipv6_datagram(payload: bytes, extensions: tuple[int, ...]) -> bytes:
    """UDP behind extension headers (each 8 bytes of padding), between two documentation addresses."""
    source, destination = "2001:db8:1::10", "2001:db8:2::80"
    segment = struct.pack(">HHHH", 40000, 9999, 8 + len(payload), 0) + payload
    body, kind = with_checksum(source, destination, UDP, segment, 6), UDP
    for extension in reversed(extensions):
        body, kind = bytes((kind, 0, 1, 4, 0, 0, 0, 0)) + body, extension
    return ipv6(source, destination, kind, body)


def _sequence_wrap() -> tuple[bytes, ...]:
    connection = Connection(CLIENT, SERVER, client_seq=2**32 - 6)
    connection.segment_bytes = 4
    datagrams = [*connection.open(), *connection.say(CLIENT_SIDE, b"evil-in-the-stream")]
    return (*datagrams, *connection.say(SERVER_SIDE, b"ok"), *connection.close())


def _data_on_fin() -> tuple[bytes, ...]:
    connection = Connection(CLIENT, SERVER)
    datagrams = [*connection.open(), *connection.say(CLIENT_SIDE, b"evil-in-")]
    datagrams.append(connection.packet(CLIENT_SIDE, DATA | FIN, b"the-stream"))
    connection.next[CLIENT_SIDE] += 11
    datagrams.append(connection.packet(SERVER_SIDE, FIN | ACK))
    connection.next[SERVER_SIDE] += 1
    return (*datagrams, connection.packet(CLIENT_SIDE, ACK))


def _gap() -> tuple[bytes, ...]:
    connection = Connection(CLIENT, SERVER)
    datagrams = [*connection.open(), *connection.say(CLIENT_SIDE, b"before the gap. ")]
    connection.next[CLIENT_SIDE] += 100  # a segment that the capture missed but the server acknowledges
    datagrams += [connection.packet(SERVER_SIDE, ACK), *connection.say(CLIENT_SIDE, b"evil-in-the-stream")]
    return (*datagrams, *connection.say(SERVER_SIDE, b"ok"), *connection.close())


def _ports_used_again() -> tuple[bytes, ...]:
    datagrams: list[bytes] = []
    for start in (1000, 500_000):
        connection = Connection(CLIENT, SERVER, start, start * 2)
        datagrams += [*connection.open(), *connection.say(CLIENT_SIDE, b"evil-in-the-stream"), *connection.close()]
    return tuple(datagrams)


def _reset() -> tuple[bytes, ...]:
    connection = Connection(CLIENT, SERVER)
    datagrams = [*connection.open(), *connection.say(CLIENT_SIDE, b"evil-in-")]
    datagrams.append(connection.packet(SERVER_SIDE, RST | ACK))
    return (*datagrams, connection.packet(CLIENT_SIDE, DATA, b"the-stream"))


def _fragmented_udp() -> tuple[bytes, ...]:
    whole = udp(CLIENT, (SERVER[0], 9999), b"." * 30 + b"evil-across-fragments" + b"." * 30, ident=77)
    cut = fragments(whole, 40, order=(2, 0, 1))
    return (*cut, udp(CLIENT, (SERVER[0], 9999), b"nothing here", ident=78))


CASES = (
    Case(
        "tcp-out-of-order",
        "Three segments arrive last, first, middle; the pattern lies across all seams.",
        (EVIL,),
        _out_of_order(),
        (found((1, 0, 1)),),
    ),
    Case(
        "tcp-overlap",
        "Two segments claim the same bytes before the gap in front closes: the policy says which one the host read.",
        (
            rule(1, 'flow:established; content:"0123456789the-first";'),
            rule(2, 'flow:established; content:"0123456789and-the";'),
        ),
        _overlap(),
        (found((1, 0, 1)), found((1, 0, 1), overlap_policy="first"), found((2, 0, 1), overlap_policy="last")),
    ),
    Case(
        "tcp-retransmission",
        "A segment sent twice is inspected once, and joins with what follows it.",
        (EVIL, rule(2, 'flow:established,to_server; content:"evil-in-the-evil";')),
        _retransmission(),
        (found((1, 0, 1)),),
    ),
    Case(
        "tcp-one-byte-segments",
        "The pattern comes one byte at a time.",
        (EVIL,),
        spoken((CLIENT_SIDE, b"evil-in-the-stream"), (SERVER_SIDE, b"ok"), segment_bytes=1),
        (found((1, 0, 1)),),
    ),
    Case(
        "tcp-sequence-wrap",
        "The sequence number passes 2^32 inside the pattern.",
        (EVIL,),
        _sequence_wrap(),
        (found((1, 0, 1)),),
    ),
    Case(
        "tcp-data-on-fin",
        "The end of the pattern comes with the FIN.",
        (EVIL,),
        _data_on_fin(),
        (found((1, 0, 1)),),
    ),
    Case(
        "tcp-gap",
        "A segment is missing from the capture but acknowledged: what follows is inspected, and not as if joined.",
        (EVIL, rule(2, 'flow:established; content:"gap. evil";')),
        _gap(),
        (found((1, 0, 1)),),
    ),
    Case(
        "tcp-ports-used-again",
        "Two connections in a row between the same ports are two flows: each alerts.",
        (EVIL,),
        _ports_used_again(),
        (found((1, 0, 2)),),
    ),
    Case(
        "tcp-data-after-reset",
        "What is sent after the other side's reset is read by nobody.",
        (EVIL,),
        _reset(),
        (found(),),
    ),
    Case(
        "tcp-midstream",
        "A connection without its handshake is not established, unless midstream pickup is asked for.",
        (EVIL,),
        _midstream(),
        (found(), found((1, 0, 1), midstream=True)),
    ),
    Case(
        "tcp-bad-checksum",
        "Every host drops a segment with a wrong checksum, so it is not inspected; told to ignore checksums, it is.",
        (EVIL,),
        _bad_checksum(),
        (found(), found((1, 0, 1), checksums="ignore")),
    ),
    Case(
        "ip-fragments",
        "A UDP datagram in three fragments, the last one first, with the pattern across the seam.",
        (rule(1, 'content:"evil-across-fragments"; offset:30; depth:21;', "udp any any -> any 9999"),),
        _fragmented_udp(),
        (found((1, 0, 1)),),
    ),
    Case(
        "icmp-payload",
        "The payload of a ping, by a rule for ICMP and one for any IP; a rule for UDP stays silent.",
        (
            rule(1, 'content:"inside the ping";', "icmp any any -> any any"),
            rule(2, 'content:"inside the ping";', "ip any any -> any any"),
            rule(3, 'content:"inside the ping";', "udp any any -> any any"),
        ),
        (icmp_echo(CLIENT[0], SERVER[0], b"....inside the ping...."),),
        (found((1, 0, 1), (2, 0, 1)),),
    ),
)

# The ends of these two are IPv6 addresses: make.py takes them from the datagram.
IPV6_CASES = (
    Case(
        "ipv6-extension-headers",
        "UDP behind hop-by-hop and destination options.",
        (rule(1, 'content:"behind the options"; startswith;', "udp any any -> any 9999"),),
        (_ipv6_datagram(b"behind the options", (0, 60)),),
        (found((1, 0, 1)),),
    ),
)
