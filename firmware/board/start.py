"""Starts the supervisor on a board: the choice of the firmware, the objects, the loop.

Rules of this file: always the frozen one, so it chooses and never judges. An exception ends the loop, is printed on the
service port, and the watchdog that is not fed any more starts the chip anew; the host keeps its power.
"""

import sys

from board import Board

from loader.records import Record
from loader.trial import SLOTS, Trial


def run(pins) -> None:  # type: ignore[no-untyped-def]
    """Never comes back, but by an exception."""
    board = Board(pins)
    trial = Trial(Record(board.folder, "trial"))
    slot = trial.choose()
    if slot:
        sys.path.insert(0, board.folder.path + "/" + SLOTS[slot])
    try:
        turn_for_ever(board, trial)
    except Exception:
        trial.crashed()
        raise


def turn_for_ever(board, trial) -> None:  # type: ignore[no-untyped-def]
    """The loop, of the frozen firmware or of a slot's."""
    # Only now, as these two may be those of a slot.
    import release

    from supervisor.loop import Supervisor

    supervisor = Supervisor(board, lambda name: Record(board.folder, name), trial, release.NUMBERS)
    while True:
        supervisor.turn()
        board.end_turn()
