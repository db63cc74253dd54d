"""A wire: a pair of virtual Ethernet ports, and a player that puts the frames of a capture file on one end.

The fake of "the customer's network" for tests of live capture. Needs root; offloads are switched off so that the frames
arrive as they were recorded.
"""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def veth_pair(ours: str, theirs: str) -> Iterator[None]:
    """Two connected ports, both up, without addresses; gone afterwards."""
    subprocess.run(["ip", "link", "add", ours, "type", "veth", "peer", "name", theirs], check=True)
    try:
        for port in (ours, theirs):
            Path(f"/proc/sys/net/ipv6/conf/{port}/disable_ipv6").write_text("1", encoding="ascii")
            subprocess.run(["ip", "link", "set", port, "mtu", "9000", "up"], check=True)
            off = ["rx", "off", "tx", "off", "gso", "off", "gro", "off", "tso", "off"]
            subprocess.run(["ethtool", "-K", port, *off], check=False, capture_output=True)
        yield
    finally:
        subprocess.run(["ip", "link", "del", ours], check=False)


def frames(path: Path) -> Iterator[bytes]:
    """The Ethernet frames of a pcap file, in order."""
    data = path.read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at + 16 <= len(data):
        (captured,) = struct.unpack_from(order + "I", data, at + 8)
        yield data[at + 16 : at + 16 + captured]
        at += 16 + captured


def play(path: Path, port: str) -> int:
    """Send every frame of a capture file out of a port; returns how many."""
    sent = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((port, 0))
        for frame in frames(path):
            out.send(frame.ljust(60, b"\0"))
            sent += 1
    return sent
