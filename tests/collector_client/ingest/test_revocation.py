"""A revocation by another process closes what is open within seconds; what a revoked key asks is refused by name."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.wire import session
from collector_client.ingest import endpoint
from collector_client.ingest.body import read_body
from collector_client.store import Control, sensors
from tests.collector_client.harness import Collector
from tests.collector_client.served import ROOT, serve
from tests.fakes.sensor import FakeSensor, event

HOUR_NS = 3600 * 10**9


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Collector]:
    """A collector in processes of its own."""
    made = Collector(tmp_path / "collector")
    with serve(made.directory, tmp_path / "log") as processes:
        made.address = processes.address
        yield made
        made.stop()


def command(collector: Collector, *words: str) -> None:
    """`vedette-collector`, as another process."""
    verb, *rest = words
    line = [sys.executable, "-m", "collector_client", verb, str(collector.directory), *rest]
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True)


def revoke(collector: Collector, sensor: FakeSensor) -> None:
    """Revoke it in this process, which is another one to the ingest's connection all the same."""
    control = Control.open(collector.directory)
    with control.transaction() as connection:
        sensors.revoke(connection, sensor.sensor_id, "stolen", collector.clock.wall_ns())
    control.close()


def audit(collector: Collector, action: str) -> list[tuple[object, ...]]:
    return collector.control("SELECT subject, detail FROM audit WHERE action = ? ORDER BY audit_id", action)


def test_a_revoked_sensor_loses_its_idle_connection_and_comes_in_no_more(served: Collector) -> None:
    sensor, other = served.sensor(), served.sensor()
    assert [sensor.send([event(1)]).status, other.send([event(1)]).status] == [200, 200]
    command(served, "revoke", sensor.sensor_id, "--reason", "stolen")
    assert sensor.wait_until_closed() == b""
    for answer in (sensor.send([event(2)]), sensor.heartbeat({}), sensor.request("GET", session.CONFIG_PATH)):
        assert (answer.status, answer.code) == (403, "SENSOR_REVOKED")
    assert other.send([event(2)]).receipt.stored_to == 2
    assert served.numbers(sensor) == [1]
    ((subject, detail),) = audit(served, "refuse sensor")
    assert subject == sensor.sensor_id
    assert "SENSOR_REVOKED: came" in str(detail)
    assert "from 127.0.0.1" in str(detail)


def test_a_released_sensor_is_heard_again_on_the_connection_it_has(served: Collector) -> None:
    sensor, copy = served.sensor(), served.box()
    copy.sensor_id, copy.key, copy.ca_pem, copy.certificate = (
        sensor.sensor_id,
        sensor.key,
        sensor.ca_pem,
        sensor.certificate,
    )
    assert sensor.send([event(1)]).status == 200
    assert copy.send([event(1, text="something else")]).code == "SEQUENCE_FORK"
    copy.disconnect()
    kept = sensor._connection
    assert sensor.send([event(2)]).code == "SENSOR_QUARANTINED"
    command(served, "release", sensor.sensor_id, "--reason", "the copy is destroyed")
    assert sensor.send([event(2)]).receipt.stored_to == 2
    assert sensor._connection is kept, "quarantine and release close nothing"


def test_attack_a_revoked_sensor_goes_on_with_a_request_that_it_had_begun(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_in = threading.Event()

    def reading(*args: Any, **named: Any) -> Any:
        let_in.set()
        return read_body(*args, **named)

    # A body is read only of who was let in; revoked before that, the sensor would be refused by name.
    monkeypatch.setattr(endpoint, "read_body", reading)
    sensor = collector.sensor()
    assert sensor.send([event(1)]).status == 200
    let_in.clear()
    assert sensor._connection is not None
    head = "".join(
        f"{name}: {value}\r\n" for name, value in session.BatchHeader(7, 2, 2, "0" * 64).to_headers().items()
    )
    sensor._connection.sock.sendall(
        f"POST {session.BATCHES_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n{head}\r\nhalf".encode()
    )
    assert let_in.wait(30)
    revoke(collector, sensor)
    assert sensor.wait_until_closed() == b""
    assert collector.numbers(sensor) == [1]


def test_a_superseded_key_loses_its_idle_connection_when_its_grace_is_over(collector: Collector) -> None:
    sensor, old = collector.sensor(), collector.box()
    old.sensor_id, old.key, old.ca_pem, old.certificate = (
        sensor.sensor_id,
        sensor.key,
        sensor.ca_pem,
        sensor.certificate,
    )
    assert old.send([event(1)]).status == 200
    assert sensor.renew_key().status == 200
    assert sensor.send([event(2)]).status == 200
    collector.clock.ahead_ns = HOUR_NS + 10**9
    old.wait_until_closed()
    assert old.send([event(3)]).code == "KEY_SUPERSEDED"
    assert sensor.send([event(3)]).status == 200


@pytest.mark.parametrize("fresh", [False, True], ids=["its key", "a new key"])
def test_attack_renewal_with_a_revoked_certificate(collector: Collector, fresh: bool) -> None:
    sensor = collector.sensor()
    certificate = sensor.certificate
    revoke(collector, sensor)
    answer = sensor.renew_key() if fresh else sensor.renew()
    assert (answer.status, answer.code) == (403, "SENSOR_REVOKED")
    assert sensor.certificate == certificate
    ((subject, detail),) = audit(collector, "renew refused")
    assert subject == sensor.sensor_id
    assert f"SENSOR_REVOKED: came {sensor.sensor_id}" in str(detail)
    assert collector.control("SELECT COUNT(*) FROM sensor_keys") == [(1,)]


def test_attack_a_revoked_key_on_every_path_it_could_take(collector: Collector) -> None:
    sensor = collector.sensor()
    assert sensor.send([event(1)]).status == 200
    revoke(collector, sensor)
    kept = [sensor.send([event(2)]).code, sensor.renew().code]
    sensor.disconnect()
    anew = [sensor.send([event(2)]).code, sensor.renew().code]
    recovered = sensor.recover().code
    again = sensor.enroll(collector.token()).code
    assert [*kept, *anew, recovered, again] == ["SENSOR_REVOKED"] * 6
    actions = [row[0] for row in collector.control("SELECT action FROM audit ORDER BY audit_id")]
    assert actions[2:] == [
        "refuse sensor",
        "renew refused",
        "renew refused",
        "recover refused",
        "token new",
        "refuse enrollment",
    ]


def test_a_revoked_sensor_that_keeps_asking_makes_one_audit_row_an_hour(collector: Collector) -> None:
    sensor = collector.sensor()
    revoke(collector, sensor)
    for seq in range(1, 21):
        assert sensor.send([event(seq)]).code == "SENSOR_REVOKED"
    assert len(audit(collector, "refuse sensor")) == 1
    collector.clock.ahead_ns = HOUR_NS + 10**9
    assert sensor.send([event(1)]).code == "SENSOR_REVOKED"
    rows = audit(collector, "refuse sensor")
    assert len(rows) == 2
    assert str(rows[1][1]).endswith("; 19 times since the row before")
