"""A sensor and its collector as real processes, and a supervisor whose relay holds the sensor's power.

Rules of this file: only the relay is played: power taken is kill -9 of the sensor, power given starts it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.serial_line import SerialLine
from tests.fakes.swtpm import Swtpm
from tests.fakes.virtual_board import GuardBoard
from tests.loop import ROOT, Loop

PCAPS = sorted((ROOT / "tests" / "traffic" / "pcaps").glob("*.pcap"))
WAIT_S = 60.0
"""For what must come; how long it takes is no matter."""


@dataclass
class Box:
    """A sensor whose power the board holds."""

    loop: Loop
    line: SerialLine
    board: GuardBoard

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


@contextmanager
def guarded(folder: Path, board: GuardBoard, tpm: Swtpm | None = None, *, pairs_itself: bool = False) -> Iterator[Box]:
    """An enrolled pair that has captured nothing yet, and the board at its port, not paired."""
    with SerialLine(board, folder / "supervisor.port") as line:
        loop = Loop(
            folder,
            capture=f'files = {json.dumps([str(path) for path in PCAPS])}\nwhen_done = "stay"',
            settings=f'[supervisor]\nport = "{line.path}"\nauto_pair = {json.dumps(pairs_itself)}\n',
            tpm=tpm,
        )
        loop.prepare()
        try:
            yield Box(loop, line, board)
        finally:
            loop.close()
