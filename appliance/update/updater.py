"""Updates from the collector as `vedette run` gets them: asks, fetches what is wanted, hands it to who installs.

Rules of this file: it may write to its own folder only, and judges nothing but whether an offer is wanted: signature,
floor and slots are the root's one-shot service's business. No failure ends it; a fetch that is cut off goes on where it
was. An offer that this box has an outcome of is over, however it ended; the operator may offer the same bundle anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.clock import Clock
from appliance.errors import ApplianceError
from appliance.identity import LinkError
from appliance.update.download import Download, forget_downloads
from appliance.update.fetched import Fetched
from appliance.update.memory import Memory
from appliance.update.record import Record
from appliance.update.source import CollectorSource, UpdateRefusedError
from appliance.update.states import Event, State, after
from appliance.wire.bundle import version_key
from appliance.wire.heartbeat import SystemHealth
from appliance.wire.update import Offer

_UNDER_WAY = (State.WRITING, State.STAGED, State.TRIAL)
_LOOK_S = 10.0
_FIRST_FAILURE_S = 30.0


@dataclass(frozen=True, slots=True)
class FetchStatus:
    """How the fetching stands: idle, fetching or verified."""

    state: State = State.IDLE
    version: str = ""
    have_bytes: int = 0
    size_bytes: int = 0
    reason: str = ""


class Updater:
    """`run` is the body of one thread; `status` and `system` may be asked from any."""

    def __init__(
        self,
        source: CollectorSource,
        memory: Memory,
        folder: Path,
        clock: Clock,
        *,
        running: str,
        check_s: float,
        chance: Callable[[], float],
        on_state: Callable[[FetchStatus], None] = lambda _: None,
    ) -> None:
        """`running` is the version of the image that runs; `chance` gives a uniform number in [0, 1)."""
        self._source, self._memory, self._folder, self._clock = source, memory, folder, clock
        self._running, self._check_s, self._chance, self._on_state = running, check_s, chance, on_state
        self._download: Download | None = None
        self._failures = 0
        # A site that gets its power back has all its boxes ask at once, otherwise.
        self._ask_at_s = clock.monotonic_s() + chance() * min(60.0, check_s)
        self._status = FetchStatus()

    def run(self, stop: threading.Event, *, beat: Callable[[], None] = lambda: None) -> None:
        """Work until `stop` is set; `beat` is called at every step, for the watchdog."""
        while not stop.is_set():
            beat()
            wait_s = self.step()
            beat()
            if wait_s > 0:
                stop.wait(min(wait_s, 5.0))
        self._source.close()

    def interrupt(self) -> None:
        """From another thread: break off an exchange in which `run` waits."""
        self._source.abort()

    def status(self) -> FetchStatus:
        """How it stands."""
        return self._status

    def system(self) -> SystemHealth:
        """For the heartbeat: the image, and how its updates went."""
        try:
            record = self._memory.read()
        except ApplianceError as error:
            record = Record(reason=str(error)[:200])
        status = self._status
        busy = status.state is not State.IDLE
        return SystemHealth(
            version=self._running,
            state=(status.state if busy else record.state).value,
            update_version=status.version if busy else record.version,
            security_floor=record.floor,
            outcomes=record.outcomes,
        )

    def step(self) -> float:
        """Do the one thing that is due; how many seconds there is nothing to do then."""
        before = self._status.state
        try:
            wait_s = self._step()
            if wait_s < _LOOK_S:
                self._failures = 0
        except ApplianceError as error:
            if isinstance(error, LinkError):
                self._source.use_next_address()
            wait_s = self._failed(error)
        if self._status.state is not before:
            self._on_state(self._status)
        return wait_s

    def _step(self) -> float:
        if Fetched.ticket(self._folder).exists():
            return _LOOK_S
        if self._status.state is State.VERIFIED:
            # Taken over: what becomes of it is in the record.
            self._status = FetchStatus()
        if self._download is not None:
            return self._fetch(self._download)
        now_s = self._clock.monotonic_s()
        if now_s < self._ask_at_s:
            return self._ask_at_s - now_s
        record = self._memory.read()
        if record.state in _UNDER_WAY:
            return _LOOK_S
        offer = self._source.offer()
        self._ask_at_s = self._clock.monotonic_s() + self._check_s * (0.75 + 0.5 * self._chance())
        if offer is None:
            forget_downloads(self._folder)
        if offer is None or not wanted(offer, self._running, record):
            self._status = FetchStatus()
            return _LOOK_S
        self._download = Download(self._folder, offer)
        state = after(record.state, Event.OFFERED)
        self._status = FetchStatus(state, offer.version, self._download.have_bytes, offer.size_bytes)
        return 0.0

    def _fetch(self, download: Download) -> float:
        if not download.whole:
            download.add(self._source.piece(download.offer, download.have_bytes))
            self._status = replace(self._status, have_bytes=download.have_bytes)
            return 0.0
        self._download = None
        if download.hand_over():
            self._status = replace(self._status, state=after(self._status.state, Event.FETCHED))
        else:
            state = after(self._status.state, Event.WITHDRAWN)
            self._status = FetchStatus(state, reason="the bundle has another SHA-256 than was offered")
            self._ask_at_s = self._clock.monotonic_s() + self._check_s
        return 0.0

    def _failed(self, error: ApplianceError) -> float:
        self._failures += 1
        self._status = replace(self._status, reason=str(error)[:200])
        if isinstance(error, UpdateRefusedError) and self._download is not None and not error.retry_after_s:
            # No more offered: ask anew what is.
            self._download = None
            self._status = FetchStatus(after(self._status.state, Event.WITHDRAWN), reason=self._status.reason)
        least_s = error.retry_after_s if isinstance(error, UpdateRefusedError) else 0
        wait_s: float = min(self._check_s, _FIRST_FAILURE_S * 2.0 ** min(self._failures - 1, 10))
        self._ask_at_s = self._clock.monotonic_s() + max(least_s, wait_s * (0.5 + self._chance()))
        return max(1.0, self._ask_at_s - self._clock.monotonic_s())


def wanted(offer: Offer, running: str, record: Record) -> bool:
    """Whether a box takes an offer: another version than the one that runs, newer or meant so, and not over."""
    if offer.version == running or any(o.update_id == offer.update_id for o in record.outcomes):
        return False
    return offer.older or version_key(offer.version) > version_key(running)
