"""Which sequence numbers of a sensor and epoch are known: disjoint intervals, merged as they grow.

Rules of this file: no interval touches or overlaps another of its kind, so an honest sensor needs one row. Every
question is a walk of the primary key that stops at the first interval outside: a hostile sensor that leaves a hole at
every other number makes rows, not slowness; and no more rows than `MAX_ROWS`, because these outlive the months' files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

STORED = "stored"
LOST = "lost"
ACCOUNTED = "accounted"
MAX_GAPS = 64

MAX_ROWS = 20_000
"""Most intervals of one sensor over all its epochs. An honest one has three for each epoch and two for each loss."""

Interval = tuple[int, int]


def compress(numbers: Iterable[int]) -> list[Interval]:
    """Distinct numbers as the fewest intervals, ascending.

    >>> compress([3, 1, 2, 7])
    [(1, 3), (7, 7)]
    """
    out: list[Interval] = []
    for number in sorted(set(numbers)):
        if out and out[-1][1] == number - 1:
            out[-1] = (out[-1][0], number)
        else:
            out.append((number, number))
    return out


def subtract(interval: Interval, taken: Sequence[Interval]) -> list[Interval]:
    """What of `interval` is in none of `taken` (ascending, disjoint)."""
    out: list[Interval] = []
    first, last = interval
    for low, high in taken:
        if high < first or low > last:
            continue
        if low > first:
            out.append((first, low - 1))
        first = high + 1
    if first <= last:
        out.append((first, last))
    return out


def near(control: sqlite3.Connection, sensor_id: str, epoch: int, kind: str, interval: Interval) -> list[Interval]:
    """The known intervals that overlap or touch `interval`, ascending."""
    rows = control.execute(
        "SELECT first_seq, last_seq FROM sequence_ranges"
        " WHERE sensor_id = ? AND epoch = ? AND kind = ? AND first_seq <= ? ORDER BY first_seq DESC",
        (sensor_id, epoch, kind, interval[1] + 1),
    )
    out: list[Interval] = []
    for low, high in rows:
        if high < interval[0] - 1:
            break
        out.append((low, high))
    rows.close()
    return out[::-1]


def add(control: sqlite3.Connection, sensor_id: str, epoch: int, kind: str, interval: Interval) -> None:
    """Make every number of `interval` known. Adding what is known already changes nothing."""
    touching = near(control, sensor_id, epoch, kind, interval)
    first = min([interval[0], *(low for low, _ in touching)])
    last = max([interval[1], *(high for _, high in touching)])
    if touching == [(first, last)]:
        return
    control.executemany(
        "DELETE FROM sequence_ranges WHERE sensor_id = ? AND epoch = ? AND kind = ? AND first_seq = ?",
        [(sensor_id, epoch, kind, low) for low, _ in touching],
    )
    control.execute("INSERT INTO sequence_ranges VALUES (?, ?, ?, ?, ?)", (sensor_id, epoch, kind, first, last))


def rows_of(control: sqlite3.Connection, sensor_id: str, limit: int) -> int:
    """How many intervals a sensor has, all epochs and kinds together; counts no further than `limit`."""
    (found,) = control.execute(
        "SELECT COUNT(*) FROM (SELECT 1 FROM sequence_ranges WHERE sensor_id = ? LIMIT ?)", (sensor_id, limit)
    ).fetchone()
    return int(found)


def accounted_to(control: sqlite3.Connection, sensor_id: str, epoch: int, first_seq: int) -> int:
    """The end of the unbroken run of accounted numbers that begins at `first_seq`; one less if that one is missing."""
    row = control.execute(
        "SELECT last_seq FROM sequence_ranges WHERE sensor_id = ? AND epoch = ? AND kind = ? AND first_seq <= ?"
        " ORDER BY first_seq DESC LIMIT 1",
        (sensor_id, epoch, ACCOUNTED, first_seq),
    ).fetchone()
    return first_seq - 1 if row is None else max(int(row[0]), first_seq - 1)


def gaps(control: sqlite3.Connection, sensor_id: str, epoch: int, limit: int = MAX_GAPS) -> list[Interval]:
    """Numbers from 1 to the highest known one that are neither stored nor declared lost, oldest first."""
    rows = control.execute(
        "SELECT first_seq, last_seq FROM sequence_ranges WHERE sensor_id = ? AND epoch = ? AND kind = ?"
        " ORDER BY first_seq LIMIT ?",
        (sensor_id, epoch, ACCOUNTED, limit + 1),
    )
    out: list[Interval] = []
    expected = 1
    for low, high in rows:
        if low > expected:
            out.append((expected, low - 1))
        expected = high + 1
    return out[:limit]
