"""A clock to work by: the system's when it can be right, else the collector's signed time.

    the system's clock       permitted to set it?    then
    at or after the floor                            as it is
    before the floor         yes                     set to the signed time; without one, to the floor
    before the floor         no                      signed time as an offset within this process; without one, an error

Rules of this file: it asks over unverified TLS, sends a nonce and nothing else, and believes nothing of the connection
(`identity.signed_time` does the believing). Setting the clock is handed in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from appliance.clock import Clock, CorrectedClock
from appliance.enroll.clock_floor import ClockFloor
from appliance.errors import EnvironmentFault
from appliance.identity import CollectorUrl, HttpsConnection, LinkError, Proxy, TimeNotBelievedError, believed_time
from appliance.identity.tls import unverified_context
from appliance.wire.fields import SessionError
from appliance.wire.signed_time import MAX_TIME_BYTES, NONCE_BYTES, NONCE_HEADER, TIME_PATH, SignedTime

SetTime = Callable[[int], None]
"""Sets the system's clock to nanoseconds since 1970; raises `OSError` when it may not."""


class ClockBehindError(EnvironmentFault):
    """The clock is before a moment that is known to be over, and nobody tells the time."""


def set_system_time(wall_ns: int) -> None:
    """Set the system's clock (CAP_SYS_TIME).

    Raises:
        OSError: not permitted.
    """
    time.clock_settime_ns(time.CLOCK_REALTIME, wall_ns)


@dataclass(frozen=True, slots=True)
class TimeSource:
    """Who is asked, and how. `random` gives that many bytes; `set_time` is None where the clock may not be set."""

    urls: Sequence[CollectorUrl]
    pin: str
    floor: ClockFloor
    random: Callable[[int], bytes]
    proxy: Proxy | None = None
    timeout_s: float = 30.0
    set_time: SetTime | None = None

    def ask(self, clock: Clock) -> int:
        """The collector's time now, of the first address whose time is believed.

        Raises:
            ClockBehindError: of none.
        """
        reasons: list[str] = []
        for url in self.urls:
            try:
                return self._ask_at(url, clock)
            except (LinkError, TimeNotBelievedError) as exc:
                reasons.append(str(exc))
        now, floor = _shown(clock.wall_ns()), _shown(self.floor.ns)
        raise ClockBehindError(
            f"the clock says {now}; {floor} ({self.floor.source}) is over; {'; '.join(reasons) or 'no collector came'}",
            advice="set the clock, or let a collector be reached that tells the time: vedette doctor",
        )

    def _ask_at(self, url: CollectorUrl, clock: Clock) -> int:
        nonce = self.random(NONCE_BYTES).hex()
        connection = HttpsConnection(url, context=unverified_context(), timeout_s=self.timeout_s, proxy=self.proxy)
        sent_s = clock.monotonic_s()
        try:
            answer = connection.request(
                "GET", TIME_PATH, headers={NONCE_HEADER: nonce}, body=b"", max_answer_bytes=MAX_TIME_BYTES
            )
        finally:
            connection.close()
        round_trip_ns = int((clock.monotonic_s() - sent_s) * 1e9)
        if answer.status != 200:
            raise TimeNotBelievedError(f"{url}: HTTP status {answer.status} came for the time, 200 was allowed")
        try:
            told = SignedTime.from_json(answer.body)
        except SessionError as exc:
            raise TimeNotBelievedError(f"{url}: {exc}", advice="is this a collector? check [collector] urls") from exc
        return believed_time(
            told,
            where=str(url),
            host=url.host,
            nonce=nonce,
            pin=self.pin,
            floor_ns=self.floor.ns,
            round_trip_ns=round_trip_ns,
        )


def working_clock(clock: Clock, source: TimeSource, on_step: Callable[[str], None] = lambda _: None) -> Clock:
    """The clock to judge certificates by.

    Raises:
        ClockBehindError: the system's cannot be right, and no collector tells the time.
    """
    if clock.wall_ns() >= source.floor.ns:
        return clock
    on_step(f"the clock says {_shown(clock.wall_ns())}, which is over; asking the collector for the time")
    try:
        return corrected(clock, source, on_step)
    except ClockBehindError as exc:
        if source.set_time is None or not _was_set(source.set_time, source.floor.ns, on_step):
            raise
        on_step(f"{exc}; the clock is set to {_shown(source.floor.ns)}, the latest moment known, until one tells more")
        return clock


def corrected(clock: Clock, source: TimeSource, on_step: Callable[[str], None] = lambda _: None) -> Clock:
    """A clock that agrees with the collector's signed time: the system's, set, or an offset to it.

    Raises:
        ClockBehindError: no collector tells the time.
    """
    now_ns = source.ask(clock)
    source.floor.learn(now_ns)
    if source.set_time is not None and _was_set(source.set_time, now_ns, on_step):
        on_step(f"the clock was set to {_shown(now_ns)}, by the collector's signed time")
        return clock
    on_step(f"working by the collector's signed time, {_shown(now_ns)}; the system's clock stays as it is")
    return CorrectedClock(clock, now_ns - clock.wall_ns())


def needs_system_time(clock: Clock) -> Clock:
    """The clock of a daemon: packets bear the system's time, so an offset within the process is not enough.

    Raises:
        ClockBehindError: the clock is only corrected.
    """
    if isinstance(clock, CorrectedClock):
        raise ClockBehindError(
            f"the system's clock is {abs(clock.ahead_ns) // 10**9} s off, and packets would bear its time",
            advice="set it, or let vedette do so: [sensor] set_clock = true, with CAP_SYS_TIME",
        )
    return clock


def _was_set(set_time: SetTime, wall_ns: int, on_step: Callable[[str], None]) -> bool:
    try:
        set_time(wall_ns)
    except OSError as exc:
        on_step(f"the system's clock cannot be set: {exc.strerror or exc}")
        return False
    return True


def _shown(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).isoformat(timespec="seconds")
