"""A firmware over the link of a running box: it stays after a minute of healthy beats, and goes back without them.

The daemon has the port, the command asks the daemon, and the firmware that arrives is what then runs on MicroPython.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware import vfw
from tests.fakes.guarded_box import Box, guarded
from tests.fakes.virtual_board import MicroPythonBoard

pytestmark = [pytest.mark.micropython, pytest.mark.timeout(300)]
WAIT_S = 60.0


@pytest.fixture
def board(tmp_path: Path) -> Iterator[MicroPythonBoard]:
    made = MicroPythonBoard(tmp_path / "board")
    yield made
    made.close()


@pytest.fixture
def box(tmp_path: Path, board: MicroPythonBoard) -> Iterator[Box]:
    """A box that runs, its supervisor with a new firmware that has just started, on trial."""
    file = tmp_path / "vedette-supervisor-simulated-7.8.9.vfw"
    release = ["--board", "simulated", "--release", "7.8.9", "--sources", "--out", str(file)]
    assert vfw.main(release) == 0
    with guarded(tmp_path, board) as made:
        made.vedette("supervisor", "pair")
        made.loop.sensor.start()
        board.until("UP", WAIT_S)
        assert made.reported("state", "up")["firmware"] == "0.1.0"
        assert "7.8.9 is written and starts on trial" in made.vedette("supervisor", "update", str(file))
        made.pass_s(3)
        made.reported("firmware", "7.8.9")
        yield made


def test_a_firmware_with_which_the_box_is_well_stays(box: Box, board: MicroPythonBoard) -> None:
    assert "upgrade on trial" in box.loop.status()["supervisor"]["flags"]
    for _ in range(15):
        board.until_beats(1, WAIT_S)
        box.pass_s(5)
    board.until_beats(2, WAIT_S)
    assert box.loop.status()["supervisor"]["flags"] == []
    board.restart()
    board.until_beats(2, WAIT_S)
    assert box.reported("firmware", "7.8.9")["state"] == "up"
    assert board.power == [True], "the box has run all the time"


def test_a_firmware_that_never_sees_a_good_minute_goes_back(box: Box, board: MicroPythonBoard) -> None:
    for _ in range(3):
        board.restart()
    assert box.reported("firmware", "0.1.0")["state"] == "up"
    assert "upgrade-reverted" in box.loop.sensor.said()
    assert board.power == [True], "the box has run all the time"
