"""Which sequence numbers will never reach the collector, and why: the account that makes a loss a named one.

Rules of this file: pure. Ranges of one epoch are sorted and never overlap; a number keeps the first reason given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# Closed, append-only: the words go on the wire in `Vedette-Losses`.
SPOOL_FULL = "spool-full"
SPOOL_DAMAGE = "spool-damage"
REASONS = frozenset({SPOOL_FULL, SPOOL_DAMAGE})


@dataclass(frozen=True, slots=True, order=True)
class Loss:
    """Sequence numbers `first_seq` to `last_seq`, both included, of one epoch."""

    first_seq: int
    last_seq: int
    reason: str

    @property
    def count(self) -> int:
        """How many numbers."""
        return self.last_seq - self.first_seq + 1


class LossAccount:
    """The losses of every epoch still in the spool."""

    def __init__(self) -> None:
        self._by_epoch: dict[int, list[Loss]] = {}

    def add(self, epoch: int, first_seq: int, last_seq: int, reason: str) -> int:
        """Note a loss; numbers that already have a reason keep it. How many numbers were new."""
        known = self._by_epoch.get(epoch, [])
        fresh = [
            Loss(first, last, reason) for first, last in subtract(first_seq, last_seq, spans(known)) if first <= last
        ]
        if fresh:
            self._by_epoch[epoch] = _merged([*known, *fresh])
        return sum(loss.count for loss in fresh)

    def forget_to(self, epoch: int, seq: int) -> None:
        """Drop what lies at or below `seq`: the collector has answered for it."""
        known = self._by_epoch.get(epoch, [])
        kept = [Loss(max(loss.first_seq, seq + 1), loss.last_seq, loss.reason) for loss in known if loss.last_seq > seq]
        if kept:
            self._by_epoch[epoch] = kept
        else:
            self._by_epoch.pop(epoch, None)

    def forget_epoch(self, epoch: int) -> None:
        """Drop a whole epoch."""
        self._by_epoch.pop(epoch, None)

    def epochs(self) -> list[int]:
        """Every epoch that has a loss."""
        return list(self._by_epoch)

    def of(self, epoch: int) -> list[Loss]:
        """The losses of one epoch, sorted."""
        return list(self._by_epoch.get(epoch, []))

    def __iter__(self) -> Iterator[tuple[int, Loss]]:
        for epoch, losses in self._by_epoch.items():
            for loss in losses:
                yield epoch, loss


def spans(losses: Iterable[Loss]) -> list[tuple[int, int]]:
    """The bare ranges."""
    return [(loss.first_seq, loss.last_seq) for loss in losses]


def subtract(first: int, last: int, holes: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What of `first`..`last` lies in none of the sorted, disjoint `holes`."""
    left: list[tuple[int, int]] = []
    for hole_first, hole_last in holes:
        if hole_last < first:
            continue
        if hole_first > last:
            break
        if hole_first > first:
            left.append((first, hole_first - 1))
        first = hole_last + 1
    if first <= last:
        left.append((first, last))
    return left


def _merged(losses: list[Loss]) -> list[Loss]:
    merged: list[Loss] = []
    for loss in sorted(losses):
        before = merged[-1] if merged else None
        if before is not None and before.reason == loss.reason and before.last_seq + 1 == loss.first_seq:
            merged[-1] = Loss(before.first_seq, loss.last_seq, loss.reason)
        else:
            merged.append(loss)
    return merged
