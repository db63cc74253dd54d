"""The SNML message: sensor and events, frozen, in the words of SNML 0.3.

Rules of this file: data and look-ups only. Nothing here checks ranges: the encoder and the decoder do, by the same
tables (fields.py), so that a model is cheap to build and nothing unchecked reaches the wire.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from appliance.wire.snml.extension import EventId, Extension, Facts, Flow, Ipv6, Rule, Sequence
from appliance.wire.snml.packet import IpHeader, Packet, Transport


class Encoding(StrEnum):
    """How octets are written: sensor/@encoding."""

    HEX = "hex"
    BASE64 = "base64"
    ASCII = "ascii"


class Detail(StrEnum):
    """How much of a packet is sent: sensor/@detail."""

    FAST = "fast"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Sensor:
    """Who speaks, and how octets in the events are written. Either `file`, or `ipaddr` with `ipaddr_version` 4 or 6."""

    encoding: Encoding
    detail: Detail
    hostname: str
    ipaddr: str | None = None
    ipaddr_version: int | None = None
    interface: str | None = None
    file: str | None = None
    filter: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """What matched: the rule's message; `id` is the sid, `priority` 1 is the most urgent."""

    text: str
    id: int | None = None
    revision: int | None = None
    class_: str | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """Where to read more: `system` is cve, url, bugtraq ..."""

    system: str
    text: str


_E = TypeVar("_E", EventId, Sequence, Rule, Flow, Ipv6, Facts)


@dataclass(frozen=True, slots=True)
class Event:
    """One detection with its packet. `timestamp_ns` counts nanoseconds since the Unix epoch, UTC."""

    signature: Signature
    references: tuple[Reference, ...]
    timestamp_ns: int
    packet: Packet
    extensions: tuple[Extension, ...] = ()

    def _extension(self, kind: type[_E]) -> _E | None:
        for extension in self.extensions:
            if isinstance(extension, kind):
                return extension
        return None

    @property
    def event_id(self) -> EventId | None:
        return self._extension(EventId)

    @property
    def sequence(self) -> Sequence | None:
        return self._extension(Sequence)

    @property
    def rule(self) -> Rule | None:
        return self._extension(Rule)

    @property
    def flow(self) -> Flow | None:
        return self._extension(Flow)

    @property
    def ipv6(self) -> Ipv6 | None:
        return self._extension(Ipv6)

    @property
    def facts(self) -> Facts | None:
        return self._extension(Facts)

    @property
    def transport(self) -> Transport | None:
        """The TCP, UDP or ICMP header, whichever IP header it stands below."""
        if isinstance(self.packet, IpHeader):
            return self.packet.l4
        ipv6 = self.ipv6
        return None if ipv6 is None else ipv6.header.l4

    @property
    def endpoints(self) -> tuple[str | None, str | None, int] | None:
        """(source address, destination address, protocol number) of the IPv4 or IPv6 header; None without one."""
        if isinstance(self.packet, IpHeader):
            return self.packet.saddr, self.packet.daddr, self.packet.proto
        ipv6 = self.ipv6
        return None if ipv6 is None else (ipv6.header.saddr, ipv6.header.daddr, ipv6.header.proto)

    @property
    def payload(self) -> bytes | None:
        """The octets after the last decoded header; None when none were sent or no header was decoded."""
        if isinstance(self.packet, IpHeader):
            return self.packet.data
        ipv6 = self.ipv6
        if ipv6 is None or ipv6.header.data_offset is None:
            return None
        return self.packet.data[ipv6.header.data_offset :]

    def with_extensions(self, *extensions: Extension) -> Event:
        """The same event with these put before its other extensions."""
        return replace(self, extensions=(*extensions, *self.extensions))


@dataclass(frozen=True, slots=True)
class Message:
    """One document: one sensor, one or more events."""

    sensor: Sensor
    events: tuple[Event, ...]
