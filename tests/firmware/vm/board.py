"""A board on MicroPython's unix port: its serial port is stdin and stdout, its time is told.

    turn MS COUNT     COUNT turns of the loop, MS apart
    set NAME VALUE    button, tamper, supply, heat
    quit              ends it

Each is one line of the file argv[1] and is answered by one in argv[2]: power, state, green, red, turns that are left,
has restarted, cuts. argv[3] is the flash, argv[4] what it starts by: cold, restart, watchdog.

Rules of this file: the board of the bench with a real port and a real folder under it, and nothing else. stdin is a
terminal that the other side has made non-blocking.
"""

import gc
import sys

import bare_board
from fake_element import Element

from loader.folder import Folder


class Board(bare_board.Board):
    """What `start` makes; a turn ends when the other side has asked for another."""

    def __init__(self, pins) -> None:  # type: ignore[no-untyped-def]  # noqa: ARG002
        cause = sys.argv[4]
        super().__init__(Folder(sys.argv[3]), Element(), cause == "cold", cause == "watchdog")
        self._lines = open(sys.argv[1])  # noqa: SIM115
        self._answers = open(sys.argv[2], "w")  # noqa: SIM115
        self._step_ms = 0
        self._turns = 0
        self._is_asked = False

    def read(self, count: int) -> "bytes | None":
        return sys.stdin.buffer.read(count) or None

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)

    def free_bytes(self) -> int:
        return gc.mem_free()

    def restart(self) -> None:
        self._answer(True)
        sys.exit(0)

    def end_turn(self) -> None:
        """The turn is over: on to the next, or answer and wait for a line."""
        while self._turns == 0:
            if self._is_asked:
                self._answer(False)
            words = self._lines.readline().split()
            if not words or words[0] == "quit":
                sys.exit(0)
            self._is_asked = True
            if words[0] == "turn":
                self._step_ms, self._turns = int(words[1]), int(words[2])
            else:
                self._set(words[1], int(words[2]))
        self._turns -= 1
        self.now_ms += self._step_ms
        gc.collect()

    def _set(self, name: str, value: int) -> None:
        if name == "button":
            self.is_down = bool(value)
        elif name == "tamper":
            self.is_open = bool(value)
        elif name == "supply":
            self.volts_mv = value
        else:
            self.heat_dc = value

    def _answer(self, has_restarted: bool) -> None:
        seen = (self.has_power, self.lamps[0], self.lamps[1], self._turns, has_restarted)
        line = " ".join(str(int(one)) for one in seen)
        self._answers.write(line + " " + str(self.power_changes.count(False)) + "\n")
