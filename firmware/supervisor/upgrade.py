"""A new firmware over the link: into the spare slot, checked whole, on trial from the next start.

    image    "VFW1", mpy version, board, files 2; then each file: name length, name, size 4, octets; big endian

Rules of this file: nothing that runs is touched, and a link that breaks leaves what was there. Blocks come in order;
one that came before is answered and not written twice. A name can only lie inside its slot.
"""

import hashlib
import struct

from appliance.wire import mcu_words
from loader.trial import SLOTS

MAGIC = b"VFW1"
HEAD = 8
MOST_BYTES = 262_144
MOST_FILES = 64
MOST_NAME = 40
IMAGE = "upgrade.bin"
PIECE = 512
IDLE, RECEIVING, WRITTEN, DAMAGED, FULL, NOT_OURS = range(len(mcu_words.STAGES))
NAME_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_./"


class Upgrade:
    """One upgrade at a time. `board` and `mpy` are what an image must be for."""

    def __init__(self, folder, trial, board: int, mpy: int) -> None:  # type: ignore[no-untyped-def]
        self._folder = folder
        self._trial = trial
        self._board = board
        self._mpy = mpy
        self._size = 0
        self._sha256 = b""
        self._running = hashlib.sha256()
        # A supervisor that has started anew on trial still answers an UPGRADE_END whose first answer was lost.
        self.stage = WRITTEN if trial.on_trial else IDLE
        self.wanted = 0

    def begin(self, size: int, sha256: bytes) -> None:
        """Announce an image; one that was half received is forgotten."""
        self.stage, self.wanted, self._size, self._sha256 = IDLE, 0, size, sha256
        if not HEAD <= size <= MOST_BYTES:
            self.stage = FULL
            return
        try:
            self._trial.forget()
            self._folder.remove(SLOTS[self._trial.spare()])
            self._folder.write(IMAGE, b"")
        except OSError:
            self.stage = FULL
            return
        self._running = hashlib.sha256()
        self.stage = RECEIVING

    def block(self, offset: int, data: bytes) -> None:
        """The next octets; anything else than the next changes nothing, and `wanted` says what is."""
        if self.stage != RECEIVING or offset != self.wanted or not data:
            return
        if offset + len(data) > self._size:
            self._fail(DAMAGED)
            return
        try:
            self._folder.append(IMAGE, data)
        except OSError:
            self._fail(FULL)
            return
        self._running.update(data)
        self.wanted += len(data)

    def end(self) -> bool:
        """The image is whole: unpack it and put it on trial. Whether it was."""
        if self.stage != RECEIVING:
            return False
        if self.wanted != self._size or self._running.digest() != self._sha256:
            self._fail(DAMAGED)
            return False
        slot = self._trial.spare()
        try:
            stage = self._unpack(SLOTS[slot])
            if stage == WRITTEN:
                self._folder.remove(IMAGE)
                self._trial.begin(slot)
        except OSError:
            stage = FULL
        if stage == WRITTEN:
            self.stage = WRITTEN
            return True
        self._folder.remove(SLOTS[slot])
        self._fail(stage)
        return False

    def _fail(self, stage: int) -> None:
        self._folder.remove(IMAGE)
        self.stage = stage

    def _unpack(self, slot: str) -> int:
        with self._folder.open(IMAGE) as file:
            head = file.read(HEAD)
            if len(head) != HEAD or head[:4] != MAGIC or head[4] != self._mpy or head[5] != self._board:
                return NOT_OURS
            files = struct.unpack(">H", head[6:])[0]
            if not 0 < files <= MOST_FILES:
                return DAMAGED
            for _ in range(files):
                name = read_name(file)
                size = file.read(4)
                if name is None or len(size) != 4:
                    return DAMAGED
                left = struct.unpack(">I", size)[0]
                self._folder.write(slot + "/" + name, b"")
                while left:
                    piece = file.read(min(PIECE, left))
                    if not piece:
                        return DAMAGED
                    self._folder.append(slot + "/" + name, piece)
                    left -= len(piece)
            return DAMAGED if file.read(1) else WRITTEN


def read_name(file) -> "str | None":  # type: ignore[no-untyped-def]
    """The next file's name; None when it is not one that stays in its folder."""
    length = file.read(1)
    if len(length) != 1 or not 0 < length[0] <= MOST_NAME:
        return None
    octets = file.read(length[0])
    if len(octets) != length[0]:
        return None
    name = "".join(chr(octet) for octet in octets)
    if any(letter not in NAME_LETTERS for letter in name) or not name.endswith((".mpy", ".py")):
        return None
    if any(part in ("", ".", "..") for part in name.split("/")):
        return None
    return name
