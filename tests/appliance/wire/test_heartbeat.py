"""A heartbeat round-trips, and a hostile one ends in SessionError and nothing else."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire import heartbeat as words
from appliance.wire.heartbeat import (
    HealthFinding,
    Heartbeat,
    HeartbeatAnswer,
    HostHealth,
    RulesHealth,
    SpoolHealth,
    SupervisorHealth,
)
from appliance.wire.session import SessionError

GOOD = Heartbeat(
    sent_ts_ns=2,
    started_ts_ns=1,
    version="0.1.0",
    host=HostHealth(3.5, 0.5, 40.0, 70.0, 10**9, 51.5),
    spool=SpoolHealth(7, 12, 3, 4000, 1, 0),
    rules=RulesHealth("ab" * 32, 200, 3),
    clock_skew_ms=-20,
    capture={"packets": 12, "kernel_drops": 0},
    findings=(HealthFinding("disk_space", "warning", "3 % left"),),
    supervisor=SupervisorHealth("up", "beats-stopped", 2, "1.0.0", 41.5, 12_040),
)

counts = st.integers(0, 2**63 - 1)
heartbeats = st.builds(
    Heartbeat,
    sent_ts_ns=counts,
    started_ts_ns=counts,
    version=st.from_regex(r"[0-9.a-z]{0,20}", fullmatch=True),
    host=st.builds(
        HostHealth,
        st.floats(0, 6400),
        st.floats(0, 1000),
        st.floats(0, 100),
        st.floats(0, 100),
        counts,
        st.none() | st.floats(-40, 120),
    ),
    spool=st.builds(SpoolHealth, counts, counts, counts, counts, st.none() | counts, counts),
    rules=st.builds(RulesHealth, st.from_regex(r"[0-9a-f]{64}", fullmatch=True) | st.just(""), counts, counts),
    clock_skew_ms=st.none() | st.integers(-words.MAX_SKEW_MS, words.MAX_SKEW_MS),
    capture=st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.]{0,20}", fullmatch=True), counts, max_size=20),
    findings=st.lists(
        st.builds(HealthFinding, st.just("disk_space"), st.sampled_from(words.SEVERITIES), st.text()), max_size=5
    ).map(tuple),
    supervisor=st.none()
    | st.builds(
        SupervisorHealth,
        st.sampled_from(["absent", "up", "hold"]),
        st.sampled_from(["", "power-on", "beats-stopped"]),
        st.none() | counts,
        st.just("1.0.0"),
        st.none() | st.floats(-40, 120),
        st.none() | st.integers(0, 60_000),
    ),
)


@given(heartbeats)
def test_a_heartbeat_survives_the_way(heartbeat: Heartbeat) -> None:
    assert Heartbeat.from_json(heartbeat.to_json()) == heartbeat


@given(counts.filter(lambda ns: ns < 4 * 10**18), st.integers(0, 3_600_000))
def test_the_answer_survives_the_way(clock_ns: int, slow_down_ms: int) -> None:
    answer = HeartbeatAnswer(clock_ns, slow_down_ms)
    assert HeartbeatAnswer.from_json(answer.to_json()) == answer


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, capture={f"c{n}": 1 for n in range(words.MAX_COUNTERS + 1)}),
        replace(GOOD, capture={"UPPER": 1}),
        replace(GOOD, capture={"a" * 65: 1}),
        replace(GOOD, capture={"packets": 2**63}),
        replace(GOOD, host=replace(GOOD.host, memory_percent=101.0)),
        replace(GOOD, findings=GOOD.findings * (words.MAX_FINDINGS + 1)),
        replace(GOOD, findings=(HealthFinding("x", "fatal", ""),)),  # type: ignore[arg-type]
        replace(GOOD, version="x" * 65),
        replace(GOOD, supervisor=SupervisorHealth("UP")),
        replace(GOOD, supervisor=SupervisorHealth("up", "<script>")),
        replace(GOOD, supervisor=SupervisorHealth("up", voltage_mv=-1)),
    ],
)
def test_a_heartbeat_out_of_bounds_is_refused_before_it_is_sent(bad: Heartbeat) -> None:
    with pytest.raises(SessionError):
        bad.to_json()


def test_another_schema_is_refused() -> None:
    body = json.loads(GOOD.to_json()) | {"schema": 2}
    with pytest.raises(SessionError, match="schema"):
        Heartbeat.from_json(json.dumps(body).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(json.loads(GOOD.to_json()))), json_values)
def test_any_other_value_in_a_field_gives_a_value_or_the_one_error(name: str, value: object) -> None:
    with contextlib.suppress(SessionError):
        Heartbeat.from_json(json.dumps({**json.loads(GOOD.to_json()), name: value}).encode())


@given(st.binary(max_size=200))
def test_any_bytes_end_in_the_one_error(body: bytes) -> None:
    with pytest.raises(SessionError):
        Heartbeat.from_json(body)
