"""The daemon freezes; the supervisor takes the power away and gives it back; the box says why, also to its collector.

Daemon, collector, link, terminal device and firmware are real; the relay is a signal to the daemon's process, and the
supervisor's time passes when the test says so.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.serial_line import SerialLine
from tests.fakes.virtual_board import VirtualBoard
from tests.loop import ROOT, Loop

PCAPS = sorted((ROOT / "tests" / "traffic" / "pcaps").glob("*.pcap"))
WAIT_S = 60.0
"""For what must come; how long it takes is no matter."""


@dataclass
class Box:
    """A sensor whose power the board holds."""

    loop: Loop
    line: SerialLine
    board: VirtualBoard

    def vedette(self, *words: str) -> str:
        return self.loop.run(
            [sys.executable, "-m", "appliance", *words[:2], "--config", str(self.loop.config), *words[2:]]
        )

    def pass_s(self, seconds: int) -> None:
        """The supervisor's time; whatever its relay does is done to the daemon."""
        for _ in range(seconds):
            before = len(self.board.power)
            self.line.say(self.board.pass_s(1))
            for is_given in self.board.power[before:]:
                if is_given:
                    self.loop.sensor.start()
                else:
                    self.loop.sensor.kill()

    def reported(self, word: str, value: object) -> dict[str, Any]:
        """What the collector has heard of the supervisor, once it has heard this."""
        for _ in range(60):
            (row,) = self.loop.ask_collector("sensors", str(self.loop.collector_dir), "--json")
            said = row["health"].get("supervisor") or {}
            if said.get(word) == value:
                return dict(said)
        raise AssertionError(f"{word} = {value!r} was waited for, {said} came")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    board = VirtualBoard(is_paired=False)
    with SerialLine(board, tmp_path / "supervisor.port") as line:
        loop = Loop(
            tmp_path,
            capture=f'files = {json.dumps([str(path) for path in PCAPS])}\nwhen_done = "stay"',
            settings=f'[supervisor]\nport = "{line.path}"\n',
        )
        loop.prepare()
        yield Box(loop, line, board)
        loop.close()


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
    assert box.board.state == "HOLD"
    box.pass_s(300)
    assert box.board.power == [True]
