"""The time line's numbers: equal buckets over the shown range, one stack for each priority.

Rules of this file: pure. At most `MAX_BUCKETS` buckets, their width one of `WIDTHS_S`, aligned to the epoch in UTC, so
the same alert falls into the same bucket whenever it is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_BUCKETS = 144
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
WIDTHS_S = (
    1, 5, 15, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 30 * _MINUTE, _HOUR, 2 * _HOUR, 6 * _HOUR,
    12 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY, 28 * _DAY, 91 * _DAY, 365 * _DAY, 3_650 * _DAY,
)  # fmt: skip
# The stacks, most urgent first; the last takes everything else, also alerts that state no priority.
STACKS = ("1", "2", "3", "other")


@dataclass(frozen=True, slots=True)
class Chart:
    """`starts_s` has every bucket of the range; `counts[i]` are those of `STACKS[i]`."""

    width_s: int
    starts_s: list[int]
    counts: list[list[int]]

    @property
    def totals(self) -> list[int]:
        """Alerts of each stack over the whole range."""
        return [sum(row) for row in self.counts]

    @property
    def total(self) -> int:
        """Alerts over the whole range."""
        return sum(self.totals)

    @property
    def peak(self) -> tuple[int, int] | None:
        """(start, alerts) of the fullest bucket, the first of equals; None without alerts."""
        sums = [sum(column) for column in zip(*self.counts, strict=True)]
        most = max(sums, default=0)
        return (self.starts_s[sums.index(most)], most) if most else None


SPARK_BARS = 24
SPARK_HEIGHT = 20


def spark(chart: Chart, buckets: dict[int, int]) -> list[tuple[int, int, int]]:
    """One signature's trend over the chart's range as (position, top, height) of small bars, only those that show.

    Each trend is scaled to its own fullest bar: it tells a burst from a steady trickle, not how many.
    """
    if not chart.starts_s:
        return []
    low, span = chart.starts_s[0], len(chart.starts_s)
    bars = min(SPARK_BARS, span)
    sums = [0] * bars
    for start, count in buckets.items():
        index = (start - low) // chart.width_s
        if 0 <= index < span:
            sums[index * bars // span] += count
    most = max(sums)
    out = []
    for position, value in enumerate(sums):
        if value:
            height = max(2, round(SPARK_HEIGHT * value / most))
            out.append((position, SPARK_HEIGHT - height, height))
    return out


def width_for(span_s: int) -> int:
    """The narrowest width that covers `span_s` seconds in at most `MAX_BUCKETS` buckets (one is lost to alignment)."""
    return next((width for width in WIDTHS_S if span_s <= width * (MAX_BUCKETS - 1)), WIDTHS_S[-1])


def build(first_s: int, last_s: int, width_s: int, rows: Sequence[tuple[int, dict[int, int]]]) -> Chart:
    """Spread the store's filled buckets over the range `first_s`..`last_s`; the range grows where rows lie outside."""
    starts = [start for start, _ in rows]
    low = min([first_s // width_s * width_s, *starts])
    high = max([last_s // width_s * width_s, *starts])
    if (high - low) // width_s >= 2 * MAX_BUCKETS:
        # A sensor with a wrong clock must not stretch the picture until nothing can be seen.
        low = max(low, high - (MAX_BUCKETS - 1) * width_s)
    starts = list(range(low, high + 1, width_s))
    counts = [[0] * len(starts) for _ in STACKS]
    for start, by_priority in rows:
        if start < low:
            continue
        for priority, count in by_priority.items():
            stack = priority - 1 if 1 <= priority < len(STACKS) else len(STACKS) - 1
            counts[stack][(start - low) // width_s] += count
    return Chart(width_s, starts, counts)
