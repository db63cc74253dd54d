"""The snapshot of a real machine, as the heartbeat carries it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.health import Monitor
from appliance.spool import Spool
from appliance.uplink import UplinkStatus
from appliance.wire.heartbeat import Heartbeat, RulesHealth
from tests.fakes.clock import FakeClock

COUNTERS: dict[str, int] = {}


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool.open(
        tmp_path / "spool",
        max_bytes=1 << 20,
        segment_bytes=4096,
        clock=FakeClock(),
        random_epoch=lambda: 9,
        fsync=False,
    ) as opened:
        yield opened


@pytest.fixture
def monitor(spool: Spool) -> Monitor:
    COUNTERS.clear()
    return Monitor(
        spool=spool,
        spool_folder=spool.folder,
        spool_max_bytes=1 << 20,
        clock=FakeClock(),
        counters=lambda: COUNTERS,
        rules=lambda: RulesHealth("ab" * 32, 200, 3),
        certificate=lambda: None,
        version="0.1.0",
        engine_version="0.1.0",
    )


def test_a_heartbeat_of_this_machine_passes_the_wires_own_checks(monitor: Monitor, spool: Spool) -> None:
    spool.append([(1, lambda epoch, seq: f"{epoch}{seq}".encode())] * 2)
    COUNTERS.update(packets=1000, drops=1, alerts=2)
    heartbeat = monitor.heartbeat(UplinkStatus(clock_skew_ms=-5))
    assert Heartbeat.from_json(heartbeat.to_json()) == heartbeat
    assert (heartbeat.spool.epoch, heartbeat.spool.next_seq, heartbeat.spool.events) == (9, 3, 2)
    assert heartbeat.capture == {"packets": 1000, "drops": 1, "alerts": 2}
    assert (heartbeat.rules.loaded, heartbeat.rules.refused) == (200, 3)
    assert heartbeat.clock_skew_ms == -5
    assert heartbeat.host.disk_free_bytes > 0
    assert 0 < heartbeat.host.memory_percent < 100


def test_drops_are_judged_by_the_interval_and_not_by_the_whole_past(monitor: Monitor) -> None:
    def drops() -> str:
        return next(f.severity for f in monitor.heartbeat(UplinkStatus()).findings if f.check == "capture_drops")

    COUNTERS.update(packets=900, drops=100)
    assert drops() == "critical"
    COUNTERS.update(packets=1900, drops=100)
    assert drops() == "ok"
    COUNTERS.update(packets=10, drops=0)
    assert drops() == "ok", "an engine that was started anew counts from nothing"


def test_more_counters_than_the_wire_takes_do_not_cost_the_heartbeat(monitor: Monitor) -> None:
    COUNTERS.update({f"c{n:03}": n for n in range(200)})
    assert len(monitor.heartbeat(UplinkStatus()).capture) == 128


def test_a_snapshot_of_a_closed_spool_is_still_a_snapshot(monitor: Monitor, spool: Spool) -> None:
    spool.append([(1, lambda epoch, seq: f"{epoch}{seq}".encode())])
    spool.close()
    for path in spool.folder.glob("*.seg"):
        path.unlink()
    facts, findings = monitor.look(UplinkStatus())
    assert facts.spool.events == 0
    assert len(findings) == 8
