"""What is judged after decoding, event by event: the batch's epoch, a number in its range, a time that can be.

Rules of this file: pure, the time is an argument. Every event of a document ends up either stored or rejected with a
code and its bytes: none is dropped. A rejected event whose number cannot be read is given the number that its
neighbours leave for it, where there is one, so that the sensor's count goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.wire.codes import SessionCode
from appliance.wire.fields import format_clock
from appliance.wire.session import BatchHeader
from appliance.wire.snml import Event, SnmlError
from collector_client.store import Rejected, StoredEvent

_DAY_NS = 86_400 * 1_000_000_000
_MINUTE_NS = 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """How old an event may be, and how far ahead of the collector's clock."""

    max_age_ns: int
    max_ahead_ns: int

    @staticmethod
    def of(max_age_days: int, max_ahead_minutes: int) -> Window:
        """From the configuration's units."""
        return Window(max_age_days * _DAY_NS, max_ahead_minutes * _MINUTE_NS)


@dataclass(frozen=True, slots=True)
class Judged:
    """All events of a document, sorted out."""

    events: tuple[StoredEvent, ...]
    rejected: tuple[Rejected, ...]


def judge(
    header: BatchHeader, decoded: Sequence[Event | SnmlError], pieces: Sequence[bytes], now_ns: int, window: Window
) -> Judged:
    """Sort out the events of one document; `pieces` are their bytes, in the same order."""
    faults: list[Fault | None] = []
    numbers: list[int | None] = []
    last_seq = header.first_seq - 1
    for item in decoded:
        found = item if isinstance(item, SnmlError) else _fault(item, header, last_seq, now_ns, window)
        number = None if isinstance(item, SnmlError) else _number(item, header, last_seq)
        faults.append((str(found.code), found.came, found.allowed) if isinstance(found, SnmlError) else found)
        numbers.append(number)
        last_seq = last_seq if number is None else number
    _fill(numbers, header)
    events: list[StoredEvent] = []
    rejected: list[Rejected] = []
    for item, fault, number, data in zip(decoded, faults, numbers, pieces, strict=True):
        if fault is not None:
            rejected.append(Rejected(number, *fault, data))
        elif number is not None and not isinstance(item, SnmlError):
            events.append(StoredEvent(number, item, data))
    return Judged(tuple(events), tuple(rejected))


Fault = tuple[str, str, str]


def _fault(event: Event, header: BatchHeader, last_seq: int, now_ns: int, window: Window) -> Fault | None:
    """Why an event cannot be stored: the code, what came, what was allowed."""
    found = event.sequence
    if found is None:
        return str(SessionCode.SEQUENCE_MISSING), "no sequence extension", "one in every event"
    if found.epoch != header.epoch:
        return str(SessionCode.EPOCH_DIFFERS), f"epoch {found.epoch}", f"epoch {header.epoch}, the batch's"
    if not header.first_seq <= found.seq <= header.last_seq:
        allowed = f"{header.first_seq} to {header.last_seq}, the batch's range"
        return str(SessionCode.SEQUENCE_OUTSIDE), f"number {found.seq}", allowed
    if found.seq <= last_seq:
        return str(SessionCode.SEQUENCE_REPEATED), f"number {found.seq}", f"a number above {last_seq}"
    if event.timestamp_ns < now_ns - window.max_age_ns:
        return str(SessionCode.EVENT_TOO_OLD), _time(event), f"not before {format_clock(now_ns - window.max_age_ns)}"
    if event.timestamp_ns > now_ns + window.max_ahead_ns:
        return str(SessionCode.EVENT_IN_FUTURE), _time(event), f"not after {format_clock(now_ns + window.max_ahead_ns)}"
    return None


def _time(event: Event) -> str:
    return format_clock(event.timestamp_ns)


def _number(event: Event, header: BatchHeader, last_seq: int) -> int | None:
    """The event's number, where it can stand at this place of this batch."""
    found = event.sequence
    if found is None or found.epoch != header.epoch or not last_seq < found.seq <= header.last_seq:
        return None
    return found.seq


def _fill(numbers: list[int | None], header: BatchHeader) -> None:
    """Give events without a number the next one that is neither lost nor another event's."""
    claimed = {number for number in numbers if number is not None}
    lost = sorted((loss.first_seq, loss.last_seq) for loss in header.losses)
    seq = header.first_seq
    for at, number in enumerate(numbers):
        if number is not None:
            seq = number + 1
            continue
        for first, last in lost:
            if first <= seq <= last:
                seq = last + 1
        if seq <= header.last_seq and seq not in claimed:
            numbers[at] = seq
            seq += 1


def accounted(header: BatchHeader) -> int:
    """How many numbers of the batch's range are not declared lost: the most events that it can hold."""
    left = header.last_seq - header.first_seq + 1
    upto = header.first_seq - 1
    for loss in sorted(header.losses, key=lambda loss: loss.first_seq):
        first, last = max(loss.first_seq, upto + 1), min(loss.last_seq, header.last_seq)
        if first <= last:
            left -= last - first + 1
            upto = last
    return left
