"""The packet of an event: header dataclasses in SNML's own attribute names.

Rules of this file: plain frozen data, no parsing and no formatting. A field that is None was not sent. All numbers
are in host order; `off` of IpHeader is the fragment offset in 8-octet units, `hlen` and `off` of TcpHeader count
32-bit words.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """An IP or TCP option: its kind octet and the octets after its length octet."""

    code: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class TcpHeader:
    """RFC 9293 section 3.1; `flags` are the eight control bits, `res` the four reserved bits."""

    sport: int
    dport: int
    flags: int
    seq: int | None = None
    ack: int | None = None
    off: int | None = None
    res: int | None = None
    win: int | None = None
    csum: int | None = None
    urp: int | None = None
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class UdpHeader:
    """RFC 768."""

    sport: int
    dport: int
    len: int | None = None
    csum: int | None = None


@dataclass(frozen=True, slots=True)
class IcmpHeader:
    """RFC 792, or RFC 4443 below an IPv6 header; `id` and `seq` only for the types that have them."""

    type: int
    code: int
    csum: int | None = None
    id: int | None = None
    seq: int | None = None


Transport = TcpHeader | UdpHeader | IcmpHeader


@dataclass(frozen=True, slots=True)
class IpHeader:
    """RFC 791. `saddr` or `daddr` None means masked by the sensor; `data` is what follows the last header that was
    decoded.
    """

    saddr: str | None
    daddr: str | None
    proto: int
    ver: int | None = None
    hlen: int | None = None
    tos: int | None = None
    len: int | None = None
    id: int | None = None
    flags: int | None = None
    off: int | None = None
    ttl: int | None = None
    csum: int | None = None
    options: tuple[Option, ...] = ()
    l4: Transport | None = None
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Ipv6Header:
    """RFC 8200 section 3. `proto` is the upper-layer protocol after all extension headers; None addresses are masked.

    The payload is not repeated here: it starts at `data_offset` of the datagram that the event's `raw` holds.
    """

    saddr: str | None
    daddr: str | None
    proto: int
    ver: int = 6
    tclass: int | None = None
    flow_label: int | None = None
    payload_len: int | None = None
    hop_limit: int | None = None
    data_offset: int | None = None
    l4: Transport | None = None


@dataclass(frozen=True, slots=True)
class Raw:
    """Octets that SNML 0.3 has no header for: an IPv6 datagram, or something that does not decode."""

    data: bytes


Packet = IpHeader | Raw
