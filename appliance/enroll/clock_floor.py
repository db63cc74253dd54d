"""The clock's floor: the latest moment that this box knows to be over. A clock that says less is wrong.

    known from                                            kept in
    this software's own date                              BUILT
    the image's date (seconds since 1970, or ISO 8601)    /usr/lib/vedette/build-date
    the last time a collector told over a trusted line    `clock` in the state folder, seldom written, never back

Rules of this file: only the collector's time is ever kept, never the clock's own: one wrong day in the future would
make every right one unbelievable. A file that cannot be read counts as absent, because a floor only ever helps.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

from appliance.files import replace_file

BUILT = datetime(2026, 11, 24, tzinfo=UTC)
"""Set with each release."""
BUILD_DATE_PATH = Path("/usr/lib/vedette/build-date")
KEPT_NAME = "clock"
STEP_NS = 86_400 * 10**9
"""A day: what flash is spared, and by how much less the floor knows."""
_MOST_BYTES = 64


class ClockFloor:
    """Of one state folder."""

    def __init__(self, state_dir: Path, build_date: Path = BUILD_DATE_PATH) -> None:
        self._kept_path = state_dir / KEPT_NAME
        self._built_ns = max(int(BUILT.timestamp()) * 10**9, _read(build_date))
        self._kept_ns = _read(self._kept_path)

    @property
    def ns(self) -> int:
        """Nanoseconds since 1970."""
        return max(self._built_ns, self._kept_ns)

    @property
    def source(self) -> str:
        """Where it is from, in words."""
        return f"kept in {self._kept_path}" if self._kept_ns > self._built_ns else "when this software was built"

    def learn(self, collector_ns: int) -> None:
        """Keep a time that the collector told, if it is much later than what is known.

        A disk that refuses is no matter here: the floor stays where it is.
        """
        if collector_ns < self.ns + STEP_NS:
            return
        with contextlib.suppress(OSError):
            replace_file(self._kept_path, f"{collector_ns // 10**9}\n".encode("ascii"))
            self._kept_ns = collector_ns


def _read(path: Path) -> int:
    """A moment in nanoseconds since 1970; 0 where there is none."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("ascii").strip()
        if text.isdecimal():
            return min(int(text), (1 << 63) // 10**9) * 10**9
        moment = datetime.fromisoformat(text)
        return max(0, int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())) * 10**9
    except (OSError, ValueError, OverflowError):
        return 0
