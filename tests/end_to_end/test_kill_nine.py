"""kill -9 of either side at any moment: afterwards every event the engine reports is in the collector's store, once.

The engine is deterministic, so what it reports is known beforehand: `vedette replay` over the same files and rules.
Real processes, real TLS, real SQLite. The moments come from a seeded generator; waiting for them is the only use of
time.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo import wait_until_delivered
from tests.loop import ROOT, Daemon, Loop, LoopError

PCAPS = sorted((ROOT / "tests" / "traffic" / "pcaps").glob("*.pcap"))
PASSES = 12
Key = tuple[object, ...]


def reported() -> Counter[Key]:
    """What the engine reports on the input, by (sid, addresses, ports)."""
    argv = [sys.executable, "-m", "appliance", "replay", *map(str, PCAPS * PASSES)]
    argv += ["--rules", str(ROOT / "appliance" / "rules"), "--home-net", "any", "--format", "eve"]
    argv += ["--checksums", "ignore"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return Counter(
        (r["alert"]["signature_id"], r["src_ip"], r.get("src_port", 0), r["dest_ip"], r.get("dest_port", 0))
        for r in records
    )


def stored(loop: Loop) -> Counter[Key]:
    """What the collector has, by the same key; fails when a number was stored twice."""
    alerts = loop.alerts()
    numbers = Counter((a["sensor_id"], a["epoch"], a["seq"]) for a in alerts)
    assert max(numbers.values(), default=1) == 1
    return Counter((a["sid"], a["src_ip"], a["src_port"] or 0, a["dst_ip"], a["dst_port"] or 0) for a in alerts)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    """An enrolled pair; nothing has been captured yet."""
    files = json.dumps([str(path) for path in PCAPS * PASSES])
    made = Loop(tmp_path, capture=f'files = {files}\nwhen_done = "stay"\nchecksums = "ignore"')
    made.prepare()
    yield made
    made.close()


def kill_after(daemon: Daemon, delay_s: float) -> None:
    """Let it work for a moment, then kill -9."""
    assert daemon.process is not None
    try:
        daemon.process.wait(delay_s)
    except subprocess.TimeoutExpired:
        daemon.kill()


@pytest.mark.timeout(600)
def test_the_sensor_may_die_at_any_moment(loop: Loop) -> None:
    moments = random.Random(1)
    for _ in range(10):
        try:
            loop.sensor.start()
        except LoopError:
            pytest.fail(f"the sensor does not come up after kill -9:\n{loop.sensor.said()}")
        kill_after(loop.sensor, moments.uniform(0.0, 0.6))
    loop.sensor.start()
    wait_until_delivered(loop)
    assert stored(loop) == reported()


@pytest.mark.timeout(600)
def test_the_collector_may_die_at_any_moment(loop: Loop) -> None:
    moments = random.Random(2)
    loop.sensor.start()
    for _ in range(8):
        kill_after(loop.collector, moments.uniform(0.0, 0.5))
        loop.collector.start()
    wait_until_delivered(loop)
    assert stored(loop) == reported()
    loop.ask_collector("verify", str(loop.collector_dir), "--json")


@pytest.mark.timeout(600)
def test_both_may_die_in_turn(loop: Loop) -> None:
    moments = random.Random(3)
    for _ in range(5):
        loop.sensor.start()
        kill_after(loop.collector, moments.uniform(0.0, 0.3))
        kill_after(loop.sensor, moments.uniform(0.0, 0.3))
        loop.collector.start()
    loop.sensor.start()
    wait_until_delivered(loop)
    assert stored(loop) == reported()
