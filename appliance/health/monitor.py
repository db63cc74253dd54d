"""Takes snapshots: asks everybody for their numbers once, and remembers what must be compared with the time before.

Rules of this file: the thin neighbour of `check.py` and `report.py` that does the asking. `look` may be called from the
uplink's thread and from the status socket's at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from appliance.clock import Clock
from appliance.errors import ApplianceError
from appliance.health.check import CaptureInterval, Facts, Finding
from appliance.health.host import host_health
from appliance.health.report import Standing, examine, heartbeat
from appliance.health.start import UNTOLD, Starts
from appliance.identity import Life
from appliance.mcu import ABSENT, SupervisorStatus
from appliance.spool import Depth, Spool
from appliance.uplink import UplinkStatus
from appliance.wire.heartbeat import Heartbeat, RulesHealth, SystemHealth


class Monitor:
    """Built once by the daemon."""

    def __init__(
        self,
        *,
        spool: Spool,
        spool_folder: Path,
        spool_max_bytes: int,
        clock: Clock,
        counters: Callable[[], Mapping[str, int]],
        rules: Callable[[], RulesHealth],
        certificate: Callable[[], Life | None],
        version: str,
        engine_version: str,
        starts: Starts = UNTOLD,
        supervisor: Callable[[], SupervisorStatus] = lambda: ABSENT,
        system: Callable[[], SystemHealth | None] = lambda: None,
        packets: str = "packets",
        drops: str = "drops",
    ) -> None:
        """`packets` and `drops` name the two of the `counters` by which loss at the tap is judged.

        `starts`: what was noted before the daemon began; the sensor's own end is overwritten when it ends again.
        """
        self._spool = spool
        self._spool_folder = spool_folder
        self._spool_max_bytes = spool_max_bytes
        self._clock = clock
        self._counters = counters
        self._rules = rules
        self._certificate = certificate
        self._version = version
        self._engine_version = engine_version
        self._starts = starts
        self._supervisor = supervisor
        self._system = system
        self._packets, self._drops = packets, drops
        self._started_ns = clock.wall_ns()
        self._lock = threading.Lock()
        self._before = CaptureInterval()
        self._interval = CaptureInterval()

    def look(self, uplink: UplinkStatus) -> tuple[Facts, list[Finding]]:
        """A snapshot and what the checks find in it; the capture interval is the one of the last heartbeat."""
        facts = self._facts(uplink)
        return facts, examine(facts)

    def heartbeat(self, uplink: UplinkStatus) -> Heartbeat:
        """A snapshot for the collector; begins a new capture interval."""
        counters = dict(self._counters())
        now = CaptureInterval(counters.get(self._packets, 0), counters.get(self._drops, 0))
        with self._lock:
            # Counters that went back are those of an engine that was started anew.
            packets, drops = now.packets - self._before.packets, now.drops - self._before.drops
            self._interval = now if packets < 0 or drops < 0 else CaptureInterval(packets, drops)
            self._before = now
        facts, findings = self.look(uplink)
        standing = Standing(
            self._version,
            self._engine_version,
            self._started_ns,
            self._rules(),
            self._spool.epoch,
            self._spool.next_seq,
        )
        return heartbeat(facts, standing, counters, findings)

    def _facts(self, uplink: UplinkStatus) -> Facts:
        try:
            depth = self._spool.depth()
        except ApplianceError:
            # Being closed, or unreadable: the spool's own errors tell that where it matters.
            depth = Depth(0, 0, None)
        with self._lock:
            interval = self._interval
        return Facts(
            now_ns=self._clock.wall_ns(),
            host=host_health(self._spool_folder),
            spool=depth,
            spool_max_bytes=self._spool_max_bytes,
            spool_lost_events=self._spool.lost_events,
            uplink=uplink,
            capture=interval,
            certificate=self._certificate(),
            starts=self._starts,
            supervisor=self._supervisor(),
            system=self._system(),
        )
