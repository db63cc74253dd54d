"""When to try again after failures: full jitter, so that a thousand boxes do not come back in the same second.

Rules of this file: pure; the random number is an argument. The schedule is "full jitter": uniformly between nothing and
an exponentially growing, capped bound.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Bounds in seconds: of the first wait, and of all later ones."""

    base_s: float = 1.0
    cap_s: float = 300.0

    def bound_s(self, failures: int) -> float:
        """The longest wait after so many failures in a row (from 1)."""
        # Doubling 2**62 s is beyond any cap; larger powers would only cost arithmetic.
        return min(self.cap_s, self.base_s * 2.0 ** min(max(failures - 1, 0), 62))

    def wait_s(self, failures: int, chance: float) -> float:
        """The wait after so many failures in a row; `chance` is uniform in [0, 1)."""
        return self.bound_s(failures) * chance
