"""Hiding a customer's addresses before an event is stored anywhere.

Rules of this file: an event with an address in a listed network loses that address (masked as the 2001 plug-in did,
or replaced by a pseudonym) and everything that would give it or the payload away. When it cannot be told whose
addresses an event has, its octets are dropped. No keys and no cryptography here: the pseudonym is a function that is
handed in.

What goes with a hidden address, and why:
- the payload, the raw datagram, and the facts taken from it (2001: the payload);
- IP options: record route and source route hold addresses;
- checksums: over known header fields they give 16 bits of the hidden address back;
- Community ID: a hash with a public seed, found again by trying all addresses.
Kept: ports, flags, sizes, TCP options, the sensor's own flow number, ids and rule.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network

from appliance.wire.snml.extension import Extension, Facts, Flow, Ipv6
from appliance.wire.snml.model import Event
from appliance.wire.snml.packet import IpHeader, Raw, Transport

Network = IPv4Network | IPv6Network
Pseudonym = Callable[[str], str]
"""Address text -> address text of the same version."""

_V4_MAPPED = bytes(10) + b"\xff\xff"


class Sanitizer:
    """Applies one list of networks; `pseudonym` None masks."""

    def __init__(self, networks: Iterable[Network], pseudonym: Pseudonym | None = None) -> None:
        self._pseudonym = pseudonym
        self._nets: dict[int, list[tuple[int, int]]] = {4: [], 16: []}
        for network in networks:
            size = 4 if network.version == 4 else 16
            self._nets[size].append((int(network.network_address), int(network.netmask)))
        self._idle = not any(self._nets.values())

    def hides(self, address: str) -> bool:
        """Whether the address is in one of the networks; an IPv4-mapped IPv6 address also counts as its IPv4
        address.
        """
        packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
        if self._within(packed):
            return True
        return packed.startswith(_V4_MAPPED) and len(packed) == 16 and self._within(packed[12:])

    def apply(self, event: Event) -> Event:
        """The event as it may leave; the very same object when nothing has to be hidden."""
        if self._idle:
            return event
        if isinstance(event.packet, IpHeader):
            return self._sanitize_ipv4(event, event.packet)
        ipv6 = event.ipv6
        if ipv6 is None:
            # Not decoded, so nobody can say whose addresses are in it.
            return replace(event, packet=Raw(b""), extensions=_without_payload(event.extensions))
        header = ipv6.header
        if not self._touches(header.saddr, header.daddr):
            return event
        hidden = Ipv6(
            replace(
                header,
                saddr=self._new(header.saddr),
                daddr=self._new(header.daddr),
                data_offset=None,
                l4=_without_checksum(header.l4),
            )
        )
        extensions = tuple(hidden if isinstance(e, Ipv6) else e for e in _without_payload(event.extensions))
        return replace(event, packet=Raw(b""), extensions=extensions)

    def _sanitize_ipv4(self, event: Event, ip: IpHeader) -> Event:
        if not self._touches(ip.saddr, ip.daddr):
            return event
        packet = replace(
            ip,
            saddr=self._new(ip.saddr),
            daddr=self._new(ip.daddr),
            csum=None,
            options=(),
            l4=_without_checksum(ip.l4),
            data=None,
        )
        return replace(event, packet=packet, extensions=_without_payload(event.extensions))

    def _touches(self, *addresses: str | None) -> bool:
        return any(address is None or self.hides(address) for address in addresses)

    def _new(self, address: str | None) -> str | None:
        if address is None or not self.hides(address):
            return address
        return None if self._pseudonym is None else self._pseudonym(address)

    def _within(self, packed: bytes) -> bool:
        value = int.from_bytes(packed, "big")
        return any(value & mask == network for network, mask in self._nets[len(packed)])


def _without_checksum(header: Transport | None) -> Transport | None:
    return None if header is None else replace(header, csum=None)


def _without_payload(extensions: tuple[Extension, ...]) -> tuple[Extension, ...]:
    return tuple(
        replace(extension, community_id=None) if isinstance(extension, Flow) else extension
        for extension in extensions
        if not isinstance(extension, Facts)
    )
