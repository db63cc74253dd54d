"""Detections and rules as the native engine hands them over, for tests that need no engine.

Rules of this file: the same attributes as in vedette_engine's stub, with defaults; a test compares the names with the
stub.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field


@dataclass
class FakeRule:
    gid: int = 1
    sid: int = 1002
    rev: int = 5
    action: str = "alert"
    msg: str = "probe"
    classtype: str = "web-application-attack"
    category: str = "Web Application Attack"
    priority: int = 1
    references: list[tuple[str, str]] = field(default_factory=lambda: [("cve", "2000-0884")])
    metadata: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class FakeDetection:
    ts_ns: int = 1_704_164_645_678_901_000
    rule: int = 0
    generation: int = 0
    source: int = 0
    proto: int = 6
    src_ip: str = "198.51.100.7"
    src_port: int = 3012
    dest_ip: str = "192.0.2.80"
    dest_port: int = 80
    flow_id: int = 77
    to_server: bool = True
    app_proto: str = ""
    tx_id: int | None = None
    facts: list[tuple[str, bytes]] = field(default_factory=list)
    packet: bytes = b""


def ipv4(
    payload: bytes,
    proto: int,
    src: str = "198.51.100.7",
    dst: str = "192.0.2.80",
    *,
    fragment: int = 0,
    options: bytes = b"",
) -> bytes:
    """An IPv4 datagram."""
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(payload), 4711, fragment, 117, proto, 30521)
    return head + ipaddress.IPv4Address(src).packed + ipaddress.IPv4Address(dst).packed + options + payload


def ipv6(payload: bytes, next_header: int, src: str = "2001:db8::1", dst: str = "2001:db8::2") -> bytes:
    """An IPv6 datagram."""
    head = struct.pack("!IHBB", 0x60000000 | 3 << 20 | 0x12345, len(payload), next_header, 64)
    return head + ipaddress.IPv6Address(src).packed + ipaddress.IPv6Address(dst).packed + payload


def tcp(payload: bytes = b"", options: bytes = b"", sport: int = 3012, dport: int = 80) -> bytes:
    """A TCP segment."""
    words = 5 + len(options) // 4
    return struct.pack("!HHIIHHHH", sport, dport, 1000, 2000, words << 12 | 0x18, 17520, 4660, 0) + options + payload


def udp(payload: bytes = b"", sport: int = 53, dport: int = 49152) -> bytes:
    """A UDP datagram."""
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
