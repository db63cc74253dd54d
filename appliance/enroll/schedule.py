"""When a certificate is renewed: a state machine over its life and over what came of the last try. No I/O.

    good ──two thirds of its life and a little, or urged──► due ──begin──► renewing ──renewed──► good
      any of good, due, failed-retry ──its life is over──► expired ──begin──► renewing ──failed──► failed-retry
      failed-retry ──the wait is over──► begin

Rules of this file: `TABLE` is every transition there is. A life is judged by the wall clock, a wait by the monotonic
one; both, and chance, are arguments. A sensor of many is due at a moment of its own, so that a provider's boxes that
were enrolled in one morning are not renewed in one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from appliance.identity import Life

JITTER = 0.1
"""The part of a life over which moments are spread, after two thirds of it: a tenth leaves a fifth for retries."""
RETRY_LEAST_S = 60.0
RETRY_MOST_S = 3600.0
URGE_AGAIN_S = 3600.0
"""A refusal that was heard before the last renewal, or that renewing does not mend, must not bring the next one."""
LOOK_S = 60.0
"""A wait for the wall clock is no longer, because that clock may be set meanwhile."""


class RenewalState(Enum):
    """What `vedette status` shows."""

    GOOD = "good"
    DUE = "due"
    RENEWING = "renewing"
    FAILED_RETRY = "failed-retry"
    EXPIRED = "expired"


class RenewalEvent(Enum):
    """What can happen."""

    TIME_DUE = "the moment has come"
    URGED = "the collector wants it"
    TIME_OVER = "the certificate's life is over"
    BEGIN = "a try begins"
    RENEWED = "a new certificate is in force"
    FAILED = "the try failed"


_S, _E = RenewalState, RenewalEvent
TABLE: dict[tuple[RenewalState, RenewalEvent], RenewalState] = {
    (_S.GOOD, _E.TIME_DUE): _S.DUE,
    (_S.GOOD, _E.URGED): _S.DUE,
    (_S.GOOD, _E.TIME_OVER): _S.EXPIRED,
    (_S.DUE, _E.TIME_OVER): _S.EXPIRED,
    (_S.FAILED_RETRY, _E.TIME_OVER): _S.EXPIRED,
    (_S.DUE, _E.BEGIN): _S.RENEWING,
    (_S.FAILED_RETRY, _E.BEGIN): _S.RENEWING,
    (_S.EXPIRED, _E.BEGIN): _S.RENEWING,
    (_S.RENEWING, _E.RENEWED): _S.GOOD,
    (_S.RENEWING, _E.FAILED): _S.FAILED_RETRY,
    # Another process renewed, or enrolled anew.
    (_S.GOOD, _E.RENEWED): _S.GOOD,
    (_S.DUE, _E.RENEWED): _S.GOOD,
    (_S.FAILED_RETRY, _E.RENEWED): _S.GOOD,
    (_S.EXPIRED, _E.RENEWED): _S.GOOD,
}


@dataclass(frozen=True, slots=True)
class RenewalStatus:
    """How it stands; `failures` in a row, `reason` and `advice` of the last one."""

    state: RenewalState
    not_after_ns: int
    due_ns: int
    failures: int = 0
    reason: str = ""
    advice: str = ""


class Schedule:
    """Chances are uniform numbers in [0, 1)."""

    def __init__(self, life: Life, *, now_s: float, chance: float, unfinished: bool = False) -> None:
        """`unfinished`: a renewal was broken off, so the first thing to do is to go on with it."""
        self._not_before_s = now_s
        self._urge_from_s = now_s
        due_ns = life.not_before_ns if unfinished else due_at_ns(life, chance)
        self.status = RenewalStatus(RenewalState.GOOD, life.not_after_ns, due_ns)

    def next(self, now_ns: int, now_s: float) -> float:
        """How many seconds there is nothing to do; 0: begin now."""
        if now_ns > self.status.not_after_ns and self.status.state is not RenewalState.EXPIRED:
            self._enter(RenewalEvent.TIME_OVER)
        elif now_ns >= self.status.due_ns and self.status.state is RenewalState.GOOD:
            self._enter(RenewalEvent.TIME_DUE)
        if self.status.state is RenewalState.GOOD:
            return min(LOOK_S, max(1.0, (self.status.due_ns - now_ns) / 1e9))
        return min(LOOK_S, max(0.0, self._not_before_s - now_s))

    def urge(self, now_s: float) -> None:
        """The collector wants the certificate renewed though its time has not come: its CA is retired."""
        if self.status.state is RenewalState.GOOD and now_s >= self._urge_from_s:
            self._enter(RenewalEvent.URGED)

    def begin(self) -> None:
        """A try begins."""
        self._enter(RenewalEvent.BEGIN)

    def renewed(self, life: Life, *, now_s: float, chance: float) -> None:
        """A certificate of that life is in force, by our try or by another process's."""
        self._enter(RenewalEvent.RENEWED)
        self._not_before_s = now_s
        self._urge_from_s = now_s + URGE_AGAIN_S
        self.status = RenewalStatus(self.status.state, life.not_after_ns, due_at_ns(life, chance))

    def failed(self, reason: str, advice: str, *, now_s: float, chance: float, least_s: float = 0.0) -> None:
        """The try failed: wait twice as long as the last time, half of it by chance; `least_s`: what we were told."""
        self._enter(RenewalEvent.FAILED)
        failures = self.status.failures + 1
        self._not_before_s = now_s + max(min(least_s, RETRY_MOST_S), retry_wait_s(failures, chance))
        self.status = replace(self.status, failures=failures, reason=reason, advice=advice)

    def _enter(self, event: RenewalEvent) -> None:
        self.status = replace(self.status, state=TABLE[self.status.state, event])


def due_at_ns(life: Life, chance: float) -> int:
    """The moment to renew a certificate of that life."""
    return life.renew_at_ns + int((life.not_after_ns - life.not_before_ns) * JITTER * chance)


def retry_wait_s(failures: int, chance: float) -> float:
    """How long to wait after so many failures in a row."""
    longest_s = min(RETRY_MOST_S, RETRY_LEAST_S * 2.0 ** min(failures - 1, 16))
    return longest_s * (0.5 + chance / 2)
