"""Takes the vitals: asks every part how long it has stood still, and remembers what must be compared with before.

Rules of this file: the thin neighbour of `alive/` that does the asking. `signs` may be called from several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from appliance.clock import Clock
from appliance.health.alive import SIGNS, Sign, Still, Vitals
from appliance.health.probe import DiskProbe
from appliance.health.watchdog import Liveness

CAPTURE_LIMIT_S = 30.0
DISK_LIMIT_S = 60.0


class Pulse:
    """Built once by the daemon."""

    def __init__(
        self,
        clock: Clock,
        liveness: Liveness,
        probe: DiskProbe,
        *,
        counters: Callable[[], tuple[int, ...]],
        resting: Callable[[], bool],
        spool_fault: Callable[[], str],
    ) -> None:
        """`counters` move as long as the capture goes round; `resting` says that they need not (files that are read,
        or that wait for a disk without room)."""
        self._clock = clock
        self._liveness = liveness
        self._probe = probe
        self._counters = counters
        self._resting = resting
        self._spool_fault = spool_fault
        self._lock = threading.Lock()
        self._before: tuple[int, ...] = ()
        self._moved_s = clock.monotonic_s()

    def signs(self) -> list[Sign]:
        """Every part's sign, at this moment."""
        vitals = self.vitals()
        return [check(vitals) for check in SIGNS]

    def vitals(self) -> Vitals:
        """The snapshot that the signs are judged by."""
        return Vitals(
            capture=self._capture(),
            engine=self._liveness.still("pipeline"),
            disk=Still(self._probe.still_s, DISK_LIMIT_S),
            disk_fault=self._probe.fault,
            spool_fault=self._spool_fault(),
            uplink=self._liveness.still("uplink"),
        )

    def _capture(self) -> Still | None:
        counters, resting, now_s = self._counters(), self._resting(), self._clock.monotonic_s()
        with self._lock:
            if resting or counters != self._before:
                self._before, self._moved_s = counters, now_s
            return None if resting else Still(now_s - self._moved_s, CAPTURE_LIMIT_S)
