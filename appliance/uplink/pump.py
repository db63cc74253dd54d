"""What the uplink does next: a state machine over what the collector said last. No I/O, no clock, no randomness.

    starting ──stored──> up <──stored── slowed, retrying, held
                          │
        throttled ──> slowed     wait as long as the collector asked (Retry-After, slow_down_ms)
        failed    ──> retrying   the link or the collector failed: full-jitter backoff, next address
        refused   ──> held       repeating cannot help: say why, look again only now and then

Rules of this file: every outcome of a request is one of the events below; `OUTCOMES` is the whole transition table.
Batches of a held uplink wait; heartbeats go on, for they are how the operator hears of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from appliance.uplink.backoff import Backoff
from appliance.wire.codes import SessionCode
from appliance.wire.session import MAX_BATCH_EVENTS, Refusal

HOLD_S = 300.0
"""How often a held uplink looks whether the reason is gone."""


class State(Enum):
    """What `vedette status` shows."""

    STARTING = "starting"
    UP = "up"
    SLOWED = "slowed"
    RETRYING = "retrying"
    HELD = "held"


class Outcome(Enum):
    """What a request came to."""

    STORED = "stored"
    THROTTLED = "throttled"
    FAILED = "failed"
    REFUSED = "refused"


OUTCOMES: dict[Outcome, State] = {
    Outcome.STORED: State.UP,
    Outcome.THROTTLED: State.SLOWED,
    Outcome.FAILED: State.RETRYING,
    Outcome.REFUSED: State.HELD,
}

# Refusals that another try may mend: a middlebox or a bad line spoiled the body, or the collector itself failed.
_PASSING = frozenset({408, 500, 503})
_SPOILED_ON_THE_WAY = frozenset({SessionCode.COMPRESSION_BROKEN, SessionCode.DIGEST_DIFFERS})
# The collector would rather have less at once: half a batch is tried, down to a single event.
_TOO_MUCH = frozenset({413, 422})


class Action(Enum):
    """What to do now."""

    SEND_BATCH = "send a batch"
    SEND_HEARTBEAT = "send a heartbeat"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Next:
    """An action; `wait_s` says how long to wait where there is nothing to do, `max_events` how much to send."""

    action: Action
    wait_s: float = 0.0
    max_events: int = 0


@dataclass(frozen=True, slots=True)
class PumpStatus:
    """Why the uplink is as it is, in the words of the last answer."""

    state: State = State.STARTING
    since_s: float = 0.0
    reason: str = ""
    advice: str = ""
    failures: int = 0


class Pump:
    """Times are seconds of one monotonic clock."""

    def __init__(
        self,
        *,
        now_s: float,
        addresses: int = 1,
        batch_events: int = MAX_BATCH_EVENTS,
        flush_s: float = 0.5,
        heartbeat_s: float = 60.0,
        backoff: Backoff | None = None,
    ) -> None:
        self._addresses = addresses
        self._batch_events = min(batch_events, MAX_BATCH_EVENTS)
        self._max_events = self._batch_events
        self._flush_s = flush_s
        self._heartbeat_s = heartbeat_s
        self._backoff = backoff if backoff is not None else Backoff()
        self._not_before_s = now_s
        self._batches_not_before_s = now_s
        self._heartbeat_at_s = now_s
        self._batch_refused = False
        self.status = PumpStatus(since_s=now_s)

    def next(self, now_s: float, *, waiting: bool) -> Next:
        """What to do now, `waiting` telling whether the spool holds events."""
        if now_s < self._not_before_s:
            return Next(Action.WAIT, self._not_before_s - now_s)
        if now_s >= self._heartbeat_at_s:
            return Next(Action.SEND_HEARTBEAT)
        if waiting and now_s >= self._batches_not_before_s:
            return Next(Action.SEND_BATCH, max_events=self._max_events)
        return Next(Action.WAIT, min(self._flush_s, self._heartbeat_at_s - now_s))

    def nothing_to_send(self, now_s: float) -> None:
        """The spool waits for a collector but had no event to give: look again at the next flush."""
        self._batches_not_before_s = now_s + self._flush_s

    def batch_stored(self, now_s: float, *, slow_down_ms: int) -> None:
        """A receipt came, and the spool's cursor moved."""
        self._max_events = min(self._batch_events, self._max_events * 2)
        self._batches_not_before_s = now_s
        self._batch_refused = False
        self._slow_down(now_s, slow_down_ms)
        self._enter(Outcome.STORED if slow_down_ms == 0 else Outcome.THROTTLED, now_s, failures=0)

    def heartbeat_taken(self, now_s: float, *, slow_down_ms: int) -> None:
        """The collector has the heartbeat. That does not undo a refusal of batches."""
        self._heartbeat_at_s = now_s + self._heartbeat_s
        self._slow_down(now_s, slow_down_ms)
        if not self._batch_refused:
            self._batches_not_before_s = now_s
            self._enter(Outcome.STORED if slow_down_ms == 0 else Outcome.THROTTLED, now_s, failures=0)

    def failed(self, now_s: float, reason: str, advice: str, *, chance: float) -> None:
        """No usable answer. Each address is tried once before there is any waiting."""
        failures = self.status.failures + 1
        rounds, within = divmod(failures, self._addresses)
        self._not_before_s = now_s if within else now_s + self._backoff.wait_s(rounds, chance)
        self._enter(Outcome.FAILED, now_s, reason, advice, failures=failures)

    def held(self, now_s: float, reason: str, advice: str, *, chance: float, batch: bool) -> None:
        """Nothing that time alone will mend: of this `batch`, or of ourselves (not enrolled, certificate expired)."""
        self._batch_refused = batch
        self._batches_not_before_s = now_s + _hold_s(chance)
        self._heartbeat_at_s = max(self._heartbeat_at_s, now_s + self._heartbeat_s)
        self._enter(Outcome.REFUSED, now_s, reason, advice, failures=self.status.failures)

    def introduced_anew(self, now_s: float) -> None:
        """There is a new certificate: what the collector held against the old one may be over, so look at once."""
        if self.status.state is State.HELD:
            self._batches_not_before_s = now_s

    def batch_refused(self, now_s: float, refusal: Refusal, *, events: int, chance: float) -> None:
        """The collector took nothing of a batch of so many events."""
        code = SessionCode.of(refusal.code)
        reason = (
            f"{refusal.code}: {code.doc}" if code else f"{refusal.code}: {refusal.came}; allowed: {refusal.allowed}"
        )
        if refusal.retry_after_s is not None or refusal.status == 429:
            self._throttled(now_s, refusal, reason, chance)
        elif refusal.status in _PASSING or code in _SPOILED_ON_THE_WAY:
            self.failed(now_s, reason, refusal.do, chance=chance)
        elif refusal.status in _TOO_MUCH and events > 1:
            self._max_events = max(1, events // 2)
            self._batches_not_before_s = now_s
            self.status = replace(self.status, reason=reason, advice=refusal.do)
        else:
            self.held(now_s, reason, refusal.do, chance=chance, batch=True)

    def heartbeat_unmade(self, now_s: float, reason: str, advice: str) -> None:
        """There was no heartbeat to send; batches are not held for that."""
        self._heartbeat_at_s = now_s + self._heartbeat_s
        if not self._batch_refused:
            self.status = replace(self.status, reason=reason, advice=advice)

    def heartbeat_refused(self, now_s: float, refusal: Refusal, *, chance: float) -> None:
        """The collector did not take a heartbeat; batches are not held for that."""
        self._heartbeat_at_s = now_s + self._heartbeat_s
        reason = f"{refusal.code}: {refusal.came}; allowed: {refusal.allowed}"
        if refusal.retry_after_s is not None or refusal.status == 429:
            self._throttled(now_s, refusal, reason, chance)
        elif refusal.status in _PASSING:
            self.failed(now_s, reason, refusal.do, chance=chance)
        elif not self._batch_refused:
            self.status = replace(self.status, reason=reason, advice=refusal.do)

    def _throttled(self, now_s: float, refusal: Refusal, reason: str, chance: float) -> None:
        failures = self.status.failures + 1
        asked_s = refusal.retry_after_s
        self._not_before_s = now_s + (self._backoff.wait_s(failures, chance) if asked_s is None else asked_s)
        self._enter(Outcome.THROTTLED, now_s, reason, refusal.do, failures=failures)

    def _slow_down(self, now_s: float, slow_down_ms: int) -> None:
        self._not_before_s = now_s + slow_down_ms / 1000

    def _enter(self, outcome: Outcome, now_s: float, reason: str = "", advice: str = "", *, failures: int) -> None:
        state = OUTCOMES[outcome]
        since_s = self.status.since_s if state is self.status.state else now_s
        self.status = PumpStatus(state, since_s, reason, advice, failures)


def _hold_s(chance: float) -> float:
    """Between half and the whole of `HOLD_S`: many boxes held for one reason must not ask together."""
    return HOLD_S * (0.5 + chance / 2)
