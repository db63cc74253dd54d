"""A supervisor: the real firmware on a real MicroPython, its serial port a pty, its time told by the test.

    with SupervisorVm(tmp_path) as board:
        port = open(board.tty)          # what a driver opens
        seen = board.turn(1000)         # a second passes; the relay is seen.has_power
        board.pass_time(120_000)

Rules of this file: nothing happens in the supervisor but by `turn`, so a test sleeps nowhere; what a driver has written
before a turn has come in that turn. It is unpaired when its folder is new. When the firmware starts itself anew, as
after an upgrade, it is a new process on the same port and flash.
"""

from __future__ import annotations

import os
import pty
import select
import subprocess
import tty
from pathlib import Path
from typing import Literal, NamedTuple

from tests.fakes.micropython import MICROPYTHON, ROOT, environment

VM = ROOT / "tests" / "firmware" / "vm"
HEAP_BYTES = 400_000

Cause = Literal["cold", "restart", "watchdog"]


class Seen(NamedTuple):
    """What can be seen of a board from outside, after a turn; `restarts` and `cuts` since the board is there."""

    has_power: bool
    green: bool
    red: bool
    restarts: int
    cuts: int


class SupervisorVm:
    """One board. `folder` is its flash and outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.flash = folder / "flash"
        self.flash.mkdir(parents=True, exist_ok=True)
        self._ways = (folder / "commands", folder / "answers")
        for way in self._ways:
            way.unlink(missing_ok=True)
            os.mkfifo(way)
        # Open for both, so that neither waits for a process that may have ended at once.
        self._commands, self._answers = (os.open(way, os.O_RDWR) for way in self._ways)
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.tty = os.ttyname(self._slave)
        """The serial port's path. This side keeps it open, so that a driver may close and open it."""
        self._errors = (folder / "errors").open("wb")
        self._restarts = self._cuts = 0
        self.may_crash = 0
        """How often the firmware may end by an exception: then the chip's watchdog starts it anew."""
        self._start("cold")

    def _start(self, cause: Cause) -> None:
        env = environment(self.folder / "lib")
        env["MICROPYPATH"] = f"{VM}:{ROOT / 'firmware' / 'board'}:" + env["MICROPYPATH"]
        command = [MICROPYTHON, "-X", f"heapsize={HEAP_BYTES}", VM / "main.py", *self._ways, self.flash, cause]
        self.process = subprocess.Popen(command, stdin=self._master, stdout=self._master, stderr=self._errors, env=env)

    def _say(self, line: str) -> list[int]:
        os.write(self._commands, line.encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            if select.select([self._answers], [], [], 1)[0]:
                answer += os.read(self._answers, 4096)
            elif self.process.poll() is not None:
                raise AssertionError(f"the firmware ended: {(self.folder / 'errors').read_text()}")
        return [int(one) for one in answer.split()]

    def _has_crashed(self) -> bool:
        """Whether this start comes to nothing: the process ends, or answers."""
        os.write(self._commands, b"turn 0 0\n")
        while not select.select([self._answers], [], [], 0.05)[0]:
            if self.process.poll() is not None:
                # Nobody has read the line.
                os.read(self._commands, 4096)
                return True
        os.read(self._answers, 4096)
        return False

    def turn(self, ms: int = 10, count: int = 1) -> Seen:
        """`count` turns of the firmware's loop, `ms` of its time apart."""
        while True:
            if self.may_crash and self._has_crashed():
                self.may_crash -= 1
                self._start("watchdog")
                continue
            power, green, red, count, has_restarted, cuts = self._say(f"turn {ms} {count}")
            if not has_restarted:
                return Seen(bool(power), bool(green), bool(red), self._restarts, self._cuts + cuts)
            self.process.wait()
            self._restarts, self._cuts = self._restarts + 1, self._cuts + cuts
            self._start("restart")

    def pass_time(self, ms: int, step_ms: int = 500) -> Seen:
        """So much of the board's time, in turns."""
        return self.turn(step_ms, ms // step_ms)

    def reset(self, cause: Cause = "restart") -> Seen:
        """The supervisor's own reset: its process ends wherever it is, and another one starts."""
        self._cuts = self.turn(0, 0).cuts
        self.process.kill()
        self.process.wait()
        self._start(cause)
        return self.turn(0)

    def set(self, name: Literal["button", "tamper", "supply", "heat"], value: int) -> None:
        """A button and a cover's contact (0 or 1), the supply (mV), the temperature (tenths of a degree)."""
        self._say(f"set {name} {value}")

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
