"""Renewal as `vedette run` does it: waits for the moment, renews, tries again.

Rules of this file: it carries out what `schedule.py` decides. No failure ends it, and none of the other side's or the
disk's leaves the sensor without its old pair.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from appliance.clock import Clock
from appliance.enroll.errors import EnrollmentRefusedError
from appliance.enroll.renew import RenewalPlan, renew, unfinished
from appliance.enroll.schedule import RenewalStatus, Schedule
from appliance.errors import ApplianceError
from appliance.identity import IdentityFolder


class Renewer:
    """`run` is the body of one thread; `status` may be asked from any."""

    def __init__(
        self,
        plan: RenewalPlan,
        folder: IdentityFolder,
        clock: Clock,
        *,
        chance: Callable[[], float],
        on_renewed: Callable[[], None] = lambda: None,
        on_state: Callable[[RenewalStatus], None] = lambda _: None,
        on_step: Callable[[str], None] = lambda _: None,
        urged: Callable[[], bool] = lambda: False,
    ) -> None:
        """`on_renewed` hears that another pair is in force, whoever put it there; `urged` says whether the collector
        wants the certificate renewed before its time.

        Raises:
            ApplianceError: there is no identity to renew.
        """
        self._plan, self._folder, self._clock, self._chance = plan, folder, clock, chance
        self._on_renewed, self._on_state, self._on_step = on_renewed, on_state, on_step
        self._urged = urged
        self._pair = folder.pairs.current()
        self._schedule = Schedule(
            folder.load().certificate.life,
            now_s=clock.monotonic_s(),
            chance=chance(),
            unfinished=unfinished(folder),
        )

    def run(self, stop: threading.Event, *, beat: Callable[[], None] = lambda: None) -> None:
        """Work until `stop` is set; `beat` is called at every step, for the watchdog."""
        while not stop.is_set():
            beat()
            wait_s = self.step(beat)
            beat()
            if wait_s > 0:
                stop.wait(min(wait_s, 5.0))

    def status(self) -> RenewalStatus:
        """How it stands."""
        return self._schedule.status

    def step(self, beat: Callable[[], None] = lambda: None) -> float:
        """Renew if it is time; how many seconds there is nothing to do then."""
        before = self._schedule.status.state
        self._notice()
        if self._urged():
            self._schedule.urge(self._clock.monotonic_s())
        wait_s = self._schedule.next(self._clock.wall_ns(), self._clock.monotonic_s())
        if wait_s == 0:
            self._try(beat)
        if self._schedule.status.state is not before:
            self._on_state(self._schedule.status)
        return wait_s

    def _notice(self) -> None:
        """A pair that another process put in force, or a certificate that it renewed for the same key."""
        try:
            if unfinished(self._folder):
                return
            pair = self._folder.pairs.current()
            life = self._folder.at(pair).load().certificate.life
        except ApplianceError:
            return
        if pair != self._pair or life.not_after_ns != self._schedule.status.not_after_ns:
            self._schedule.renewed(life, now_s=self._clock.monotonic_s(), chance=self._chance())
            self._took(pair)

    def _try(self, beat: Callable[[], None]) -> None:
        def heard(step: str) -> None:
            beat()
            self._on_step(step)

        self._schedule.begin()
        try:
            certificate = renew(self._plan, self._folder, self._clock, on_step=heard)
            pair = self._folder.pairs.current()
        except ApplianceError as error:
            told_s = (error.retry_after_s or 0) if isinstance(error, EnrollmentRefusedError) else 0
            now_s = self._clock.monotonic_s()
            self._schedule.failed(str(error), error.advice, now_s=now_s, chance=self._chance(), least_s=told_s)
            return
        self._schedule.renewed(certificate.life, now_s=self._clock.monotonic_s(), chance=self._chance())
        self._took(pair)

    def _took(self, pair: Path) -> None:
        self._pair = pair
        self._on_renewed()
