"""A clock that stands still until it is told otherwise."""

from __future__ import annotations


class FakeClock:
    """Wall and monotonic time moved by hand, together or (`skew`) apart."""

    def __init__(self, wall_ns: int = 1_700_000_000_000_000_000) -> None:
        self._wall_ns = wall_ns
        self._monotonic_s = 1000.0

    def wall_ns(self) -> int:
        return self._wall_ns

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        self._monotonic_s += seconds
        self._wall_ns += int(seconds * 1e9)

    def skew(self, seconds: float) -> None:
        self._wall_ns += int(seconds * 1e9)
