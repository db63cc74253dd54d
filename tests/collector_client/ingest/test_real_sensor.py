"""The appliance's own enrollment, spool and uplink against the collector's own ingest: both halves mean the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.enroll.client import EnrollmentPlan, enroll
from appliance.enroll.errors import TokenExpiredError, TokenUsedError, WrongPinError
from appliance.identity import CollectorUrl, IdentityFolder
from appliance.spool import Spool
from appliance.uplink.pump import Pump, State
from appliance.uplink.transport import Transport
from appliance.uplink.uplink import Uplink, UplinkStatus
from appliance.wire import snml
from appliance.wire.heartbeat import Heartbeat, HostHealth, SpoolHealth
from collector_client.store import Control, query, sensors
from collector_client.store.reader import Reader
from tests.collector_client.harness import Collector
from tests.fakes.sensor import SENSOR, event

CLOCK = SystemClock()


def plan(collector: Collector, token: str, pin: str = "") -> EnrollmentPlan:
    return EnrollmentPlan.parse(urls=[f"https://{collector.address}"], ca_pin=pin or collector.pin, token=token)


class Box:
    """A state folder with all that sends, but no engine."""

    def __init__(self, collector: Collector, folder: Path) -> None:
        self.identity = IdentityFolder(folder / "identity")
        self.enrolled = enroll(plan(collector, collector.token()), self.identity, CLOCK)
        self.spool = Spool.open(
            folder / "spool", max_bytes=1 << 22, segment_bytes=1 << 20, clock=CLOCK, random_epoch=lambda: 7
        )
        self.transport = Transport(
            [CollectorUrl.parse(f"https://{collector.address}")], self.identity.load, clock=CLOCK
        )
        self.uplink = Uplink(
            spool=self.spool,
            transport=self.transport,
            pump=Pump(now_s=CLOCK.monotonic_s(), batch_events=50),
            document=lambda fragments: snml.encode_message_from_fragments(SENSOR, fragments),
            heartbeat=self._heartbeat,
            clock=CLOCK,
            chance=random.Random(1).random,
        )

    @staticmethod
    def _heartbeat(_: UplinkStatus) -> Heartbeat:
        return Heartbeat(2, 1, "0.1.0", HostHealth(1.0, 0.1, 20.0, 30.0, 10**9), SpoolHealth(7, 1, 0, 0))

    def detect(self, count: int) -> None:
        """Put events into the spool."""
        encoding, detail = SENSOR.encoding, SENSOR.detail
        self.spool.append(
            [(1, lambda epoch, seq: snml.encode_event(event(seq, epoch=epoch), encoding, detail))] * count
        )

    def close(self) -> None:
        """Close connection and spool."""
        self.transport.close()
        self.spool.close()


def test_what_the_spool_holds_arrives_once_and_the_spool_empties(collector: Collector, tmp_path: Path) -> None:
    box = Box(collector, tmp_path)
    box.detect(130)
    assert box.uplink.drain(CLOCK.monotonic_s() + 60)
    assert box.spool.depth().events == 0
    (epoch,) = {found for (found,) in collector.alerts("SELECT epoch FROM alerts")}
    assert collector.alerts("SELECT seq FROM alerts ORDER BY seq") == [(seq,) for seq in range(1, 131)]
    assert epoch == box.spool.epoch
    with Reader.open(collector.directory, collector.clock) as reader:
        (row,) = query.sensors(reader)
    assert (row.sensor_id, row.state, row.alerts) == (box.enrolled.certificate.sensor_id, "on time", 130)
    assert row.health["version"] == "0.1.0"
    box.close()


def test_a_revoked_sensor_holds_its_events_and_says_why(collector: Collector, tmp_path: Path) -> None:
    box = Box(collector, tmp_path)
    control = Control.open(collector.directory)
    with control.transaction() as connection:
        sensors.revoke(connection, box.enrolled.certificate.sensor_id, "stolen", CLOCK.wall_ns())
    control.close()
    box.detect(3)
    assert not box.uplink.drain(CLOCK.monotonic_s() + 60)
    status = box.uplink.status()
    assert (status.state, box.spool.depth().events) == (State.HELD, 3)
    assert "revoked" in status.reason
    box.close()


def test_tokens_and_pins_are_told_apart_by_the_sensor(collector: Collector, tmp_path: Path) -> None:
    used, old = collector.token(), collector.token(life_s=60)
    folders = iter(IdentityFolder(tmp_path / str(number)) for number in range(9))
    enroll(plan(collector, used), next(folders), CLOCK)
    collector.clock.ahead_ns = 120 * 10**9
    with pytest.raises(TokenUsedError):
        enroll(plan(collector, used), next(folders), CLOCK)
    with pytest.raises(TokenExpiredError):
        enroll(plan(collector, old), next(folders), CLOCK)
    with pytest.raises(WrongPinError):
        enroll(plan(collector, collector.token(), "0" * 64), next(folders), CLOCK)
