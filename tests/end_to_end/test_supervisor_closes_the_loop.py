"""The daemon freezes; the supervisor takes the power away and gives it back; the box says why, also to its collector.

Daemon, collector, link, terminal device and firmware are real; the relay is a signal to the daemon's process, and the
supervisor's time passes when the test says so. The firmware is run by this interpreter and by MicroPython.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.guarded_box import Box, guarded
from tests.fakes.swtpm import Swtpm
from tests.fakes.virtual_board import GuardBoard, MicroPythonBoard, VirtualBoard
from tests.loop import ROOT, Loop

WAIT_S = 60.0


@pytest.fixture
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GuardBoard]:
    """The firmware, new: by this interpreter, or as the test says."""
    if getattr(request, "param", "cpython") == "cpython":
        yield VirtualBoard(is_paired=False)
        return
    made = MicroPythonBoard(tmp_path / "board")
    yield made
    made.close()


@pytest.fixture
def box(tmp_path: Path, board: GuardBoard) -> Iterator[Box]:
    with guarded(tmp_path, board) as made:
        yield made


@pytest.mark.parametrize(
    "board", ["cpython", pytest.param("micropython", marks=pytest.mark.micropython)], indirect=True
)
@pytest.mark.timeout(300)
def test_a_daemon_that_freezes_is_power_cycled_and_says_why(box: Box) -> None:
    assert "paired: supervisor" in box.vedette("supervisor", "pair")
    assert "paired before" in box.vedette("supervisor", "pair")
    box.loop.sensor.start()
    box.board.until("UP", WAIT_S)
    box.reported("state", "up")

    assert box.loop.sensor.process is not None
    frozen = box.loop.sensor.process.pid
    os.killpg(frozen, signal.SIGSTOP)
    box.pass_s(14)
    assert box.board.power == [True], "not before its patience is over"
    box.pass_s(8)
    assert box.board.power == [True, False, True]
    assert box.loop.sensor.process.pid != frozen

    box.board.until("UP", WAIT_S)
    said = box.reported("last_reset", "beats-stopped")
    assert said["boots"] == 1
    status = box.loop.status()
    assert (status["supervisor"]["last_reset"], status["supervisor"]["state"]) == ("beats-stopped", "up")
    assert status["supervisor"]["voltage_mv"] == 5000
    assert "beats-stopped" in box.loop.collector_says("sensors", str(box.loop.collector_dir))
    assert set(status["signs"].values()) == {"alive"}


@pytest.mark.timeout(300)
def test_a_restart_in_order_is_no_failure(box: Box) -> None:
    box.vedette("supervisor", "pair")
    box.loop.sensor.start()
    box.board.until("UP", WAIT_S)
    assert box.loop.sensor.stop() == 0
    box.board.until("BOOT", WAIT_S)
    box.pass_s(60)
    assert box.board.power == [True]
    box.loop.sensor.start()
    box.board.until("UP", WAIT_S)
    assert box.board.power == [True]
    assert "held for 600 s" in box.vedette("supervisor", "hold", "600", "service")
    box.board.until("HOLD", WAIT_S)
    box.pass_s(300)
    assert box.board.power == [True]


@pytest.mark.timeout(300)
def test_a_part_that_stands_still_starves_systemd_and_is_told_to_the_supervisor(box: Box) -> None:
    box.vedette("supervisor", "pair")
    with Notified(box.loop, patience_s=3) as systemd:
        systemd.until("WATCHDOG=1")
        box.board.until("UP", WAIT_S)
        # The disk takes this write no more: the probe follows no link.
        alive = box.loop.folder / "sensor" / "run" / "alive"
        alive.unlink()
        alive.symlink_to("/dev/full")
        assert "spool" in systemd.until("STATUS=stopped")
        box.board.until("BOOT", WAIT_S)
        assert "WATCHDOG=1" not in systemd.next()
        alive.unlink()
        systemd.until("WATCHDOG=1")
        box.board.until("UP", WAIT_S)
    assert box.board.power == [True]


@pytest.mark.timeout(300)
def test_a_box_that_waits_for_its_setup_beats_too(box: Box) -> None:
    box.vedette("supervisor", "pair")
    argv = [sys.executable, "-m", "appliance", "supervisor", "wait", "--config", str(box.loop.config)]
    with Notified(box.loop, patience_s=3, argv=argv) as systemd:
        box.board.until("UP", WAIT_S)
        systemd.until("WATCHDOG=1")
    box.board.until("BOOT", WAIT_S)


@pytest.mark.timeout(300)
def test_a_box_that_pairs_itself_beats_before_it_is_set_up_and_hands_the_port_to_its_sensor(tmp_path: Path) -> None:
    board = VirtualBoard(is_paired=False)
    with guarded(tmp_path, board, pairs_itself=True) as box:
        argv = [sys.executable, "-m", "appliance", "supervisor", "wait", "--config", str(box.loop.config)]
        with Notified(box.loop, patience_s=3, argv=[*argv, "--pressed", str(tmp_path / "pressed")]) as systemd:
            board.until("UP", WAIT_S)
            board.board.is_down = True
            box.line.say(board.pass_s(4))
            board.board.is_down = False
            # The press is told in a turn that the next beat brings about.
            while not (tmp_path / "pressed").exists():
                systemd.until("WATCHDOG=1")
        board.until("BOOT", WAIT_S)
        said = (box.loop.folder / "notified.log").read_text(encoding="utf-8")
        assert "VEDETTE supervisor: paired with this box by itself" in said
        box.loop.sensor.start()
        board.until("UP", WAIT_S)
        assert box.reported("state", "up")["last_reset"] == "asked"
        assert board.power == [True]


@pytest.mark.tpm
@pytest.mark.tpm_tls
@pytest.mark.timeout(300)
def test_a_box_with_a_tpm_has_its_links_key_nowhere_else(tmp_path: Path, tpm: Swtpm) -> None:
    board = VirtualBoard(is_paired=False)
    with guarded(tmp_path, board, tpm) as box:
        box.vedette("supervisor", "pair")
        box.loop.sensor.start()
        board.until("UP", WAIT_S)
        assert box.reported("state", "up")["last_reset"] == "power-on"
        key = board.bench.supervisor.pairing.key
        kept = [path for path in tmp_path.joinpath("sensor").rglob("*") if path.is_file()]
        assert kept
        assert [path for path in kept if key in path.read_bytes()] == []


class Notified:
    """A program of ours under systemd's notify socket, played here, with a watchdog."""

    def __init__(self, loop: Loop, *, patience_s: int, argv: list[str] | None = None) -> None:
        self._argv = argv or [sys.executable, "-m", "appliance", "run", "--config", str(loop.config)]
        self._log = loop.folder / "notified.log"
        self._patience_s = patience_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(WAIT_S)

    def __enter__(self) -> Notified:
        address = f"vedette-notified-{os.getpid()}-{os.urandom(4).hex()}"
        self._socket.bind("\0" + address)
        environment = os.environ | {"NOTIFY_SOCKET": "@" + address, "WATCHDOG_USEC": str(self._patience_s * 1_000_000)}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._argv, cwd=ROOT, env=environment, stdout=log, stderr=log)
        return self

    def next(self) -> str:
        """What it says next."""
        return self._socket.recv(4096).decode()

    def until(self, word: str) -> str:
        """What it says when it says this."""
        for _ in range(100):
            if word in (said := self.next()):
                return said
        raise AssertionError(f"{word} was waited for, {said!r} came: {self._log.read_text(encoding='utf-8')}")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(WAIT_S)
        self._socket.close()
