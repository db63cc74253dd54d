"""What we say beyond SNML 0.3: the typed contents of an event's `extension` elements.

Rules of this file: one dataclass per extension, `name` is the word in extension/@name. The README lists every one; a
test compares. Append only: a name keeps its meaning for ever, a changed meaning gets a new name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from appliance.wire.snml.packet import Ipv6Header


@dataclass(frozen=True, slots=True)
class EventId:
    """The event's own name, a UUID (RFC 9562) in its lower-case text form."""

    name: ClassVar[str] = "event-id"
    uuid: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """The sensor's number for this event: `seq` counts from 1 without gaps within `epoch` (63 bits each)."""

    name: ClassVar[str] = "sequence"
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Rule:
    """Generator, signature and revision numbers of the rule that matched."""

    name: ClassVar[str] = "rule"
    gid: int
    sid: int
    rev: int


@dataclass(frozen=True, slots=True)
class Flow:
    """The flow of the packet: the sensor's number for it (63 bits, 0 for none), Community ID, direction, application
    protocol.
    """

    name: ClassVar[str] = "flow"
    flow_id: int
    community_id: str | None
    to_server: bool
    app_proto: str | None


@dataclass(frozen=True, slots=True)
class Ipv6:
    """The IPv6 header that 0.3 has no element for; the whole datagram is in `packet/raw`."""

    name: ClassVar[str] = "ipv6"
    header: Ipv6Header


@dataclass(frozen=True, slots=True)
class Facts:
    """What the application layer said: (field, value) such as ("http.host", "example.org"), in the order seen."""

    name: ClassVar[str] = "facts"
    items: tuple[tuple[str, str], ...]


Extension = EventId | Sequence | Rule | Flow | Ipv6 | Facts
EXTENSION_TYPES: tuple[type[Extension], ...] = (EventId, Sequence, Rule, Flow, Ipv6, Facts)
