"""`serve` is ready when it says so, drains when told to end, and leaves no half of itself behind."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector_client.harness import Collector
from tests.fakes.sensor import event

ROOT = Path(__file__).parents[3]


class Serve:
    """`vedette-collector serve` under a notify socket of ours."""

    def __init__(self, directory: Path, *more: str) -> None:
        name = f"vedette-test-{os.getpid()}-{os.urandom(4).hex()}"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind("\0" + name)
        self.notify.settimeout(60)
        words = ["serve", str(directory), "--ingest", "127.0.0.1:0", "--page", "127.0.0.1:0", *more]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "collector_client", *words],
            cwd=ROOT,
            env=os.environ | {"NOTIFY_SOCKET": "@" + name},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> dict[str, str]:
        """Wait for READY; the addresses it printed before."""
        assert self.notify.recv(100) == b"READY=1"
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline().split() for _ in range(2)]
        return {name: address.split("//")[1].rstrip("/") for name, address in lines}

    def children(self) -> list[int]:
        """Process ids below it."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in listed]

    def end(self) -> tuple[int, str]:
        """Wait for its end; its exit code and what it said on standard error."""
        _, said = self.process.communicate(timeout=60)
        self.notify.close()
        return self.process.returncode, said


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "collector")
    yield made
    made.stop()


def gone(pid: int) -> bool:
    """Whether a process has ended (one that waits to be reaped has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_gone(pid: int) -> None:
    """Wait for a process that is not our child; the test's own timeout is the limit."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with os.fdopen(watch, "rb"):
        selected = select.select([watch], [], [], 60)
    assert selected[0] or gone(pid)


def test_it_serves_both_and_drains_on_sigterm(collector: Collector) -> None:
    served = Serve(collector.directory)
    addresses = served.ready()
    collector.address = addresses["ingest"]
    sensor = collector.sensor()
    assert sensor.send([event(1)]).receipt.stored_to == 1
    with urllib.request.urlopen(f"http://{addresses['page']}/sensors") as page:
        assert sensor.sensor_id in page.read().decode()
    served.process.send_signal(signal.SIGTERM)
    code, said = served.end()
    assert code == 0, said
    assert "Traceback" not in said
    assert collector.numbers(sensor) == [1]


def test_the_children_end_when_the_parent_is_killed(collector: Collector) -> None:
    served = Serve(collector.directory)
    served.ready()
    children = served.children()
    assert len(children) == 2
    served.process.kill()
    served.end()
    for pid in children:
        wait_gone(pid)
    again = Serve(collector.directory)
    again.ready()
    again.process.send_signal(signal.SIGINT)
    assert again.end()[0] == 0


@pytest.mark.parametrize("number", [0, 1], ids=["ingest", "page"])
def test_it_does_not_live_on_as_a_half(collector: Collector, number: int) -> None:
    served = Serve(collector.directory)
    served.ready()
    children = served.children()
    os.kill(children[number], signal.SIGKILL)
    code, said = served.end()
    assert code == 4
    assert f"{('ingest', 'page')[number]}: ended by itself (signal 9)" in said
    for pid in children:
        wait_gone(pid)


def test_a_taken_port_is_named_with_what_to_do(collector: Collector) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for option in ("--ingest", "--page"):
            code, said = Serve(collector.directory, option, address).end()
            assert code == 4, said
            assert f"{address}: cannot listen there" in said
            assert option in said


def test_a_second_one_on_the_same_store_is_refused(collector: Collector) -> None:
    served = Serve(collector.directory)
    served.ready()
    code, said = Serve(collector.directory).end()
    assert code == 4
    assert "another process writes into this store" in said
    served.process.send_signal(signal.SIGTERM)
    assert served.end()[0] == 0


def test_a_bad_configuration_is_named(collector: Collector) -> None:
    (collector.directory / "collector.toml").write_text("[ingest]\nlisten = 8443\n")
    code, said = Serve(collector.directory).end()
    assert code == 2
    assert "[ingest] listen: 8443 came" in said
