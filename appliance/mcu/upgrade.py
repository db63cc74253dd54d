"""A firmware for the supervisor, from a file to its spare slot, block by block.

    file     "VFW1", mpy version, board, files 2; then each file: name length, name, size 4, octets; big endian

Rules of this file: no I/O but through what it is handed. The file is looked at before anything is sent, so that another
board's is refused here. The supervisor says after each block which octet it wants next, and that is what it gets: a
block that was lost or said twice does no harm. What is written runs on trial, and only a good run makes it stay.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from appliance.mcu.errors import FirmwareFileError, UpgradeFailedError
from appliance.wire import mcu_words as words
from appliance.wire.mcu_link import MAX_BODY

MAGIC = b"VFW1"
HEAD_BYTES = 8
MAX_BYTES = 1 << 20
"""More than any board has room for; the board itself says how much that is."""
STARTS = 3
"""How often an upgrade is begun anew when the supervisor has forgotten it, as after its own restart."""
BEGIN_S, BLOCK_S, END_S = 30.0, 20.0, 120.0
"""To make room, to write a block, to unpack: with margins for the slowest flash."""
END_PATIENCE_S = 0.8
"""Two seconds after it has unpacked, a supervisor starts anew and has forgotten that it was asked."""

_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})", re.ASCII)
_STAGE_ADVICE = {
    "damaged": "what arrived is not what was sent; try again, and if it stays so, is the file whole?",
    "full": "the firmware is larger than this board's room for it",
    "not-ours": "the file is for another board, or for another release of MicroPython",
}


class Ask(Protocol):
    """`Supervisor.ask`, or what stands for it."""

    def __call__(self, kind: int, *values: int | bytes, within_s: float = ..., patience_s: float = ...) -> Any:
        """Have something done, and wait for the answer."""


@dataclass(frozen=True, slots=True)
class Firmware:
    """A file that was looked at."""

    data: bytes
    version: tuple[int, int, int]
    board: str

    @property
    def version_text(self) -> str:
        """As people write it."""
        return ".".join(map(str, self.version))

    @staticmethod
    def parse(name: str, data: bytes, version: str = "") -> Firmware:
        """`version` is the firmware's; without it, the one in the file's name counts.

        Raises:
            FirmwareFileError: it is no firmware of ours, too long, or nobody says which version it is.
        """
        if len(data) > MAX_BYTES:
            raise FirmwareFileError(f"{name}: more than {MAX_BYTES} bytes came")
        if len(data) <= HEAD_BYTES or not data.startswith(MAGIC):
            raise FirmwareFileError(
                f"{name}: {data[:4]!r} came, a file that begins with {MAGIC!r} was allowed",
                advice="a .vfw file goes over the link; a .uf2 file goes by the board's own USB",
            )
        if data[5] >= len(words.BOARDS):
            raise FirmwareFileError(f"{name}: board {data[5]} came, one of {', '.join(words.BOARDS)} was allowed")
        found = _VERSION.fullmatch(version) if version else _VERSION.search(name.rpartition("/")[2])
        if found is None or any(int(part) > 0xFF for part in found.groups()):
            raise FirmwareFileError(
                f"{name}: {version or 'no version in its name'} came, three numbers up to 255 were allowed",
                advice="say it: --firmware-version 1.2.3",
            )
        major, minor, patch = (int(part) for part in found.groups())
        return Firmware(data, (major, minor, patch), words.BOARDS[data[5]])


def upgrade(
    ask: Ask, firmware: Firmware, *, board: str, block_bytes: int, on_progress: Callable[[int, int], None]
) -> None:
    """Write a firmware into the spare slot of a supervisor that is this `board`.

    `on_progress` hears (octets that are written, octets in all).

    Raises:
        FirmwareFileError: the firmware is for another board.
        UpgradeFailedError: the supervisor did not take it; what ran before runs on.
        OrderRefusedError, NoAnswerError: of one order.
    """
    if firmware.board != board:
        raise FirmwareFileError(f"a firmware for {firmware.board} came, one for {board} was allowed")
    block_bytes = max(1, min(block_bytes, MAX_BODY - 4))
    for _ in range(STARTS):
        if _sent_whole(ask, firmware, block_bytes, on_progress) and _ended(ask):
            return
    raise UpgradeFailedError(
        f"supervisor: it forgot the upgrade {STARTS} times", advice="does it restart by itself? vedette supervisor info"
    )


def _sent_whole(ask: Ask, firmware: Firmware, block_bytes: int, on_progress: Callable[[int, int], None]) -> bool:
    """Send all blocks; False when the supervisor has forgotten what it received."""
    data = firmware.data
    state = ask(
        words.UPGRADE_BEGIN,
        len(data),
        *firmware.version,
        hashlib.sha256(data).digest(),
        within_s=BEGIN_S,
        patience_s=BEGIN_S / 2,
    )
    # Each answer that gets us on wants more than the one before; one in two may be the late answer to a lost block.
    for _ in range(2 * (len(data) // block_bytes + 1) + 16):
        stage = words.STAGES[state.stage]
        if stage == "idle":
            return False
        if stage == "written":
            return True
        if stage != "receiving":
            raise _failed(state)
        if state.wanted > len(data):
            raise UpgradeFailedError(f"supervisor: it wants octet {state.wanted} of {len(data)}")
        on_progress(state.wanted, len(data))
        if state.wanted == len(data):
            return True
        block = data[state.wanted : state.wanted + block_bytes]
        state = ask(words.UPGRADE_BLOCK, state.wanted, block, within_s=BLOCK_S)
    raise UpgradeFailedError("supervisor: it takes blocks and gets no further", advice="vedette supervisor info")


def _ended(ask: Ask) -> bool:
    """Have it unpacked; False when the supervisor has forgotten what it received."""
    state = None
    for _ in range(STARTS):
        state = ask(words.UPGRADE_END, within_s=END_S, patience_s=END_PATIENCE_S)
        stage = words.STAGES[state.stage]
        if stage in ("written", "idle"):
            return stage == "written"
        # Else it is the late answer to a block that was said twice.
        if stage != "receiving":
            break
    raise _failed(state)


def _failed(state: Any) -> UpgradeFailedError:
    stage = words.STAGES[state.stage]
    return UpgradeFailedError(
        f"supervisor: the upgrade ended as {stage} at octet {state.wanted}; what ran before runs on",
        advice=_STAGE_ADVICE.get(stage, ""),
    )
