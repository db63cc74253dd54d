"""So much in so long, and no more: bounds what a peer that never falls silent may cost.

Rules of this file: no I/O; time is an argument.
"""

from __future__ import annotations


class Ration:
    """`amount` for each span of `span_s` seconds; what is not used is not saved."""

    def __init__(self, amount: int, span_s: float, now_s: float) -> None:
        self._amount = amount
        self._span_s = span_s
        self._since_s = now_s
        self._used = 0

    def take(self, amount: int, now_s: float) -> bool:
        """Use so much of it, which may be more than is left; False when nothing was left before."""
        had_some = self.wait_s(now_s) == 0.0
        self._used += amount
        return had_some

    def wait_s(self, now_s: float) -> float:
        """How long nothing is left; 0.0 when something is."""
        if now_s - self._since_s >= self._span_s:
            self._since_s, self._used = now_s, 0
        return 0.0 if self._used < self._amount else self._since_s + self._span_s - now_s
