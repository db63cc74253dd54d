"""The appliance's own renewal against the collector's own ingest: on time, too late, and refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.enroll import EnrollmentPlan, RenewalPlan, RenewalState, RenewalStatus, Renewer, enroll, renew
from appliance.enroll.asking import ask
from appliance.enroll.errors import EnrollmentRefusedError, IssuedWrongError
from appliance.enroll.renew import unfinished
from appliance.identity import CollectorUrl, IdentityFolder, LinkError, NotReachableError
from appliance.wire.enrollment import sensor_id
from appliance.wire.session import CONFIG_PATH
from collector_client.config import Config
from collector_client.store import Control, sensors
from tests.collector_client.harness import DAY_NS, Collector

CLOCK = SystemClock()


def many(config: Config) -> Config:
    return replace(config, quota=replace(config.quota, enrollments_per_minute=10_000))


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "collector", many).start()
    yield made
    made.stop()


@pytest.fixture
def folder(tmp_path: Path) -> IdentityFolder:
    return IdentityFolder(tmp_path / "box" / "identity")


def url_of(collector: Collector) -> str:
    return f"https://{collector.address}"


def enrolled(collector: Collector, folder: IdentityFolder, days_ago: int = 0) -> str:
    """Enroll so many days ago (a life has 30); the sensor's id."""
    collector.clock.ahead_ns = -days_ago * DAY_NS

    class Then:
        def wall_ns(self) -> int:
            return collector.clock.wall_ns()

        def monotonic_s(self) -> float:
            return CLOCK.monotonic_s()

    plan = EnrollmentPlan.parse(urls=[url_of(collector)], ca_pin=collector.pin, token=collector.token())
    done = enroll(plan, folder, Then())
    collector.clock.ahead_ns = 0
    return done.certificate.sensor_id


def plan(collector: Collector) -> RenewalPlan:
    return RenewalPlan.parse(urls=[url_of(collector)])


def speaks(collector: Collector, folder: IdentityFolder) -> bool:
    """The pair in force is whole and the collector takes it."""
    identity = folder.load()
    url = CollectorUrl.parse(url_of(collector))
    return ask(url, identity.context(), "GET", CONFIG_PATH, timeout_s=10, proxy=None).status == 200


def key_of(folder: IdentityFolder) -> str:
    return sensor_id(folder.load().signer.spki_der())


def test_a_renewal_brings_a_fresh_key_under_the_same_name_and_removes_the_old_one(
    collector: Collector, folder: IdentityFolder
) -> None:
    name = enrolled(collector, folder)
    first = key_of(folder)
    steps: list[str] = []
    renewed = renew(plan(collector), folder, CLOCK, on_step=steps.append)
    assert renewed.sensor_id == name == first != key_of(folder)
    assert speaks(collector, folder)
    assert not unfinished(folder)
    assert not (folder.ca_path.parent / "key.pem").exists()
    assert collector.control("SELECT key_id FROM sensor_keys WHERE ends_ns IS NULL") == [(key_of(folder),)]
    assert len(steps) == 5


def test_an_expired_box_recovers_by_itself(collector: Collector, folder: IdentityFolder) -> None:
    name = enrolled(collector, folder, days_ago=40)
    with pytest.raises(LinkError):
        speaks(collector, folder)
    assert renew(plan(collector), folder, CLOCK).sensor_id == name
    assert speaks(collector, folder)


def test_a_box_whose_clock_is_behind_is_told_and_recovers_when_it_is_set(
    collector: Collector, folder: IdentityFolder
) -> None:
    """It believes its certificate is good; TLS at the collector says otherwise."""
    enrolled(collector, folder, days_ago=40)

    class Behind:
        def wall_ns(self) -> int:
            return CLOCK.wall_ns() - 20 * DAY_NS

        def monotonic_s(self) -> float:
            return CLOCK.monotonic_s()

    with pytest.raises(IssuedWrongError, match="valid from") as told:
        renew(plan(collector), folder, Behind())
    assert "set the clock" in told.value.advice
    renew(plan(collector), folder, CLOCK)
    assert speaks(collector, folder)


