"""Community ID version 1: one name for a flow in all tools (corelight/community-id-spec).

Rules of this file: pure; seed 0, which is every tool's default. SHA-1 is what the specification asks for; it protects
nothing.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import struct

ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132

# Types that answer each other form one flow; all others are one-way and keep their direction.
_ICMP_PAIRS = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 10: 9, 9: 10}
_ICMPV6_PAIRS = {128: 129, 129: 128, 133: 134, 134: 133, 135: 136, 136: 135, 130: 131, 131: 130, 139: 140, 140: 139, 144: 145, 145: 144}  # fmt: skip  # noqa: E501


def community_id(saddr: str, daddr: str, proto: int, sport: int, dport: int, *, seed: int = 0) -> str:
    """`1:` and the hash in base64. For ICMP and ICMPv6, `sport` is the type and `dport` the code.

    Raises:
        OSError: an address is not one.
    """
    family = socket.AF_INET6 if ":" in saddr else socket.AF_INET
    source, dest = socket.inet_pton(family, saddr), socket.inet_pton(family, daddr)
    one_way = False
    ports = proto in (TCP, UDP, SCTP, ICMP, ICMPV6)
    if proto in (ICMP, ICMPV6):
        answer = (_ICMP_PAIRS if proto == ICMP else _ICMPV6_PAIRS).get(sport)
        one_way = answer is None
        dport = dport if answer is None else answer
    if not one_way and ((source, sport) if ports else (source, 0)) > ((dest, dport) if ports else (dest, 0)):
        source, dest, sport, dport = dest, source, dport, sport
    octets = struct.pack("!H", seed) + source + dest + struct.pack("!BB", proto, 0)
    if ports:
        octets += struct.pack("!HH", sport, dport)
    return "1:" + base64.b64encode(hashlib.sha1(octets, usedforsecurity=False).digest()).decode("ascii")
