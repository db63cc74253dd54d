"""What `detail="fast"` leaves of an event.

Rules of this file: fast is addresses, ports, protocol, TCP flags, ICMP type and code (as in 2001), and of our
extensions what says nothing of the payload. No octet of the packet is sent, and no fact, for facts are pieces of the
payload.
"""

from __future__ import annotations

from dataclasses import replace

from appliance.wire.snml.extension import Extension, Facts, Ipv6
from appliance.wire.snml.model import Event
from appliance.wire.snml.packet import IcmpHeader, IpHeader, Ipv6Header, Packet, Raw, TcpHeader, Transport, UdpHeader


def to_fast(event: Event) -> Event:
    """The event with everything taken out that fast detail does not send."""
    packet: Packet = Raw(b"")
    if isinstance(event.packet, IpHeader):
        ip = event.packet
        packet = IpHeader(saddr=ip.saddr, daddr=ip.daddr, proto=ip.proto, l4=_transport(ip.l4))
    extensions: tuple[Extension, ...] = tuple(
        _ipv6(extension) if isinstance(extension, Ipv6) else extension
        for extension in event.extensions
        if not isinstance(extension, Facts)
    )
    return replace(event, packet=packet, extensions=extensions)


def _ipv6(extension: Ipv6) -> Ipv6:
    header = extension.header
    return Ipv6(
        Ipv6Header(saddr=header.saddr, daddr=header.daddr, proto=header.proto, ver=header.ver, l4=_transport(header.l4))
    )


def _transport(header: Transport | None) -> Transport | None:
    match header:
        case TcpHeader():
            return TcpHeader(sport=header.sport, dport=header.dport, flags=header.flags)
        case UdpHeader():
            return UdpHeader(sport=header.sport, dport=header.dport)
        case IcmpHeader():
            return IcmpHeader(type=header.type, code=header.code)
    return None
