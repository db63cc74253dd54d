"""How far it is: bytes done, rate, time left, as one line for a person.

Rules of this file: no clock of its own; times are arguments, in seconds. The rate is that of the last while, because
the first megabytes go into a stick's own fast memory and promise too much.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_WINDOW_S = 10.0
_MIB = 1024 * 1024


@dataclass
class Progress:
    """One stage of known size."""

    what: str
    total_bytes: int
    start_s: float
    done_bytes: int = 0
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, size_bytes: int, now_s: float) -> None:
        """So much more is done."""
        self.done_bytes += size_bytes
        self._marks.append((now_s, self.done_bytes))
        while len(self._marks) > 2 and now_s - self._marks[0][0] > _WINDOW_S:
            self._marks.popleft()

    def rate(self, now_s: float) -> float:
        """Bytes in a second, lately; 0 when nothing can be said yet."""
        at_s, at_bytes = self._marks[0] if len(self._marks) > 1 else (self.start_s, 0)
        return (self.done_bytes - at_bytes) / (now_s - at_s) if now_s > at_s else 0.0

    def line(self, now_s: float) -> str:
        """`write  512 of 849 MiB, 60 %, 21.3 MiB/s, 0:16 left`."""
        share = 100 * self.done_bytes // self.total_bytes if self.total_bytes else 100
        text = f"{self.what}  {-(-self.done_bytes // _MIB)} of {-(-self.total_bytes // _MIB)} MiB, {share} %"
        rate = self.rate(now_s)
        if rate > 0:
            left_s = round((self.total_bytes - self.done_bytes) / rate)
            text += f", {rate / _MIB:.1f} MiB/s, {left_s // 60}:{left_s % 60:02} left"
        return text
