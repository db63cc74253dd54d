"""Three numbers that outlive a power cut: a file of two slots, written in place by turns.

Rules of this file: one value is (epoch, seq, ordinal). A write goes to the slot that does not hold the newest value, so
a torn write costs the new value and never the old one. It needs no new block, so a full disk cannot stop the spool
from noting what the collector has stored (a temporary file renamed over the old one could not be made then).
Only the creation of the file goes the usual way: temporary file, fsync, rename, fsync of the folder.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from appliance.files import open_to_read, replace_file
from appliance.spool.errors import SpoolError

# One flash page or disk block per slot: a torn write then stays within its slot.
SLOT_BYTES = 4096
_FORMAT = struct.Struct(">8sQQQQ")
_CRC = struct.Struct(">I")
_MAGIC = b"VDTSLOT1"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the sequence: `seq` of `epoch`, and how many events were accepted up to it over all epochs."""

    epoch: int
    seq: int
    ordinal: int


def encode_slot(generation: int, mark: Mark) -> bytes:
    """One slot, padded to its size."""
    body = _FORMAT.pack(_MAGIC, generation, mark.epoch, mark.seq, mark.ordinal)
    return (body + _CRC.pack(zlib.crc32(body))).ljust(SLOT_BYTES, b"\0")


def decode_slots(data: bytes) -> tuple[int, Mark] | None:
    """(generation, newest sound value) of a slot file's bytes, or None when neither slot is sound."""
    best: tuple[int, Mark] | None = None
    for start in (0, SLOT_BYTES):
        body = data[start : start + _FORMAT.size]
        crc = data[start + _FORMAT.size : start + _FORMAT.size + _CRC.size]
        if len(crc) != _CRC.size or zlib.crc32(body) != _CRC.unpack(crc)[0]:
            continue
        magic, generation, epoch, seq, ordinal = _FORMAT.unpack(body)
        if magic == _MAGIC and (best is None or generation > best[0]):
            best = (generation, Mark(epoch, seq, ordinal))
    return best


class SlotFile:
    """The open file; `load` first, then `store` as often as needed. Not thread-safe by itself."""

    def __init__(self, path: Path, *, fsync: bool) -> None:
        self._path = path
        self._fsync = fsync
        self._fd = -1
        self._generation = 0

    def load(self) -> Mark | None:
        """The newest sound value; None when the file is missing or both slots are damaged.

        Raises:
            SpoolError: the file cannot be read.
        """
        found = read_slot_file(self._path)
        if found is None:
            return None
        self._generation, mark = found
        return mark

    def store(self, mark: Mark) -> None:
        """Make `mark` durable.

        Raises:
            SpoolError: the disk refused; the value before is still there.
        """
        # The generation moves on only after success: a second try must not go over the slot that still holds a value.
        generation = self._generation + 1
        slot = encode_slot(generation, mark)
        try:
            if self._fd < 0 and not self._open_whole():
                self._create(slot, generation)
            else:
                os.pwrite(self._fd, slot, SLOT_BYTES * (generation % 2))
                if self._fsync:
                    os.fdatasync(self._fd)
            self._generation = generation
        except OSError as exc:
            raise SpoolError(f"{self._path}: cannot write: {exc.strerror}", advice="check the disk") from exc

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open_whole(self) -> bool:
        """Open the file if it is there in its full size."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        if os.fstat(fd).st_size != 2 * SLOT_BYTES:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def _create(self, slot: bytes, generation: int) -> None:
        """Missing or cut short: a whole file that already holds the value takes its place."""
        empty = b"\0" * SLOT_BYTES
        replace_file(self._path, slot + empty if generation % 2 == 0 else empty + slot, fsync=self._fsync)
        self._open_whole()


def read_slot_file(path: Path) -> tuple[int, Mark] | None:
    """Read without opening for writing; see `SlotFile.load`.

    Raises:
        SpoolError: the file cannot be read.
    """
    try:
        with os.fdopen(open_to_read(path), "rb") as file:
            return decode_slots(file.read(2 * SLOT_BYTES))
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise SpoolError(f"{path}: cannot read: {exc.strerror}", advice="check the disk and the owner") from exc
