"""Two boxes with one key are found and shut out; one box that restarts, moves or is slow never is."""

from __future__ import annotations

import pytest

from appliance.wire import session
from collector_client.cli import main
from collector_client.ingest.clones import MAX_SPEAKERS, Clones
from collector_client.store import query
from collector_client.store.reader import Reader
from tests.collector_client.harness import Collector
from tests.fakes.sensor import NOON_NS, FakeSensor, event

A, B, C = "a" * 32, "b" * 32, "c" * 32

# (run, connection, address) of each request in turn; the 1-based request that proves two boxes, or none.
CASES = [
    ("a restart", [(A, 1, "x"), (A, 1, "x"), (B, 2, "x"), (B, 2, "x")], None),
    ("a restart with one late request", [(A, 1, "x"), (B, 2, "x"), (A, 1, "x"), (B, 2, "x")], None),
    ("three restarts", [(A, 1, "x"), (B, 2, "x"), (C, 3, "x"), (C, 4, "x")], None),
    ("a box with two ways out", [(A, 1, "x"), (A, 2, "y"), (A, 1, "x"), (A, 2, "y"), (A, 1, "x")], None),
    ("a clone behind the same address", [(A, 1, "x"), (B, 2, "x"), (A, 1, "x"), (B, 2, "x"), (A, 1, "x")], 5),
    ("a clone elsewhere that comes and goes", [(A, 1, "x"), (B, 2, "y"), (A, 3, "x"), (A, 3, "x")], 4),
    ("a clone that connects anew each time", [(A, 1, "x"), (B, 2, "y"), (A, 3, "x"), (B, 4, "y"), (A, 5, "x")], 5),
    ("old software, two connections", [("", 1, "x"), ("", 2, "x"), ("", 1, "x"), ("", 1, "x")], None),
    ("old software, a new address", [("", 1, "x"), ("", 2, "y"), ("", 2, "y"), ("", 2, "y")], None),
    ("old software, cloned", [("", 1, "x"), ("", 2, "y"), ("", 1, "x"), ("", 2, "y"), ("", 1, "x")], 5),
    ("old software, then new", [("", 1, "x"), (A, 2, "x"), (A, 2, "x"), (A, 3, "x")], None),
    ("old software cloned by new", [("", 1, "x"), (A, 2, "x"), ("", 1, "x"), ("", 1, "x")], 4),
]


@pytest.mark.parametrize(("name", "requests", "proof"), CASES, ids=[case[0] for case in CASES])
def test_who_speaks_after_whom(name: str, requests: list[tuple[str, int, str]], proof: int | None) -> None:
    clones = Clones()
    told = [clones.heard("s", *request) for request in requests]
    assert [number for number, said in enumerate(told, 1) if said] == ([] if proof is None else [proof])


def test_sensors_are_told_apart_and_what_is_remembered_is_bounded() -> None:
    clones = Clones(max_sensors=2)
    for number in range(100):
        assert clones.heard(f"s{number}", A, 1, "x") is None
        for run in range(50):
            clones.heard("busy", f"{run:032x}", run, "x")
    assert len(clones._speakers) == 2
    assert len(clones._speakers["busy"]) == MAX_SPEAKERS


def clone_of(collector: Collector, sensor: FakeSensor) -> FakeSensor:
    copy = collector.box(sensor.key)
    copy.ca_pem, copy.certificate = sensor.ca_pem, sensor.certificate
    return copy


def release(collector: Collector, sensor: FakeSensor) -> int:
    return main(["release", str(collector.directory), sensor.sensor_id, "--reason", "found the copy"])


def quarantined(collector: Collector, sensor: FakeSensor) -> bool:
    with Reader.open(collector.directory, collector.clock) as reader:
        (row,) = (row for row in query.sensors(reader) if row.sensor_id == sensor.sensor_id)
    assert (row.state == "quarantined") == bool(row.quarantine_reason)
    return row.state == "quarantined"


def heartbeat(sensor: FakeSensor, run: str = "") -> int:
    body = {
        "schema": 1,
        "sent_ts_ns": 2,
        "started_ts_ns": 1,
        "version": "0",
        "engine_version": "",
        "host": {"cpu_percent": 1, "load_1m": 1, "memory_percent": 1, "disk_percent": 1, "disk_free_bytes": 1},
        "spool": {"epoch": 7, "next_seq": 1, "events": 0, "bytes": 0, "lost_events": 0},
        "rules": {"digest": "", "loaded": 0, "refused": 0},
        "capture": {},
        "findings": [],
    }
    sensor.run = run
    return sensor.heartbeat(body).status


def test_two_live_boxes_of_one_key_are_put_in_quarantine_and_released(collector: Collector) -> None:
    first = collector.sensor()
    second = clone_of(collector, first)
    for _ in range(3):
        assert heartbeat(first, A) == 200
        assert heartbeat(second, B) == 200
    assert quarantined(collector, first)
    for box in (first, second):
        answer = box.send([event(1)])
        assert (answer.status, answer.code) == (403, "SENSOR_QUARANTINED")
        assert "release" in answer.refusal.do
        assert heartbeat(box, box.run) == 200, "heartbeats are still heard"
        assert box.renew_key().code == "SENSOR_QUARANTINED"
        assert box.recover().code == "SENSOR_QUARANTINED"
    assert collector.numbers(first) == []
    assert release(collector, first) == 0
    first = clone_of(collector, first)
    first.certificate = collector.control("SELECT certificate FROM sensors")[0][0]  # type: ignore[assignment]
    assert not quarantined(collector, first)
    assert first.send([event(1)]).status == 200
    actions = [action for (action,) in collector.control("SELECT action FROM audit ORDER BY audit_id")]
    assert actions.count("quarantine") == 1
    assert actions[-1] == "release"


def test_a_forked_sequence_puts_the_sensor_in_quarantine_once(collector: Collector) -> None:
    sensor = collector.sensor()
    sensor.send([event(1), event(2)])
    assert sensor.send([event(2, text="other"), event(3)]).code == "SEQUENCE_FORK"
    assert quarantined(collector, sensor)
    assert sensor.send([event(4)]).code == "SENSOR_QUARANTINED"
    assert collector.numbers(sensor) == [1, 2, 3]
    assert sensor.enroll(collector.token()).code == "SENSOR_QUARANTINED"
    release(collector, sensor)
    sensor = clone_of(collector, sensor)
    sensor.certificate = collector.control("SELECT certificate FROM sensors")[0][0]  # type: ignore[assignment]
    assert sensor.send([event(4, at_ns=NOON_NS)]).status == 200


def test_a_box_that_restarts_again_and_again_is_left_alone(collector: Collector) -> None:
    sensor = collector.sensor()
    for number in range(5):
        for _ in range(3):
            assert heartbeat(sensor, f"{number:032x}") == 200
        sensor.disconnect()
    assert not quarantined(collector, sensor)


def test_a_run_of_another_form_is_refused_by_name(collector: Collector) -> None:
    sensor = collector.sensor()
    sensor.run = "x" * 40
    assert sensor.send([event(1)]).code == "HEADER_INVALID"


def test_release_of_a_sensor_that_is_free_or_unknown_says_so(
    collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    sensor = collector.sensor()
    assert release(collector, sensor) != 0
    assert "not in quarantine" in capsys.readouterr().err
    sensor.sensor_id = "s-" + "a" * 20
    assert release(collector, sensor) != 0
    assert "no record" in capsys.readouterr().err
    assert session.RUN_HEADER == "Vedette-Run"
