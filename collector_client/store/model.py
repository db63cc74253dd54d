"""What goes into the store and what it answers: plain frozen records, no behaviour.

Sequence numbers are those of one (sensor, epoch); they begin at 1. Times are nanoseconds since the Unix epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.wire.session import Loss

if TYPE_CHECKING:
    from appliance.wire.snml import Event, Sensor

__all__ = ["BatchToStore", "Loss", "Rejected", "Stored", "StoredEvent"]


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event that passed every check: its number, its decoded form, and the exact bytes of its `event` element."""

    seq: int
    event: Event
    xml: bytes


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that was refused: kept in quarantine with the reason. `seq` is None where the bytes did not say it."""

    seq: int | None
    code: str
    came: str
    allowed: str
    data: bytes


@dataclass(frozen=True, slots=True)
class BatchToStore:
    """One checked batch of one sensor and epoch, as the ingest hands it over."""

    sensor_id: str
    epoch: int
    first_seq: int
    last_seq: int
    sha256: bytes
    received_ns: int
    sensor: Sensor
    events: Sequence[StoredEvent]
    rejected: Sequence[Rejected] = ()
    losses: Sequence[Loss] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """What the sensor may be told once this exists: it is on disk.

    `stored_to`: every number from the batch's first up to here is stored, quarantined or declared lost.
    `gaps`: numbers below the highest known one that are none of these (at most `ranges.MAX_GAPS`, oldest first).
    `duplicates`: events that were already stored; they added nothing.
    `conflicts`: duplicates whose bytes differ from the stored ones: a cloned or restored sensor. The first stays.
    """

    accepted_to: int
    stored_to: int
    gaps: tuple[tuple[int, int], ...] = ()
    duplicates: int = 0
    conflicts: tuple[int, ...] = ()
