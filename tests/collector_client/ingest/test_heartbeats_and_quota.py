"""Heartbeats are kept as understood; a quota refuses before the body is read and costs an honest sensor nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire import session
from appliance.wire.heartbeat import Heartbeat, HeartbeatAnswer, HostHealth, SpoolHealth
from appliance.wire.session import ConfigAnswer
from collector_client.config import Config
from collector_client.ingest.quota import Quota, network_of
from collector_client.store import query
from collector_client.store.reader import Reader
from tests.collector_client.harness import Collector
from tests.fakes.sensor import event

BEAT = Heartbeat(
    2, 1, "0.1.0", HostHealth(1.0, 0.1, 20.0, 30.0, 10**9), SpoolHealth(7, 5, 4, 1000), capture={"packets": 9}
)


def state(collector: Collector) -> str:
    with Reader.open(collector.directory, collector.clock) as reader:
        (row,) = query.sensors(reader)
        return row.state


def test_a_heartbeat_is_kept_and_answered_with_the_clock(collector: Collector) -> None:
    sensor = collector.sensor()
    answer = sensor.heartbeat(BEAT.to_json())
    assert abs(HeartbeatAnswer.from_json(answer.body).clock_ns - collector.clock.wall_ns()) < 60 * 10**9
    ((body,),) = collector.control("SELECT body FROM heartbeats")
    assert Heartbeat.from_json(str(body).encode()) == BEAT


def test_a_field_that_nobody_knows_is_not_kept(collector: Collector) -> None:
    sensor = collector.sensor()
    assert sensor.heartbeat(json.loads(BEAT.to_json()) | {"surprise": "<script>"}).status == 200
    ((body,),) = collector.control("SELECT body FROM heartbeats")
    assert "surprise" not in str(body)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", BEAT.to_json()[:-1], b" " * 70_000])
def test_another_heartbeat_is_refused(collector: Collector, body: bytes) -> None:
    answer = collector.sensor().heartbeat(body)
    assert (answer.status, answer.code) in [(400, "HEARTBEAT_INVALID"), (413, "BODY_TOO_LARGE")]
    assert collector.control("SELECT COUNT(*) FROM heartbeats") == [(0,)]


def test_a_sensor_is_on_time_then_late_then_lost(collector: Collector) -> None:
    sensor = collector.sensor()
    assert state(collector) == "never seen"
    sensor.heartbeat(BEAT.to_json())
    states = []
    for minutes in (1, 5, 20):
        collector.clock.ahead_ns = minutes * 60 * 10**9
        states.append(state(collector))
    assert states == ["on time", "late", "lost"]


def test_the_configuration_is_answered_in_its_honest_minimum(collector: Collector) -> None:
    answer = collector.sensor().request("GET", session.CONFIG_PATH)
    assert ConfigAnswer.from_json(answer.body).version == 1


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Collector]:
    """A collector that takes 20 events a minute of a sensor and 50 of a tenant."""

    def change(config: Config) -> Config:
        return replace(config, quota=replace(config.quota, sensor_events_per_minute=20, tenant_events_per_minute=50))

    made = Collector(tmp_path / "collector", change).start()
    yield made
    made.stop()


def test_a_sensor_beyond_its_quota_is_told_when_to_come_back_and_then_taken(narrow: Collector) -> None:
    sensor = narrow.sensor()
    assert sensor.send([event(seq) for seq in range(1, 16)]).receipt.stored_to == 15
    answer = sensor.send([event(seq) for seq in range(16, 31)])
    assert (answer.status, answer.code) == (429, "SENSOR_QUOTA")
    wait_s = answer.refusal.retry_after_s
    assert wait_s is not None
    assert 25 <= wait_s <= 31
    narrow.clock.ahead_ns = wait_s * 10**9
    assert sensor.send([event(seq) for seq in range(16, 31)]).receipt.stored_to == 30


def test_a_sensor_near_its_quota_is_asked_to_slow_down(narrow: Collector) -> None:
    sensor = narrow.sensor()
    assert sensor.send([event(1)]).receipt.slow_down_ms == 0
    assert 8_000 < sensor.send([event(seq) for seq in range(2, 20)]).receipt.slow_down_ms <= 15_000


def test_one_sensor_does_not_use_up_anothers_quota_but_a_tenant_has_its_own(narrow: Collector) -> None:
    sensors = [narrow.sensor(tenant="acme") for _ in range(3)]
    stranger = narrow.sensor(tenant="umbrella")
    batch = [event(seq) for seq in range(1, 21)]
    assert [sensor.send(batch).status for sensor in sensors] == [200, 200, 429]
    assert sensors[2].send(batch).code == "TENANT_QUOTA"
    assert stranger.send(batch).status == 200


def test_documents_refused_whole_cost_more_than_good_ones(narrow: Collector) -> None:
    sensor = narrow.sensor()
    headers = session.BatchHeader(7, 1, 1, "0" * 64)
    statuses = [sensor.send_document(b"<broken>", headers).status for _ in range(15)]
    assert statuses == [400] * 10 + [429] * 5


def test_the_quota_refuses_before_the_body_is_read(narrow: Collector) -> None:
    sensor = narrow.sensor()
    sensor.send([event(seq) for seq in range(1, 21)])
    header = session.BatchHeader(7, 21, 30, "0" * 64)
    assert sensor.send_document(b"not even XML", header).code == "SENSOR_QUOTA"
    assert narrow.alerts("SELECT COUNT(*) FROM quarantine") == [(0,)]


def test_a_body_without_a_length_pays_for_its_bytes_all_the_same(narrow: Collector) -> None:
    sensor = narrow.sensor()
    header = session.BatchHeader(7, 1, 1, "0" * 64)
    pieces = iter([b"<broken>" * 8192] * 3)  # an iterator travels chunked: no Content-Length
    assert sensor.post_batch(cast("bytes", pieces), header.to_headers()).status == 400
    assert sensor.send([event(1)]).code == "SENSOR_QUOTA"


def test_large_heartbeats_pay_for_their_bytes(narrow: Collector) -> None:
    sensor = narrow.sensor()
    filler = BEAT.to_json()[:-1] + b" " * 60_000 + b"}"
    assert [sensor.heartbeat(filler).status for _ in range(3)] == [200, 429, 429]


def test_the_addresses_of_one_ipv6_network_count_together() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") != network_of("192.0.2.2")
    assert network_of("fe80::1%eth0") == "fe80::/64"


def test_a_path_cannot_write_lines_or_escapes_into_the_log(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "vedette.ingest"):
        assert collector.sensor().request("GET", "/%1b%5b2J%0aenrolled%20a%20key").status == 404
    (line,) = [record.getMessage() for record in caplog.records if "PATH" in record.getMessage()]
    assert line.isprintable()
    assert "enrolled a key" in line


steps = st.lists(st.tuples(st.floats(0, 100), st.integers(1, 80)), max_size=40)


@given(st.integers(1, 100), steps)
def test_no_more_than_depth_and_rate_ever_pass(per_minute: int, visits: list[tuple[float, int]]) -> None:
    quota, now_s, passed = Quota(per_minute), 0.0, 0
    for gap_s, cost in visits:
        now_s += gap_s
        cost = min(cost, per_minute)
        wait_s = quota.wait_s("a", cost, now_s)
        assert 0 <= wait_s <= 60.001
        if wait_s == 0:
            quota.take("a", cost, now_s)
            passed += cost
        assert quota.wait_s("a", cost, now_s + 60.001) == 0
    assert passed <= per_minute * (1 + now_s / 60) + 0.001


def test_the_table_of_buckets_is_bounded() -> None:
    quota = Quota(10, max_buckets=100)
    for number in range(1000):
        quota.take(number, 10, float(number))
    assert len(quota._levels) == 100


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    quota = Quota(60)
    quota.take("a", 60, 100.0)
    assert quota.wait_s("a", 1, 50.0) == pytest.approx(1.0)
