"""A full disk: the sensor is told to come back, nothing receipted is lost, and freed space is used at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.wire import snml
from tests.collector_client.harness import Collector
from tests.fakes.sensor import FakeSensor, event

ROOT = Path(__file__).parents[3]
DISK_KIB = 4096
BALLAST_BYTES = 2 * 1024 * 1024

# In a mount namespace of its own: a small disk, the collector's folder on it, ballast, then the ingest itself.
SMALL_DISK = """\
set -e
mount -t tmpfs -o size="$2k" small "$3"
cp -a "$1" "$3/collector"
head -c "$4" /dev/zero > "$3/ballast"
exec "$5" -m collector_client.ingest "$3/collector" --listen 127.0.0.1:0
"""


def large_batch(first: int) -> list[snml.Event]:
    """Fifty events with texts long enough to fill a disk soon."""
    return [event(seq, text=f"{seq} " + "x" * 400) for seq in range(first, first + 50)]


@pytest.mark.root
def test_a_full_disk_refuses_keeps_and_recovers(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "collector").start()
    sensor = collector.sensor()
    collector.stop()
    disk = tmp_path / "disk"
    disk.mkdir()
    child = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", SMALL_DISK, "sh",
         str(collector.directory), str(DISK_KIB), str(disk), str(BALLAST_BYTES), sys.executable],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        ready = child.stdout.readline().decode()
        assert ready.startswith("ready "), child.communicate()
        check(sensor, int(ready.rpartition(":")[2]), Path(f"/proc/{child.pid}/root{disk}"), tmp_path / "seen")
        sensor.disconnect()
    finally:
        _, said = child.communicate(timeout=60)
    assert child.returncode == 0, said.decode()


def check(sensor: FakeSensor, port: int, disk: Path, seen: Path) -> None:
    """`disk` is the small disk as the ingest sees it."""
    sensor.port = port
    stored = 0
    while (answer := sensor.send(large_batch(stored + 1))).status == 200:
        stored = answer.receipt.stored_to
        assert stored < 100_000, "the disk does not fill"
    assert (answer.status, answer.code) == (503, "STORE_FAILED")
    assert answer.refusal.retry_after_s
    assert stored > 0
    os.unlink(disk / "ballast")
    assert sensor.send(large_batch(stored + 1)).receipt.stored_to == stored + 50
    shutil.copytree(disk / "collector", seen)  # SQLite itself would follow /proc's links out of the name space
    assert Collector(seen).numbers(sensor) == list(range(1, stored + 51))
