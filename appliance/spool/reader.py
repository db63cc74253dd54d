"""From segments to the next batch.

Rules of this file: reads segment files and decides; it keeps and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from appliance.spool.losses import Loss
from appliance.spool.record import Found
from appliance.spool.segment import Segment, read_records

# A batch's losses travel in one header line; a batch ends before the loss that would be one too many.
MAX_LOSSES_PER_BATCH = 32


@dataclass(frozen=True, slots=True)
class Batch:
    """Events to send: `first_seq` and `last_seq` are those of the first and last fragment, with `losses` up to there.

    Without fragments there is nothing to send now (then `last_seq` is `first_seq - 1`), though losses may wait.
    """

    epoch: int
    first_seq: int
    last_seq: int
    fragments: list[bytes]
    losses: list[Loss]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a read stopped, so that the next one need not go through the segment again."""

    index: int
    seq: int
    offset: int


@dataclass(slots=True)
class Gathered:
    """Fragments in order, the numbers that should have stood between them (`holes`), and where reading stopped."""

    first_seq: int = 0
    last_seq: int = 0
    fragments: list[bytes] = field(default_factory=list)
    holes: list[tuple[int, int]] = field(default_factory=list)
    position: Position | None = None


def gather(
    segments: Sequence[Segment],
    after_seq: int,
    *,
    max_events: int,
    max_bytes: int,
    stop_seq: int | None,
    position: Position | None,
) -> Gathered:
    """The records above `after_seq`, at least one if there is any; none at or above `stop_seq` unless it is the first.

    Raises:
        SpoolError: a segment cannot be read.
    """
    got = Gathered(after_seq + 1, after_seq, position=position)
    size = 0
    for segment in segments:
        offset = 0
        if position is not None and (position.index, position.seq) == (segment.index, got.last_seq):
            offset = position.offset
        for item in read_records(segment, after_seq=got.last_seq, from_offset=offset):
            if not isinstance(item, Found):
                continue
            record = item.record
            if got.fragments and (
                len(got.fragments) >= max_events
                or size + len(record.fragment) > max_bytes
                or (stop_seq is not None and record.seq >= stop_seq)
            ):
                return got
            if record.seq > got.last_seq + 1:
                got.holes.append((got.last_seq + 1, record.seq - 1))
            if not got.fragments:
                got.first_seq = record.seq
            got.fragments.append(record.fragment)
            size += len(record.fragment)
            got.last_seq = record.seq
            got.position = Position(segment.index, record.seq, offset + item.end)
        if segment.last_seq > got.last_seq:
            got.holes.append((max(got.last_seq + 1, segment.first_seq), segment.last_seq))
    return got


def joined(losses: Sequence[Loss]) -> list[Loss]:
    """At most one loss between two events: neighbours become one under the reason of the first."""
    out: list[Loss] = []
    for loss in losses:
        if out and out[-1].last_seq + 1 == loss.first_seq:
            out[-1] = Loss(out[-1].first_seq, loss.last_seq, out[-1].reason)
        else:
            out.append(loss)
    return out
