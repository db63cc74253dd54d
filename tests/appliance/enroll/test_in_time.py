"""A box whose clock is wrong enrolls at a real collector by its signed time, and by nobody else's."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.clock import CorrectedClock
from appliance.enroll import Enrolled, EnrollmentPlan
from appliance.enroll.clock_floor import ClockFloor
from appliance.enroll.in_time import enroll_in_time
from appliance.enroll.timekeeping import ClockBehindError, TimeSource, needs_system_time, working_clock
from appliance.identity import IdentityFolder, ServerExpiredError, SoftKeyStore
from tests.collector_client.harness import DAY_NS, Collector, TurnedClock
from tests.fakes.collector import FakeCollector
from tests.fakes.pki import Authority

YEAR_NS = 365 * DAY_NS


class BoxClock:
    """A box's own: `off_ns` from the machine's, and set by who may."""

    def __init__(self, off_ns: int = 0) -> None:
        self.off_ns = off_ns

    def wall_ns(self) -> int:
        return time.time_ns() + self.off_ns

    def monotonic_s(self) -> float:
        return time.monotonic()

    def set(self, wall_ns: int) -> None:
        self.off_ns = wall_ns - time.time_ns()


class At(Collector):
    """A collector that was made, and lives, at another time."""

    def __init__(self, directory: Path, ahead_ns: int) -> None:
        clock = TurnedClock()
        clock.ahead_ns = ahead_ns
        super().__init__(directory, clock=clock)


def in_1970() -> BoxClock:
    return BoxClock(3600 * 10**9 - time.time_ns())


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "collector").start()
    yield made
    made.stop()


def source(collector: Collector, tmp_path: Path, **changed: object) -> TimeSource:
    (tmp_path / "state").mkdir(exist_ok=True)
    plan = EnrollmentPlan.parse(urls=[f"https://{collector.address}"], ca_pin=collector.pin, token=collector.token())
    asked = {"urls": plan.urls, "pin": collector.pin, "floor": ClockFloor(tmp_path / "state", tmp_path / "none")}
    return TimeSource(**asked | {"random": secrets.token_bytes, "timeout_s": 10.0} | changed)  # type: ignore[arg-type]


def enroll(collector: Collector, tmp_path: Path, clock: BoxClock, steps: list[str], **changed: object) -> Enrolled:
    plan = EnrollmentPlan.parse(urls=[f"https://{collector.address}"], ca_pin=collector.pin, token=collector.token())
    folder = IdentityFolder(tmp_path / "state" / "identity", SoftKeyStore())
    return enroll_in_time(plan, folder, clock, source(collector, tmp_path, **changed), on_step=steps.append)


def test_a_clock_of_1970_enrolls_by_the_collectors_time(collector: Collector, tmp_path: Path) -> None:
    steps: list[str] = []
    clock = in_1970()
    done = enroll(collector, tmp_path, clock, steps)
    assert collector.control("SELECT sensor_id FROM sensors") == [(done.certificate.sensor_id,)]
    assert any("working by the collector's signed time" in step for step in steps)
    assert clock.wall_ns() < YEAR_NS, "nobody was allowed to set it"


def test_a_clock_that_can_be_right_asks_nobody(collector: Collector, tmp_path: Path) -> None:
    steps: list[str] = []
    enroll(collector, tmp_path, BoxClock(), steps)
    assert not any("time" in step for step in steps)


@pytest.mark.parametrize("box_years", [-70, 0])
def test_dates_that_openssl_would_refuse_are_judged_by_the_time_told(tmp_path: Path, box_years: int) -> None:
    """The collector lives five years ahead of this machine's clock, which OpenSSL goes by; the box is behind both."""
    collector = At(tmp_path / "collector", 5 * YEAR_NS).start()
    try:
        steps: list[str] = []
        clock = BoxClock() if box_years == 0 else in_1970()
        done = enroll(collector, tmp_path, clock, steps)
        assert done.certificate.life.state(collector.clock.wall_ns()) == "valid"
        assert any("asking the collector for the time" in step for step in steps)
    finally:
        collector.stop()


