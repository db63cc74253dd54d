"""The supervisor's own firmware on a board without hardware, at the end of a serial line; its time passes when told.

Rules of this file: the firmware is the real one, run by this interpreter; pins and clock are the bench's. What the
relay does is kept in `power`, for the test to do to the host.
"""

from __future__ import annotations

import importlib
import threading
from typing import Any

from appliance.wire import mcu_words as words
from tests.firmware import conftest as paths

_bench: Any = importlib.import_module("bench_board") if paths.DEVICE else None
TURN_MS = 10


class VirtualBoard:
    """`hear` is the line's; the rest is the test's."""

    def __init__(self, *, is_paired: bool, key: bytes = bytes(range(32))) -> None:
        self.board = _bench.Board()
        self.bench = _bench.Bench(self.board, key, is_paired)
        self.changed = threading.Condition()
        self._healthy = 0

    @property
    def state(self) -> str:
        """The policy's state."""
        return str(self.bench.state())

    @property
    def power(self) -> list[bool]:
        """Every change of the relay: True gives the host power."""
        return list(self.board.power_changes)

    @property
    def reset(self) -> str:
        """Why the host was last started."""
        return str(words.RESETS[self.bench.supervisor.reset])

    def hear(self, data: bytes) -> bytes:
        """Octets from the host; what the firmware says in one turn."""
        with self.changed:
            self.board.inbox.extend(data)
            out = self._turn()
            self.changed.notify_all()
            return out

    def pass_s(self, seconds: float) -> bytes:
        """Time goes by; what the firmware says in it."""
        with self.changed:
            out = b""
            for _ in range(int(seconds * 2)):
                self.board.now_ms += 500
                out += self._turn()
            self.changed.notify_all()
            return out

    def until(self, state: str, within_s: float) -> None:
        """Wait, in real time, for what the host's words make of it."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.state == state, within_s), f"{self.state}, {state} was waited for"

    def _turn(self) -> bytes:
        self.board.now_ms += TURN_MS
        self.bench.supervisor.turn()
        restarts = self.board.restarts
        if restarts:
            self.board.restarts = 0
            self.bench.reset(was_watchdog=False)
        out = bytes(self.board.outbox)
        self.board.outbox = bytearray()
        return out
