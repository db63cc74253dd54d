"""The firmware's own loop on MicroPython's unix port: its serial port is stdin and stdout, its time is told.

    turn MS COUNT     COUNT turns of the loop, MS apart
    reset WATCHDOG    the supervisor starts anew (1: by its watchdog)
    set NAME VALUE    button, tamper, supply, heat
    quit

Each is one line of the file argv[1] and is answered by one in argv[2]: power, state, green, red, turns, restarts, cuts.

Rules of this file: the board of the bench with a real port and a real folder (argv[3]) under it, and nothing else.
stdin is a terminal that the other side has made non-blocking.
"""

import sys

from bench_board import Bench, Board
from fake_element import Element

from appliance.wire import mcu_words
from loader.folder import Folder


class VmBoard(Board):
    """The bench's board with the terminal as its port."""

    def __init__(self, folder) -> None:  # type: ignore[no-untyped-def]
        super().__init__(folder, Element())
        self.has_restarted = False

    def read(self, count: int) -> "bytes | None":
        return sys.stdin.buffer.read(count) or None

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)

    def restart(self) -> None:
        self.restarts += 1
        self.has_restarted = True


def answer(bench: Bench, words: "list[str]") -> None:
    """Do what one line says."""
    board = bench.board
    if words[0] == "turn":
        for _ in range(int(words[2])):
            bench.turn(int(words[1]))
            if board.has_restarted:
                board.has_restarted = False
                bench.reset(was_watchdog=False)
    elif words[0] == "reset":
        bench.reset(was_watchdog=words[1] == "1")
    elif words[0] == "set":
        value = int(words[2])
        if words[1] == "button":
            board.is_down = bool(value)
        elif words[1] == "tamper":
            board.is_open = bool(value)
        elif words[1] == "supply":
            board.volts_mv = value
        else:
            board.heat_dc = value


def main(commands: str, answers: str, folder: str) -> None:
    """Until `quit`, or the other side is gone."""
    bench = Bench(VmBoard(Folder(folder)), is_paired=False)
    board = bench.board
    with open(commands) as lines, open(answers, "w") as out:
        while True:
            words = lines.readline().split()
            if not words or words[0] == "quit":
                return
            answer(bench, words)
            state = mcu_words.STATES[bench.supervisor.policy.state]
            seen = (int(board.has_power), state, int(board.lamps[0]), int(board.lamps[1]), board.fed, board.restarts)
            out.write(" ".join(str(one) for one in seen) + " " + str(board.power_changes.count(False)) + "\n")


main(sys.argv[1], sys.argv[2], sys.argv[3])
