"""The supervisor's own firmware on a board without hardware, at the end of a serial line; its time passes when told.

Rules of this file: the firmware is the real one, run by this interpreter (`VirtualBoard`) or by MicroPython
(`MicroPythonBoard`); pins and clock are the bench's. What the relay does is kept in `power`, for the test to do to the
host.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from appliance.wire import mcu_words as words
from appliance.wire.mcu_link import HEAD, TAG, LinkError, Reader, cobs_decode
from tests.fakes.supervisor_vm import SupervisorVm
from tests.firmware import conftest as paths

_bench: Any = importlib.import_module("bench_board") if paths.ROOT else None
TURN_MS = 10
STEP_MS = 500


class GuardBoard(ABC):
    """`hear` is the line's; the rest is the test's."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.beats = 0
        """Those that were answered; the answer tells the state."""
        self.told_state = ""
        self._ear = Reader()
        self.power: list[bool] = [True]
        """Every change of the relay: True gives the host power."""

    @property
    @abstractmethod
    def state(self) -> str:
        """The policy's state."""

    @abstractmethod
    def _turn(self, data: bytes, ms: int) -> bytes:
        """So much time, then one turn; what the firmware says in it."""

    def hear(self, data: bytes) -> bytes:
        """Octets from the host; what the firmware says in one turn."""
        with self.changed:
            out = self._turn(data, TURN_MS)
            self._listen(out)
            self.changed.notify_all()
            return out

    def pass_s(self, seconds: float) -> bytes:
        """Time goes by; what the firmware says in it."""
        with self.changed:
            out = b"".join(self._turn(b"", STEP_MS) for _ in range(int(seconds * 1000) // STEP_MS))
            self.changed.notify_all()
            return out

    def until(self, state: str, within_s: float) -> None:
        """Wait, in real time, for what the host's words make of it."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.state == state, within_s), f"{self.state}, {state} was waited for"

    def until_beats(self, times: int, within_s: float) -> None:
        """Wait, in real time, until so many beats from now on were answered."""
        with self.changed:
            until = self.beats + times
            assert self.changed.wait_for(lambda: self.beats >= until, within_s), "the host does not beat"

    def _listen(self, said: bytes) -> None:
        """Frames are signed, not secret, so the line can be listened to."""
        for frame in self._ear.feed(said):
            with contextlib.suppress(LinkError):
                plain = cobs_decode(frame)
                if len(plain) > HEAD + TAG and plain[1] == words.STATUS:
                    status: Any = words.unpack(words.STATUS, plain[HEAD:-TAG])
                    self.told_state = words.STATES[status.state]
                    self.beats += 1

    def _relay(self, has_power: bool) -> None:
        if has_power != self.power[-1]:
            self.power.append(has_power)


class VirtualBoard(GuardBoard):
    """Run by this interpreter, so that a test may look inside."""

    def __init__(self, *, is_paired: bool, key: bytes = bytes(range(32)), bus: Any = None) -> None:
        """`bus` is where a secure element is."""
        super().__init__()
        self.board = _bench.Board(bus=bus)
        self.bench = _bench.Bench(self.board, key, is_paired)

    @property
    def state(self) -> str:
        """See `GuardBoard.state`."""
        return str(self.bench.state())

    @property
    def reset(self) -> str:
        """Why the host was last started."""
        return str(words.RESETS[self.bench.supervisor.reset])

    def _turn(self, data: bytes, ms: int) -> bytes:
        self.board.inbox.extend(data)
        self.board.now_ms += ms
        self.bench.supervisor.turn()
        if self.board.restarts:
            self.board.restarts = 0
            self.bench.reset(was_watchdog=False)
        self._relay(self.board.has_power)
        out = bytes(self.board.outbox)
        self.board.outbox = bytearray()
        return out


class MicroPythonBoard(GuardBoard):
    """Run by MicroPython in a process of its own, behind a terminal device of its own; closed by the test.

    Its state is the one that it last told.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._vm = SupervisorVm(folder)
        self._port = os.open(self._vm.tty, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._vm.turn()

    @property
    def state(self) -> str:
        """See `GuardBoard.state`."""
        return self.told_state

    def _turn(self, data: bytes, ms: int) -> bytes:
        while data:
            data = data[os.write(self._port, data) :]
        self._relay(self._vm.turn(ms).has_power)
        out = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._port, 4096):
                out += piece
        return out

    def restart(self) -> None:
        """The supervisor's own reset; the host keeps its power."""
        with self.changed:
            self._relay(self._vm.reset().has_power)

    def close(self) -> None:
        """End it."""
        with self.changed:
            os.close(self._port)
            self._vm.close()
