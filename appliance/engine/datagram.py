"""An IP datagram's octets -> the packet of an SNML event.

Rules of this file: the octets come from the wire and may be anything; the answer is always a packet, never an
exception, in time linear in their number. Nothing is lost: what no header takes is `data` (IPv4) or stays in `Raw`
(everything else). Nothing is checked against checksums or lengths, for what is wrong with a packet is part of the
evidence.

- IPv4 with a whole header: IpHeader; the transport header only when it is whole and this is no later fragment.
- IPv6 with a whole header: Raw with the datagram, beside it the Ipv6 extension (SNML 0.3 has no IPv6 header).
- anything else: Raw.
"""

from __future__ import annotations

import socket
import struct

from appliance.wire.snml import (
    IcmpHeader,
    IpHeader,
    Ipv6,
    Ipv6Header,
    Option,
    Packet,
    Raw,
    TcpHeader,
    Transport,
    UdpHeader,
)

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
MAX_DATA = 65535
MAX_DATAGRAM = 65535 + 40

_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_TCP = struct.Struct("!HHIIHHHH")
_UDP = struct.Struct("!HHHH")
_ICMP = struct.Struct("!BBH")
# RFC 792, 950: echo, timestamp, information, address mask; RFC 4443: echo. They have an identifier and a number.
_ICMP_QUERIES = frozenset((0, 8, 13, 14, 15, 16, 17, 18))
_ICMPV6_QUERIES = frozenset((128, 129))
# RFC 8200 section 4, 6275, 7401, 5533: extension headers of the common form (next header, length in 8 octets less one).
_EXTENSION_HEADERS = frozenset((0, 43, 60, 135, 139, 140))
_FRAGMENT, _AUTHENTICATION = 44, 51


def decode_datagram(octets: bytes) -> tuple[Packet, Ipv6 | None]:
    """The packet, and for IPv6 its extension."""
    version = octets[0] >> 4 if octets else 0
    if (
        version == 4
        and len(octets) >= _IPV4.size
        and (octets[0] & 15) * 4 >= 20
        and len(octets) >= (octets[0] & 15) * 4
    ):
        return _ipv4(octets), None
    if version == 6 and len(octets) >= _IPV6.size:
        return _ipv6(octets)
    return Raw(octets[:MAX_DATAGRAM]), None


def header_only(saddr: str, daddr: str, proto: int, sport: int, dport: int) -> tuple[Packet, Ipv6 | None]:
    """The packet of an event that no single datagram set off (the end of a flow): addresses, protocol and ports are
    known.
    """
    l4: Transport | None = None
    if proto == TCP:
        l4 = TcpHeader(sport, dport, 0)
    elif proto == UDP:
        l4 = UdpHeader(sport, dport)
    if ":" in saddr:
        return Raw(b""), Ipv6(Ipv6Header(saddr, daddr, proto, l4=l4))
    return IpHeader(saddr, daddr, proto, l4=l4), None


def _ipv4(octets: bytes) -> IpHeader:
    first, tos, length, ident, fragment, ttl, proto, csum, saddr, daddr = _IPV4.unpack_from(octets)
    hlen = first & 15
    start = hlen * 4
    # A total length of 0 comes from segmentation offload, one below the header from an attacker: then all octets count.
    end = min(length, len(octets)) if length >= start else len(octets)
    payload = octets[start:end]
    l4: Transport | None = None
    used = 0
    if not fragment & 0x1FFF:
        l4, used = _transport(payload, proto, ICMP, _ICMP_QUERIES)
    return IpHeader(
        saddr=socket.inet_ntoa(saddr),
        daddr=socket.inet_ntoa(daddr),
        proto=proto,
        ver=4,
        hlen=hlen,
        tos=tos,
        len=length,
        id=ident,
        flags=fragment >> 13,
        off=fragment & 0x1FFF,
        ttl=ttl,
        csum=csum,
        options=_options(octets[20:start]),
        l4=l4,
        data=payload[used : used + MAX_DATA],
    )


