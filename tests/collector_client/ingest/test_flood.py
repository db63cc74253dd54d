"""Who floods the collector crowds out only itself: sensors deliver, an honest box enrolls, the audit stays short."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.wire.enrollment import CACERTS_PATH, EnrollmentToken
from collector_client.config import Config
from collector_client.ingest.connections import NEWCOMER_REQUESTS
from collector_client.ingest.refusals import ROWS, ROWS_OF_ADDRESS
from tests.collector_client.harness import Collector
from tests.fakes.sensor import FakeSensor, event

ATTACKER = "127.9.9.9"
WRONG = str(EnrollmentToken("t-" + "a" * 12, "x" * 43))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Collector]:
    """A collector with room for 64 connections: 32 newcomers, 8 of one address; 10 failed enrollments a minute."""

    def change(config: Config) -> Config:
        ingest = replace(config.ingest, max_connections=64, newcomers_per_address=8)
        return replace(config, ingest=ingest, quota=replace(config.quota, enrollments_per_minute=10))

    made = Collector(tmp_path / "collector", change).start()
    made.clock.hold()
    yield made
    made.stop()


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Collector]:
    """A collector where a crowd finds room, and 10 enrollments of one address may fail in a minute."""

    def change(config: Config) -> Config:
        return replace(config, quota=replace(config.quota, enrollments_per_minute=10))

    made = Collector(tmp_path / "collector", change).start()
    made.clock.hold()
    yield made
    made.stop()


def knock(collector: Collector, source: str) -> socket.socket:
    """A connection on which nothing is said."""
    host, _, port = collector.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30, source_address=(source, 0))


def is_closed(connection: socket.socket) -> bool:
    """Wait for what the other side does: it closes, or (in the test's time) it does not."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def attacker(collector: Collector, source: str) -> FakeSensor:
    box = collector.box()
    box.source = source
    return box


def honest_work_goes_on(collector: Collector, sensor: FakeSensor, seq: int) -> None:
    """The enrolled sensor delivers, on its connection and on a new one; somebody new comes in."""
    assert sensor.send([event(seq)]).receipt.stored_to == seq
    sensor.disconnect()
    assert sensor.send([event(seq + 1)]).receipt.stored_to == seq + 1
    assert collector.sensor(site="south").heartbeat({}).code == "HEARTBEAT_INVALID"


def floods(collector: Collector) -> list[tuple[object, ...]]:
    """The rows that sum up; they are written once a minute and at the end."""
    collector.stop()
    return collector.control("SELECT subject, detail FROM audit WHERE action = 'refuse flood' ORDER BY audit_id")


def test_attack_half_handshakes_of_one_address(small: Collector) -> None:
    sensor = small.sensor()
    assert sensor.send([event(1)]).status == 200
    doors = [knock(small, ATTACKER) for _ in range(100)]
    assert all(is_closed(door) for door in doors[8:])
    honest_work_goes_on(small, sensor, 2)
    assert floods(small) == [
        (
            ATTACKER,
            "not written one by one: 92 x connections (more than 8 connections at once without an enrolled sensor)",
        )
    ]
    for door in doors:
        door.close()


def test_attack_half_handshakes_of_many_addresses(small: Collector) -> None:
    sensor = small.sensor()
    assert sensor.send([event(1)]).status == 200
    doors = [knock(small, f"127.9.{number // 250}.{1 + number % 250}") for number in range(300)]
    assert all(is_closed(door) for door in doors[: 300 - 32]), "the oldest give way"
    honest_work_goes_on(small, sensor, 2)
    for door in doors:
        door.close()


def test_a_box_that_has_begun_its_handshake_outlasts_a_crowd_that_says_nothing(small: Collector) -> None:
    box = knock(small, "127.9.200.1")
    box.sendall(b"\x16")
    small.sensor()  # while it enrolls, the byte is seen
    doors = [knock(small, f"127.9.{number // 250}.{1 + number % 250}") for number in range(300)]
    assert all(is_closed(door) for door in doors[: 300 - 31])
    box.setblocking(False)
    with pytest.raises(BlockingIOError):
        box.recv(1)
    for door in (box, *doors):
        door.close()


def test_attack_doors_that_stop_in_their_handshake_leave_room_for_others(small: Collector) -> None:
    sensor = small.sensor()
    assert sensor.send([event(1)]).status == 200
    doors = []
    for number in range(100):
        doors.append(knock(small, f"127.9.0.{1 + number}"))
        doors[-1].sendall(b"\x16\x03")
    honest_work_goes_on(small, sensor, 2)
    for door in doors:
        door.close()


def test_attack_wrong_tokens_of_one_address_cost_only_that_address(small: Collector) -> None:
    sensor, box = small.sensor(), attacker(small, ATTACKER)
    answers = [box.enroll(WRONG) for _ in range(30)]
    assert [answer.code for answer in answers] == ["TOKEN_UNKNOWN"] * 10 + ["ENROLLMENT_RATE"] * 20
    assert answers[-1].status == 429
    assert 1 <= (answers[-1].refusal.retry_after_s or 0) <= 60
    honest_work_goes_on(small, sensor, 1)
    assert floods(small) == [(ATTACKER, "not written one by one: 19 x ENROLLMENT_RATE")]
    details = [str(row[0]) for row in small.control("SELECT detail FROM audit WHERE action = 'refuse enrollment'")]
    assert len(details) == 11
    assert all(f"from {ATTACKER}" in detail for detail in details)


def test_attack_wrong_tokens_of_many_addresses_while_sensors_deliver(roomy: Collector) -> None:
    sensors = [roomy.sensor() for _ in range(3)]
    token = roomy.token(site="south")

    def flood(number: int) -> list[str]:
        box = FakeSensor(roomy.address)
        box.source = f"127.9.0.{number}"
        codes = []
        for _ in range(12):
            codes.append(box.enroll(WRONG).code)
            box.disconnect()
        return codes

    def deliver(sensor: FakeSensor) -> list[int]:
        return [sensor.send([event(seq)]).status for seq in range(1, 11)]

    with ThreadPoolExecutor(20) as crowd:
        attacks = [crowd.submit(flood, number) for number in range(1, 15)]
        deliveries = [crowd.submit(deliver, sensor) for sensor in sensors]
        assert roomy.box().enroll(token).status == 200
        assert [delivery.result() for delivery in deliveries] == [[200] * 10] * 3
        assert [attack.result() for attack in attacks] == [["TOKEN_UNKNOWN"] * 10 + ["ENROLLMENT_RATE"] * 2] * 14
    rows = floods(roomy)
    single = roomy.control("SELECT COUNT(*) FROM audit WHERE action = 'refuse enrollment'")[0][0]
    assert single == ROWS
    told = sum(int(words.split(" ")[0]) for _, detail in rows for words in str(detail).split(": ")[1].split(", "))
    assert single + told == 14 * 12


def test_a_site_with_many_boxes_behind_one_address_enrolls_them_all(small: Collector) -> None:
    assert [small.box().enroll(small.token()).status for _ in range(15)] == [200] * 15
    box = small.box()
    assert [box.enroll(WRONG).code for _ in range(11)] == ["TOKEN_UNKNOWN"] * 10 + ["ENROLLMENT_RATE"]


def test_an_answer_asked_for_again_and_again_costs_like_a_failure(small: Collector) -> None:
    box, token = small.box(), small.token()
    assert [box.enroll(token).status for _ in range(12)] == [200] * 11 + [429]


def test_a_newcomers_connection_is_closed_after_some_requests(small: Collector) -> None:
    box = small.box()
    box.learn_ca()
    answers = [box.request("GET", CACERTS_PATH) for _ in range(NEWCOMER_REQUESTS + 1)]
    closing = [answer.headers.get("Connection") == "close" for answer in answers]
    assert closing == [False] * (NEWCOMER_REQUESTS - 1) + [True, False]


def test_refusals_of_one_address_beyond_the_first_are_counted(collector: Collector) -> None:
    collector.clock.hold()
    box = attacker(collector, ATTACKER)
    for _ in range(ROWS_OF_ADDRESS + 12):
        assert box.enroll(WRONG).code == "TOKEN_UNKNOWN"
    assert floods(collector) == [(ATTACKER, "not written one by one: 12 x TOKEN_UNKNOWN")]
    written = collector.control("SELECT COUNT(*) FROM audit WHERE action = 'refuse enrollment'")
    assert written == [(ROWS_OF_ADDRESS,)]