def test_too_late_is_told_and_nothing_is_lost(collector: Collector, folder: IdentityFolder) -> None:
    enrolled(collector, folder, days_ago=70)
    with pytest.raises(EnrollmentRefusedError, match="RECOVERY_TOO_LATE") as refused:
        renew(plan(collector), folder, CLOCK)
    assert "token" in refused.value.advice
    assert folder.key_path.exists()


def test_a_revoked_sensor_renews_nothing(collector: Collector, folder: IdentityFolder) -> None:
    name = enrolled(collector, folder)
    control = Control.open(collector.directory)
    with control.transaction() as connection:
        sensors.revoke(connection, name, "stolen", CLOCK.wall_ns())
    control.close()
    with pytest.raises(EnrollmentRefusedError, match="SENSOR_REVOKED"):
        renew(plan(collector), folder, CLOCK)


def test_a_collector_that_forgot_the_new_key_gets_the_old_one_again(
    collector: Collector, folder: IdentityFolder
) -> None:
    """It was restored from a backup between the issue and the first use."""
    enrolled(collector, folder)
    first = key_of(folder)

    class PowerCutError(BaseException):
        pass

    def cut(step: str) -> None:
        if step == "the new key and certificate are in force":
            raise PowerCutError

    with pytest.raises(PowerCutError):
        renew(plan(collector), folder, CLOCK, on_step=cut)
    assert key_of(folder) != first
    control = Control.open(collector.directory)
    with control.transaction() as connection:
        connection.execute("DELETE FROM sensor_keys WHERE key_id = ?", (key_of(folder),))
    control.close()
    with pytest.raises(EnrollmentRefusedError, match="CERTIFICATE_FOREIGN"):
        renew(plan(collector), folder, CLOCK)
    assert key_of(folder) == first
    assert speaks(collector, folder)
    renew(plan(collector), folder, CLOCK)
    assert speaks(collector, folder)


class Turned:
    """The system's wall clock, and a monotonic one turned by hand."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def wall_ns(self) -> int:
        return CLOCK.wall_ns()

    def monotonic_s(self) -> float:
        return self.at_s


def test_the_daemon_renews_when_it_is_time_and_tells_the_uplink(collector: Collector, folder: IdentityFolder) -> None:
    enrolled(collector, folder, days_ago=21)
    first, told, seen = key_of(folder), [0], list[RenewalStatus]()

    def count() -> None:
        told[0] += 1

    renewer = Renewer(plan(collector), folder, Turned(), chance=lambda: 0.0, on_renewed=count, on_state=seen.append)
    assert renewer.step() == 0
    assert (renewer.status().state, told) == (RenewalState.GOOD, [1])
    assert key_of(folder) != first
    assert renewer.step() > 0


def test_the_daemon_tries_again_after_a_failure_and_says_why(collector: Collector, folder: IdentityFolder) -> None:
    enrolled(collector, folder, days_ago=21)
    clock = Turned()
    nowhere = RenewalPlan.parse(urls=["https://127.0.0.1:1"])
    renewer = Renewer(nowhere, folder, clock, chance=lambda: 0.0)
    renewer.step()
    assert renewer.status().state is RenewalState.FAILED_RETRY
    assert "Connection refused" in renewer.status().reason
    assert renewer.step() == 30.0
    with pytest.raises(NotReachableError):
        renew(nowhere, folder, CLOCK)
    assert speaks(collector, folder)


def test_the_daemon_notices_a_renewal_by_hand(collector: Collector, folder: IdentityFolder) -> None:
    enrolled(collector, folder)
    told = [0]

    def count() -> None:
        told[0] += 1

    renewer = Renewer(plan(collector), folder, Turned(), chance=lambda: 0.0, on_renewed=count)
    renewer.step()
    renew(plan(collector), folder, CLOCK)
    renewer.step()
    renewer.step()
    assert told == [1]
