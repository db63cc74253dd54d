"""A decoded packet as layers of named fields, outermost first, in the order they stand in the header.

Rules of this file: pure; it reads the SNML model and decodes nothing anew. A field the sensor did not send is left out,
so nothing shown is a guess.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from appliance.wire.snml import Event, IcmpHeader, IpHeader, Ipv6Header, Option, Raw, TcpHeader, UdpHeader
from collector_client.analyst.present import protocol

MASKED = "masked by the sensor"
_TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_TCP_OPTIONS = {
    0: "end of list",
    1: "no-operation",
    2: "MSS",
    3: "window scale",
    4: "SACK permitted",
    5: "SACK",
    8: "timestamps",
}
_ICMP = {0: "echo reply", 3: "destination unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded"}
_ICMPV6 = {
    1: "destination unreachable", 2: "packet too big", 3: "time exceeded", 128: "echo request", 129: "echo reply",
    133: "router solicitation", 134: "router advertisement", 135: "neighbor solicitation",
    136: "neighbor advertisement",
}  # fmt: skip


class Field(NamedTuple):
    """One header field: its name, its value, and what the value means (may be empty)."""

    name: str
    value: str
    meaning: str = ""


class Layer(NamedTuple):
    """One header: its name, a line that sums it up, and its fields."""

    name: str
    summary: str
    fields: list[Field]


def layers(event: Event) -> list[Layer]:
    """The headers of an event's packet; empty when the sensor sent octets that it could not decode."""
    header: IpHeader | Ipv6Header
    if isinstance(event.packet, IpHeader):
        header = event.packet
        out = [_ipv4(header)]
    elif event.ipv6 is not None:
        header = event.ipv6.header
        out = [_ipv6(header)]
    else:
        return []
    if isinstance(header.l4, TcpHeader):
        out.append(_tcp(header.l4))
    elif isinstance(header.l4, UdpHeader):
        out.append(_udp(header.l4))
    elif isinstance(header.l4, IcmpHeader):
        out.append(_icmp(header.l4, header.proto))
    return out


def octets(event: Event) -> tuple[str, bytes] | None:
    """(what they are, the octets to dump): the payload, or the whole datagram where only that was sent."""
    if isinstance(event.packet, Raw):
        return ("IPv6 datagram" if event.ipv6 else "undecoded datagram"), event.packet.data
    return ("payload", event.packet.data) if event.packet.data else None


def _given(*fields: tuple[str, object, str]) -> list[Field]:
    return [Field(name, str(value), meaning) for name, value, meaning in fields if value is not None]


def _hex(value: int | None, digits: int) -> str | None:
    return None if value is None else f"0x{value:0{digits}x}"


def _words(value: int | None) -> str:
    return "" if value is None else f"32-bit words = {value * 4} octets"


def _ipv4(header: IpHeader) -> Layer:
    bits = (
        ()
        if header.flags is None
        else [name for bit, name in ((4, "reserved"), (2, "DF"), (1, "MF")) if header.flags & bit]
    )
    return Layer(
        "IPv4",
        f"{header.saddr or 'masked'} \u2192 {header.daddr or 'masked'}",
        _given(
            ("version", header.ver, ""),
            ("header length", header.hlen, _words(header.hlen)),
            (
                "type of service",
                _hex(header.tos, 2),
                "" if header.tos is None else f"DSCP {header.tos >> 2}, ECN {header.tos & 3}",
            ),
            ("total length", header.len, "octets"),
            ("identification", _hex(header.id, 4), ""),
            ("flags", header.flags, ", ".join(bits)),
            ("fragment offset", header.off, "" if header.off is None else f"= octet {header.off * 8}"),
            ("time to live", header.ttl, "hops"),
            ("protocol", header.proto, protocol(header.proto)),
            ("checksum", _hex(header.csum, 4), ""),
            ("source", header.saddr or MASKED, ""),
            ("destination", header.daddr or MASKED, ""),
            *_options(header.options, {}),
        ),
    )


def _ipv6(header: Ipv6Header) -> Layer:
    return Layer(
        "IPv6",
        f"{header.saddr or 'masked'} \u2192 {header.daddr or 'masked'}",
        _given(
            ("version", header.ver, ""),
            ("traffic class", _hex(header.tclass, 2), ""),
            ("flow label", _hex(header.flow_label, 5), ""),
            ("payload length", header.payload_len, "octets"),
            ("upper-layer protocol", header.proto, protocol(header.proto)),
            ("hop limit", header.hop_limit, "hops"),
            ("source", header.saddr or MASKED, ""),
            ("destination", header.daddr or MASKED, ""),
        ),
    )


def _tcp(header: TcpHeader) -> Layer:
    names = [name for bit, name in enumerate(_TCP_FLAGS) if header.flags >> bit & 1]
    return Layer(
        "TCP",
        f"{header.sport} \u2192 {header.dport}  {' '.join(names) or 'no flags'}",
        _given(
            ("source port", header.sport, ""),
            ("destination port", header.dport, ""),
            ("sequence number", header.seq, ""),
            ("acknowledgment", header.ack, ""),
            ("data offset", header.off, _words(header.off)),
            ("reserved", header.res, ""),
            ("flags", _hex(header.flags, 2), ", ".join(names)),
            ("window", header.win, "octets, before scaling"),
            ("checksum", _hex(header.csum, 4), ""),
            ("urgent pointer", header.urp, ""),
            *_options(header.options, _TCP_OPTIONS),
        ),
    )


def _udp(header: UdpHeader) -> Layer:
    return Layer(
        "UDP",
        f"{header.sport} \u2192 {header.dport}",
        _given(
            ("source port", header.sport, ""),
            ("destination port", header.dport, ""),
            ("length", header.len, "octets"),
            ("checksum", _hex(header.csum, 4), ""),
        ),
    )


def _icmp(header: IcmpHeader, proto: int) -> Layer:
    meaning = (_ICMPV6 if proto == 58 else _ICMP).get(header.type, "")
    return Layer(
        "ICMPv6" if proto == 58 else "ICMP",
        meaning or f"type {header.type}, code {header.code}",
        _given(
            ("type", header.type, meaning),
            ("code", header.code, ""),
            ("checksum", _hex(header.csum, 4), ""),
            ("identifier", header.id, ""),
            ("sequence", header.seq, ""),
        ),
    )


def _options(options: Iterable[Option], names: dict[int, str]) -> list[tuple[str, object, str]]:
    out: list[tuple[str, object, str]] = []
    for option in options:
        number = int.from_bytes(option.data, "big")
        meaning = ""
        if names.get(option.code) in ("MSS", "window scale") and option.data:
            meaning = str(number) if option.code == 2 else f"\u00d7 {1 << min(number, 14)}"
        name = names.get(option.code, f"kind {option.code}")
        out.append((f"option: {name}", option.data.hex(" ") or "\u2013", meaning))
    return out
