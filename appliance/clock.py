"""Time as an argument: the one protocol that everything which asks for the time receives.

Rules of this file: no other module of the appliance calls `time.time()` or `datetime.now()`.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""

    def monotonic_s(self) -> float:
        """Seconds that never run backwards, from an arbitrary start."""


class CorrectedClock:
    """Another clock, whose wall time is `ahead_ns` off by what a collector told; `identity.tls` judges dates by it."""

    def __init__(self, clock: Clock, ahead_ns: int) -> None:
        self._clock = clock
        self.ahead_ns = ahead_ns

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return self._clock.wall_ns() + self.ahead_ns

    def monotonic_s(self) -> float:
        """Seconds that never run backwards, from an arbitrary start."""
        return self._clock.monotonic_s()


class SystemClock:
    """The machine's own clocks."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds that never run backwards, from an arbitrary start."""
        return time.monotonic()