def test_a_server_that_is_out_of_date_by_the_time_told_is_refused(tmp_path: Path) -> None:
    """Its statement is of a day when its certificate was good; OpenSSL would take it today, the told time does not."""
    collector = Collector(tmp_path / "collector").start()
    try:
        told = source(collector, tmp_path).ask(BoxClock())
        late = CorrectedClock(BoxClock(), 2 * YEAR_NS)
        assert told < late.wall_ns()
        plan = EnrollmentPlan.parse(
            urls=[f"https://{collector.address}"], ca_pin=collector.pin, token=collector.token()
        )
        folder = IdentityFolder(tmp_path / "identity", SoftKeyStore())
        with pytest.raises(ServerExpiredError, match="by the time that the collector has told"):
            enroll_in_time(plan, folder, late, source(collector, tmp_path))  # type: ignore[arg-type]
        assert collector.control("SELECT COUNT(*) FROM tokens WHERE used_ns IS NOT NULL") == [(0,)]
    finally:
        collector.stop()


def test_with_leave_the_clock_is_set_and_tls_goes_its_ordinary_way(collector: Collector, tmp_path: Path) -> None:
    clock = in_1970()
    assert working_clock(clock, source(collector, tmp_path, set_time=clock.set)) is clock
    assert abs(clock.off_ns) < 30 * 10**9
    assert needs_system_time(clock) is clock


def test_without_leave_it_is_an_offset_and_no_clock_for_packets(collector: Collector, tmp_path: Path) -> None:
    def refuse(_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    steps: list[str] = []
    clock = working_clock(in_1970(), source(collector, tmp_path, set_time=refuse), steps.append)
    assert abs(clock.wall_ns() - time.time_ns()) < 30 * 10**9
    assert any("cannot be set: Operation not permitted" in step for step in steps)
    with pytest.raises(ClockBehindError, match="packets would bear its time"):
        needs_system_time(clock)


def test_without_a_collector_the_clock_is_an_error_or_is_set_to_what_is_over_for_sure(
    collector: Collector, tmp_path: Path
) -> None:
    asked = source(collector, tmp_path)
    collector.stop()
    with pytest.raises(ClockBehindError, match="1970-01-01T01:00:0"):
        working_clock(in_1970(), asked)
    clock = in_1970()
    floor = ClockFloor(tmp_path / "state", tmp_path / "none")
    permitted = TimeSource(asked.urls, asked.pin, floor, secrets.token_bytes, timeout_s=5.0, set_time=clock.set)
    assert working_clock(clock, permitted) is clock
    assert floor.ns <= clock.wall_ns() < floor.ns + 60 * 10**9


def test_a_stranger_in_between_tells_no_time_and_gets_no_token(collector: Collector, tmp_path: Path) -> None:
    stranger = Collector(tmp_path / "stranger").start()
    try:
        plan = EnrollmentPlan.parse(urls=[f"https://{stranger.address}"], ca_pin=collector.pin, token=collector.token())
        folder = IdentityFolder(tmp_path / "identity", SoftKeyStore())
        asked = source(stranger, tmp_path, pin=collector.pin)
        with pytest.raises(ClockBehindError, match="does not end in the pinned root"):
            enroll_in_time(plan, folder, in_1970(), asked)
        assert not folder.key_path.exists()
    finally:
        stranger.stop()


def test_a_collector_of_a_day_that_is_over_is_a_replay(tmp_path: Path) -> None:
    """An old server key with its old certificate, still alive at somebody's: the floor is what refuses it."""
    old = At(tmp_path / "old", -5 * YEAR_NS).start()
    try:
        with pytest.raises(ClockBehindError, match="an old time is replayed"):
            working_clock(in_1970(), source(old, tmp_path))
    finally:
        old.stop()


def test_a_collector_that_tells_no_time_is_named(tmp_path: Path) -> None:
    authority = Authority()
    with FakeCollector(authority, authority.server(tmp_path)) as fake:
        plan = EnrollmentPlan.parse(urls=[fake.url], ca_pin=authority.pin, token="t-abcdefghijkl." + "S" * 40)
        floor = ClockFloor(tmp_path, tmp_path / "none")
        asked = TimeSource(plan.urls, authority.pin, floor, secrets.token_bytes, timeout_s=5.0)
        with pytest.raises(ClockBehindError, match="HTTP status 404"):
            working_clock(in_1970(), asked)


def test_the_time_that_was_told_is_the_next_floor(collector: Collector, tmp_path: Path) -> None:
    collector.clock.ahead_ns = 30 * DAY_NS
    enroll(collector, tmp_path, in_1970(), [])
    assert ClockFloor(tmp_path / "state", tmp_path / "none").ns > time.time_ns() + 29 * DAY_NS
