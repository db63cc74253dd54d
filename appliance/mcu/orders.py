"""What a person may have the supervisor do: be held, be given a firmware, be paired with this box.

Rules of this file: each is a few words on the link through `ask`, with their answers as values or named errors. None of
them can leave the box without power, and none touches anything but power and watchdog.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.errors import OperatorError
from appliance.mcu.errors import NoAnswerError, UpgradeFailedError
from appliance.mcu.link import MEANING, State
from appliance.mcu.status import SupervisorStatus
from appliance.mcu.upgrade import Ask, Firmware, upgrade
from appliance.wire import mcu_words as words
from appliance.wire.mcu_link import fingerprint

MAX_HOLD_S = 0xFFFF
BLOCK_BYTES = 160


def hold(ask: Ask, seconds: int, reason: str) -> int:
    """Have the supervisor not judge for so long; how many seconds it granted. 0 seconds end a hold.

    Raises:
        OperatorError: the link cannot say that.
        OrderRefusedError, NoAnswerError: of the order.
    """
    if not 0 <= seconds <= MAX_HOLD_S:
        raise OperatorError(f"{seconds} seconds came, 0 to {MAX_HOLD_S} were allowed")
    if reason not in words.HOLDS:
        raise OperatorError(f"{reason!r} came as a reason, one of {', '.join(words.HOLDS)} was allowed")
    return int(ask(words.HOLD, seconds, words.HOLDS.index(reason)).value)


def update(ask: Ask, status: SupervisorStatus, firmware: Firmware, on_progress: Callable[[int, int], None]) -> None:
    """Put a firmware on trial in a supervisor whose `status` is known.

    Raises:
        NoAnswerError: there is no supervisor that listens.
        UpgradeFailedError: it cannot be given a firmware by the link, or did not take this one.
        FirmwareFileError, OrderRefusedError: as `upgrade`.
    """
    if not status.is_up:
        raise NoAnswerError(f"supervisor: {status.state}: {status.says}")
    if "upgrade over the link" not in status.features:
        raise UpgradeFailedError(
            f"supervisor: this {status.board} takes no firmware over the link", advice="use the board's own USB"
        )
    upgrade(ask, firmware, board=status.board, block_bytes=status.block_bytes or BLOCK_BYTES, on_progress=on_progress)


def pair(ask: Ask, status: SupervisorStatus, key: bytes) -> None:
    """Give a supervisor without a key its key; it is in force from the next greeting on.

    Raises:
        NoAnswerError: there is no supervisor without a key.
        OrderRefusedError: it has one by now, or cannot keep one.
    """
    if status.state != State.UNPAIRED.value:
        raise NoAnswerError(f"supervisor: {status.state}: {status.says}")
    if ask(words.PAIR, key).fingerprint != fingerprint(key):
        raise NoAnswerError(f"supervisor: it kept another key than it was given; {MEANING[State.FOREIGN]}")
