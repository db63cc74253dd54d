"""kill -9 of the ingest at any instant: what was receipted is stored, what is sent again is stored once."""

from __future__ import annotations

import http.client
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector_client.harness import Collector
from tests.fakes.sensor import FakeSensor, event

ROOT = Path(__file__).parents[3]
GONE = (ConnectionError, http.client.HTTPException, OSError)


class Child:
    """The ingest as a process of its own; its standard input is its life line."""

    def __init__(self, directory: Path, moment: str = "") -> None:
        module = ["tests.collector_client.ingest.dying_ingest", moment] if moment else ["collector_client.ingest"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *module, str(directory), "--listen", "127.0.0.1:0"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().decode().removeprefix("ready ").strip()

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> int:
        """Close the life line and wait."""
        self.process.communicate()
        return self.process.returncode


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """A folder with a collector in it; nothing runs."""
    made = Collector(tmp_path / "collector")
    yield made
    made.stop()


def enrolled(collector: Collector) -> FakeSensor:
    child = Child(collector.directory)
    collector.address = child.address
    sensor = collector.sensor()
    sensor.disconnect()
    assert child.end() == 0
    return sensor


def reach(sensor: FakeSensor, child: Child) -> FakeSensor:
    sensor.disconnect()
    sensor.port = int(child.address.rpartition(":")[2])
    return sensor


@pytest.mark.parametrize("moment", ["before-commit", "between-commits", "after-commit"])
def test_killed_around_a_commit_the_batch_sent_again_is_stored_once(collector: Collector, moment: str) -> None:
    sensor = enrolled(collector)
    batch = [event(seq) for seq in range(1, 21)]
    child = Child(collector.directory, moment)
    with pytest.raises(GONE):
        reach(sensor, child).send(batch)
    assert child.end() == -9
    child = Child(collector.directory)
    assert reach(sensor, child).send(batch).receipt.stored_to == 20
    sensor.disconnect()
    assert child.end() == 0
    assert collector.numbers(sensor) == list(range(1, 21))


def test_killed_between_enrollment_and_answer_the_same_key_gets_its_certificate(collector: Collector) -> None:
    token = collector.token()
    child = Child(collector.directory, "after-enroll")
    collector.address = child.address
    box = collector.box()
    with pytest.raises(GONE):
        box.enroll(token)
    assert child.end() == -9
    child = Child(collector.directory)
    assert reach(box, child).enroll(token).status == 200
    assert box.send([event(1)]).status == 200
    box.disconnect()
    child.end()
    assert collector.control("SELECT COUNT(*) FROM sensors") == [(1,)]


def test_killed_again_and_again_under_load_every_receipted_event_is_there_once(collector: Collector) -> None:
    sensor = enrolled(collector)
    chance = random.Random(20_261_124)
    receipted, highest = 0, 0
    for _ in range(5):
        child = Child(collector.directory)
        reach(sensor, child)
        until = receipted + chance.randrange(5, 60)
        try:
            while True:
                size = chance.randrange(1, 12)
                highest = max(highest, receipted + size)
                receipted = sensor.send([event(receipted + 1 + step) for step in range(size)]).receipt.stored_to
                if receipted >= until:
                    child.process.kill()
        except GONE:
            pass
        child.kill()
        assert set(range(1, receipted + 1)) <= set(collector.numbers(sensor))
    numbers = collector.numbers(sensor)
    assert len(numbers) == len(set(numbers))
    assert set(numbers) <= set(range(1, highest + 1))


def test_the_ingest_ends_in_order_when_its_parent_is_gone(collector: Collector) -> None:
    assert Child(collector.directory).end() == 0
