"""Packets by hand: just enough of Ethernet, IP, TCP and UDP to build a capture byte by byte.

Rules of this file: pure functions and one class that counts sequence numbers; checksums are right unless a case breaks
them; the same arguments give the same bytes. Layouts are those of RFC 791, 8200, 9293, 768 and the pcap file format.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
TCP, UDP, ICMP = 6, 17, 1
MORE_FRAGMENTS, DONT_FRAGMENT = 0x2000, 0x4000
MAC_ADDRESSES = bytes.fromhex("020000000002020000000001")
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
START_S = 1_767_225_600  # 2026-01-01: a fixed clock, so that a case is the same file whenever it is made

Endpoint = tuple[str, int]


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    # 0xFFFF and 0 are the same number in ones' complement; a sum of non-zero words is never written as 0.
    folded = int.from_bytes(data, "big") % 0xFFFF
    return ~(folded or 0xFFFF if any(data) else 0) & 0xFFFF


def address(text: str) -> bytes:
    """4 or 16 bytes."""
    return ipaddress.ip_address(text).packed


def ipv4(source: str, destination: str, protocol: int, payload: bytes, ident: int = 1, fragment: int = 0) -> bytes:
    """A datagram; `fragment` is the 16-bit field of flags and offset (in units of 8 bytes)."""
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident & 0xFFFF, fragment, 64, protocol, 0)
    head += address(source) + address(destination)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    """A datagram; `protocol` may be an extension header's number, `payload` then begins with it."""
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + address(source) + address(destination) + payload


def ip(source: str, destination: str, protocol: int, payload: bytes, ident: int = 1) -> bytes:
    """A datagram of the version that the addresses have."""
    if ":" in source:
        return ipv6(source, destination, protocol, payload)
    return ipv4(source, destination, protocol, payload, ident)


def with_checksum(source: str, destination: str, protocol: int, segment: bytes, at: int) -> bytes:
    """The segment with its checksum, over pseudo header and segment, written at offset `at`."""
    ends = address(source) + address(destination)
    pseudo = ends + struct.pack(">IHH", len(segment), 0, protocol)
    value = checksum(pseudo + segment) or (0xFFFF if protocol == UDP else 0)
    return segment[:at] + struct.pack(">H", value) + segment[at + 2 :]


def tcp(
    source: Endpoint, destination: Endpoint, seq: int, ack: int, flags: int, payload: bytes = b"", options: bytes = b""
) -> bytes:
    """A TCP segment in its datagram."""
    words = 5 + len(options) // 4
    ports = (source[1], destination[1])
    head = struct.pack(">HHIIBBHHH", *ports, seq % 2**32, ack % 2**32, words << 4, flags, 64240, 0, 0) + options
    return ip(source[0], destination[0], TCP, with_checksum(source[0], destination[0], TCP, head + payload, 16), seq)


def udp(source: Endpoint, destination: Endpoint, payload: bytes, ident: int = 1) -> bytes:
    """A UDP datagram."""
    segment = struct.pack(">HHHH", source[1], destination[1], 8 + len(payload), 0) + payload
    return ip(source[0], destination[0], UDP, with_checksum(source[0], destination[0], UDP, segment, 6), ident)


def icmp_echo(source: str, destination: str, payload: bytes, ident: int = 1) -> bytes:
    """An echo request."""
    message = struct.pack(">BBHHH", 8, 0, 0, ident, 1) + payload
    message = message[:2] + struct.pack(">H", checksum(message)) + message[4:]
    return ipv4(source, destination, ICMP, message, ident)


def fragments(datagram: bytes, size: int, order: Iterable[int] | None = None) -> list[bytes]:
    """An IPv4 datagram without options cut every `size` payload bytes (a multiple of 8), in the given order."""
    ident = struct.unpack_from(">H", datagram, 4)[0]
    source, destination = (str(ipaddress.ip_address(datagram[at : at + 4])) for at in (12, 16))
    payload = datagram[20:]
    pieces = []
    for start in range(0, len(payload), size):
        more = MORE_FRAGMENTS if start + size < len(payload) else 0
        piece = payload[start : start + size]
        pieces.append(ipv4(source, destination, datagram[9], piece, ident, more | start // 8))
    return [pieces[index] for index in order] if order is not None else pieces


def ethernet(datagram: bytes) -> bytes:
    """The frame of a datagram, type by its version."""
    return MAC_ADDRESSES + (b"\x08\x00" if datagram[0] >> 4 == 4 else b"\x86\xdd") + datagram


class Connection:
    """Both ends of a TCP connection: every call gives the datagrams that say it and moves the sequence numbers on."""

    def __init__(self, client: Endpoint, server: Endpoint, client_seq: int = 1000, server_seq: int = 9000) -> None:
        self.ends = (client, server)
        self.next = [client_seq, server_seq]
        self.segment_bytes = 1460

    def packet(self, side: int, flags: int, payload: bytes = b"", shift: int = 0, options: bytes = b"") -> bytes:
        """One segment from side 0 (client) or 1 (server), `shift` bytes after what comes next; moves nothing on."""
        seq, ack = self.next[side] + shift, self.next[1 - side]
        return tcp(self.ends[side], self.ends[1 - side], seq, ack if flags & ACK else 0, flags, payload, options)

    def open(self) -> Iterator[bytes]:
        """The three-way handshake."""
        options = bytes.fromhex("020405b4")
        yield self.packet(0, SYN, options=options)
        self.next[0] += 1
        yield self.packet(1, SYN | ACK, options=options)
        self.next[1] += 1
        yield self.packet(0, ACK)

    def say(self, side: int, data: bytes) -> Iterator[bytes]:
        """Data in segments; the other side acknowledges every second one and the last."""
        for count, start in enumerate(range(0, len(data), self.segment_bytes), 1):
            piece = data[start : start + self.segment_bytes]
            last = start + len(piece) == len(data)
            yield self.packet(side, ACK | (PSH if last else 0), piece)
            self.next[side] += len(piece)
            if last or count % 2 == 0:
                yield self.packet(1 - side, ACK)

    def close(self) -> Iterator[bytes]:
        """FIN both ways, the client's first."""
        yield self.packet(0, FIN | ACK)
        self.next[0] += 1
        yield self.packet(1, FIN | ACK)
        self.next[1] += 1
        yield self.packet(0, ACK)


def write_pcap(path: Path, datagrams: Iterable[bytes], interval_us: int = 1000) -> None:
    """A capture of the datagrams in Ethernet frames, `interval_us` apart."""
    with path.open("wb") as file:
        file.write(PCAP_HEADER)
        for number, datagram in enumerate(datagrams):
            frame = ethernet(datagram)
            seconds, fraction = divmod(number * interval_us, 1_000_000)
            file.write(struct.pack("<4I", START_S + seconds, fraction, len(frame), len(frame)) + frame)
