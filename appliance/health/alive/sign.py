"""What a sign of life is: a pure question to one snapshot of how long each part has stood still.

Rules of this file: no I/O. A sign is not a finding. A finding says what an operator should mend, and most of them no
restart would; a sign says whether a part moves, and when it does not, only starting it anew helps. So a collector that
is away, a full disk, a lost certificate and an idle wire are all alive.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Part(Enum):
    """What must move; the supervisor's beat has one bit for each."""

    CAPTURE = "capture"
    ENGINE = "engine"
    SPOOL = "spool"
    UPLINK = "uplink"


@dataclass(frozen=True, slots=True)
class Still:
    """How long something has stood still, and how long it may."""

    for_s: float
    limit_s: float


@dataclass(frozen=True, slots=True)
class Vitals:
    """One snapshot. None: that part has ended as it should, or was not started yet."""

    capture: Still | None
    engine: Still | None
    disk: Still | None
    """Since a write to the spool's disk last came to an end, whatever its end."""
    disk_fault: str
    """Why that write failed, empty when it did not; a disk without room is no fault."""
    spool_fault: str
    """Why the spool takes nothing any more until it is opened anew; empty otherwise."""
    uplink: Still | None


@dataclass(frozen=True, slots=True)
class Sign:
    """Whether one part is alive, in words."""

    part: Part
    alive: bool
    text: str


class Check(Protocol):
    """One file beside this one, with this one function."""

    def __call__(self, vitals: Vitals) -> Sign:
        """Judge a snapshot."""


def by_time(part: Part, still: Still | None, moves: str) -> Sign:
    """Alive while it has not stood still for longer than it may."""
    if still is None:
        return Sign(part, True, f"{moves}: not at work")
    return Sign(
        part, still.for_s <= still.limit_s, f"{moves} {still.for_s:.0f} s ago, {still.limit_s:.0f} s are allowed"
    )
