"""A supervisor: the real firmware on a real MicroPython, its serial port a pty, its time told by the test.

    with SupervisorVm(tmp_path) as board:
        port = open(board.tty)          # what a driver opens
        seen = board.turn(1000)         # a second passes; the relay is seen.has_power
        board.pass_time(120_000)

Rules of this file: nothing happens in the supervisor but by `turn`, so a test sleeps nowhere; what a driver has written
before a turn has come in that turn. It is unpaired when its folder is new.
"""

from __future__ import annotations

import os
import pty
import select
import subprocess
import tty
from pathlib import Path
from typing import NamedTuple

from tests.fakes.micropython import MICROPYTHON, ROOT, environment

MAIN = ROOT / "tests" / "firmware" / "vm" / "main.py"
HEAP_BYTES = 400_000


class Seen(NamedTuple):
    """What can be seen of a board from outside, after a turn."""

    has_power: bool
    state: str
    green: bool
    red: bool
    turns: int
    restarts: int
    cuts: int


class SupervisorVm:
    """One board. `folder` is its flash and outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        flash, self._ways = folder / "flash", (folder / "commands", folder / "answers")
        flash.mkdir(parents=True, exist_ok=True)
        for way in self._ways:
            way.unlink(missing_ok=True)
            os.mkfifo(way)
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.tty = os.ttyname(self._slave)
        """The serial port's path. This side keeps it open, so that a driver may close and open it."""
        command = [MICROPYTHON, "-X", f"heapsize={HEAP_BYTES}", MAIN, *self._ways, flash]
        self._errors = (folder / "errors").open("wb")
        self.process = subprocess.Popen(
            command, stdin=self._master, stdout=self._master, stderr=self._errors, env=environment(folder / "lib")
        )
        # Neither waits for the other side, which may have ended at once.
        self._commands = os.open(self._ways[0], os.O_RDWR)
        self._answers = os.open(self._ways[1], os.O_RDONLY | os.O_NONBLOCK)

    def _say(self, line: str) -> Seen:
        os.write(self._commands, line.encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            if select.select([self._answers], [], [], 1)[0]:
                answer += os.read(self._answers, 4096)
            if self.process.poll() is not None:
                raise AssertionError(f"the firmware ended: {(self.folder / 'errors').read_text()}")
        power, state, green, red, turns, restarts, cuts = answer.decode().split()
        return Seen(power == "1", state, green == "1", red == "1", int(turns), int(restarts), int(cuts))

    def turn(self, ms: int = 10, count: int = 1) -> Seen:
        """`count` turns of the firmware's loop, `ms` of its time apart."""
        return self._say(f"turn {ms} {count}")

    def pass_time(self, ms: int, step_ms: int = 500) -> Seen:
        """So much of the board's time, in turns."""
        return self.turn(step_ms, ms // step_ms)

    def reset(self, by_watchdog: bool = False) -> Seen:
        """The supervisor's own reset."""
        return self._say(f"reset {int(by_watchdog)}")

    def set(self, name: str, value: int) -> Seen:
        """`button` and `tamper` (0 or 1), `supply` (mV), `heat` (tenths of a degree)."""
        return self._say(f"set {name} {value}")

    def close(self) -> None:
        """End it."""
        os.write(self._commands, b"quit\n")
        self.process.wait()
        self._errors.close()
        for fd in (self._commands, self._answers, self._master, self._slave):
            os.close(fd)

    def __enter__(self) -> SupervisorVm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