def _ipv6(octets: bytes) -> tuple[Raw, Ipv6]:
    word, payload_len, proto, hop_limit, saddr, daddr = _IPV6.unpack_from(octets)
    # A payload length of 0 means a jumbogram (RFC 2675) or offload: then all octets count.
    end = 40 + payload_len if 0 < payload_len <= len(octets) - 40 else len(octets)
    datagram = octets[: min(end, MAX_DATAGRAM)]
    proto, offset, first = _upper_layer(datagram, proto)
    l4, used = _transport(datagram[offset:], proto, ICMPV6, _ICMPV6_QUERIES) if first else (None, 0)
    header = Ipv6Header(
        saddr=socket.inet_ntop(socket.AF_INET6, saddr),
        daddr=socket.inet_ntop(socket.AF_INET6, daddr),
        proto=proto,
        ver=6,
        tclass=word >> 20 & 255,
        flow_label=word & 0xFFFFF,
        payload_len=payload_len,
        hop_limit=hop_limit,
        data_offset=min(offset + used, 65535),
        l4=l4,
    )
    return Raw(datagram), Ipv6(header)


def _upper_layer(datagram: bytes, proto: int) -> tuple[int, int, bool]:
    """(protocol, offset of its header, whether a header begins there). Stops at an extension header that is cut off,
    and at a later fragment, whose octets are the middle of something.
    """
    offset = 40
    while True:
        if proto in _EXTENSION_HEADERS or proto == _AUTHENTICATION:
            if offset + 2 > len(datagram):
                return proto, offset, False
            # RFC 4302 section 2.2: the authentication header counts in 4 octets less two.
            unit, less = (4, 2) if proto == _AUTHENTICATION else (8, 1)
            size = (datagram[offset + 1] + less) * unit
        elif proto == _FRAGMENT:
            size = 8
        else:
            return proto, offset, True
        if offset + size > len(datagram):
            return proto, offset, False
        later = proto == _FRAGMENT and (datagram[offset + 2] << 8 | datagram[offset + 3]) >> 3 != 0
        proto, offset = datagram[offset], offset + size
        if later:
            return proto, offset, False


def _transport(payload: bytes, proto: int, icmp: int, queries: frozenset[int]) -> tuple[Transport | None, int]:
    """(header, octets it takes); (None, 0) when there is none or it is cut off."""
    if proto == TCP and len(payload) >= _TCP.size:
        return _tcp(payload)
    if proto == UDP and len(payload) >= _UDP.size:
        sport, dport, length, csum = _UDP.unpack_from(payload)
        return UdpHeader(sport, dport, length, csum), _UDP.size
    if proto == icmp and len(payload) >= _ICMP.size:
        kind, code, csum = _ICMP.unpack_from(payload)
        if kind in queries and len(payload) >= 8:
            ident, seq = struct.unpack_from("!HH", payload, 4)
            return IcmpHeader(kind, code, csum, ident, seq), 8
        # The second word means something else for each type, so it stays with the data.
        return IcmpHeader(kind, code, csum), 4
    return None, 0


def _tcp(payload: bytes) -> tuple[TcpHeader | None, int]:
    sport, dport, seq, ack, bits, win, csum, urp = _TCP.unpack_from(payload)
    off = bits >> 12
    size = off * 4
    if size < 20 or size > len(payload):
        return None, 0
    options = _options(payload[20:size])
    return TcpHeader(sport, dport, bits & 255, seq, ack, off, bits >> 8 & 15, win, csum, urp, options), size


def _options(octets: bytes) -> tuple[Option, ...]:
    """IP or TCP options (RFC 791 section 3.1, RFC 9293 section 3.1): kinds 0 and 1 are one octet, all others have a
    length.

    The list ends at kind 0; padding after it that is not zero, and everything from an option with an impossible
    length on, is kept as the data of the last option.
    """
    options: list[Option] = []
    at = 0
    while at < len(octets):
        kind = octets[at]
        if kind == 0:
            rest = octets[at + 1 :]
            options.append(Option(0, rest if any(rest) else b""))
            break
        if kind == 1:
            options.append(Option(1))
            at += 1
            continue
        size = octets[at + 1] if at + 1 < len(octets) else 0
        if size < 2 or at + size > len(octets):
            options.append(Option(kind, octets[at + 1 :]))
            break
        options.append(Option(kind, octets[at + 2 : at + size]))
        at += size
    return tuple(options)
