"""The small facts beside the segments: named losses and source marks, in one file that is replaced as a whole.

Rules of this file: `decode` ends in facts or None (damaged), never in another exception. The cursor is not here: it
must move on a full disk, see `slot.py`.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.files import open_to_read, replace_file
from appliance.spool.errors import SpoolError, SpoolFullError
from appliance.spool.losses import REASONS, LossAccount
from appliance.spool.record import MAX_NUMBER

MAX_SOURCES = 4096
MAX_SOURCE_ID_CHARS = 256
_MAX_BYTES = 8 << 20


@dataclass(slots=True)
class State:
    """`sources` maps a source id to the number of events that had been accepted when it was first seen.

    `lost_events` counts every number that ever became a loss, answered for or not.
    """

    losses: LossAccount = field(default_factory=LossAccount)
    sources: dict[str, int] = field(default_factory=dict)
    lost_events: int = 0

    def lose(self, epoch: int, first_seq: int, last_seq: int, reason: str) -> int:
        """Note a loss and count it; how many numbers were new."""
        fresh = self.losses.add(epoch, first_seq, last_seq, reason)
        self.lost_events += fresh
        return fresh


def encode_state(state: State) -> bytes:
    """One line of JSON behind its own CRC-32."""
    facts = {
        "losses": [[epoch, loss.first_seq, loss.last_seq, loss.reason] for epoch, loss in state.losses],
        "sources": state.sources,
        "lost_events": state.lost_events,
    }
    body = json.dumps(facts, separators=(",", ":")).encode()
    return b"%08x " % zlib.crc32(body) + body + b"\n"


def decode_state(data: bytes) -> State | None:
    """The facts, or None when any byte is not as it was written."""
    body = data[9:-1]
    if data[:9] != b"%08x " % zlib.crc32(body) or data[-1:] != b"\n":
        return None
    try:
        facts = json.loads(body)
        state = State()
        for epoch, first, last, reason in facts["losses"]:
            if not (0 <= epoch <= MAX_NUMBER and 1 <= first <= last <= MAX_NUMBER and reason in REASONS):
                return None
            state.losses.add(epoch, first, last, reason)
        sources: Mapping[str, int] = facts["sources"]
        state.sources = {str(name): int(count) for name, count in sources.items()}
        state.lost_events = int(facts["lost_events"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return state


def load_state(path: Path) -> tuple[State, bool]:
    """(facts, sound): a missing file is sound and empty, a damaged one is empty and not sound.

    Raises:
        SpoolError: the file cannot be read.
    """
    try:
        with os.fdopen(open_to_read(path), "rb") as file:
            data = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return State(), True
    except OSError as exc:
        raise SpoolError(f"{path}: cannot read: {exc.strerror}", advice="check the disk and the owner") from exc
    state = decode_state(data)
    return (state, True) if state is not None else (State(), False)


def save_state(path: Path, state: State, *, fsync: bool) -> None:
    """Put the facts in place of the old ones.

    Raises:
        SpoolFullError: the disk has no room; the old facts stand.
    """
    try:
        replace_file(path, encode_state(state), fsync=fsync)
    except OSError as exc:
        raise SpoolFullError(f"{path}: cannot write: {exc.strerror}", advice="free space on this disk") from exc
