"""A look at a spool folder for `vedette spool verify` and `vedette spool list`: what is there, damaged, missing.

Rules of this file: changes nothing and takes no lock. Beside a running daemon the newest segment may end in a record
that is just being written; `Report.sound` is meant for a spool at rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.spool.errors import SpoolError
from appliance.spool.losses import Loss
from appliance.spool.record import Damage
from appliance.spool.recovery import recover


@dataclass(frozen=True, slots=True)
class SegmentReport:
    """One file: its records' range (0 when it has none), how many there are and still wait, its damage."""

    name: str
    bytes: int
    epoch: int
    first_seq: int
    last_seq: int
    events: int
    waiting: int
    damages: tuple[Damage, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole folder. `notes` names every damage in words; `losses` are (epoch, loss) not yet told."""

    epoch: int
    accepted_to: int
    read_epoch: int
    stored_to: int
    segments: tuple[SegmentReport, ...]
    losses: tuple[tuple[int, Loss], ...]
    notes: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Nothing is damaged; a loss for want of room is told, but it is no damage."""
        return not self.notes and not any(loss.reason == "spool-damage" for _, loss in self.losses)


def verify(path: Path) -> Report:
    """Read every byte of the spool at folder `path`.

    Raises:
        SpoolError: there is no such folder, or it cannot be read.
    """
    if not path.is_dir():
        raise SpoolError(
            f"{path}: no spool there", advice="check sensor.state_dir; the daemon makes it when it first runs"
        )
    found = recover(path, lambda: 0)
    segments = []
    for segment in sorted([*found.segments, *found.disposable], key=lambda s: s.index):
        after = found.cursor.seq if segment.epoch == found.cursor.epoch else 0
        waiting = segment.count_after(after) if segment in found.segments else 0
        segments.append(
            SegmentReport(
                segment.path.name,
                segment.size,
                segment.epoch,
                segment.first_seq,
                segment.last_seq,
                segment.count_after(0),
                waiting,
                tuple(segment.damages),
            )
        )
    return Report(
        found.accepted.epoch,
        found.accepted.seq,
        found.cursor.epoch,
        found.cursor.seq,
        tuple(segments),
        tuple(found.state.losses),
        tuple(found.notes),
    )
