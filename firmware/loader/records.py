"""A record that survives a power cut at any moment: two files in turn, each with a number and a CRC.

    file     number 4, length 2, data, CRC-32 over all of it 4; big endian

Rules of this file: the newer whole file counts, so a write that was cut leaves the older one. Data that is not whole is
never given back.
"""

import struct
from binascii import crc32

MOST = 1024


class Record:
    """One value, kept in the files `name.0` and `name.1` of a folder."""

    def __init__(self, folder, name: str) -> None:  # type: ignore[no-untyped-def]
        self._folder = folder
        self._name = name
        self._number = 0
        self._next = 0

    def load(self) -> "bytes | None":
        """The newest whole value; None when there is none."""
        newest = None
        self._number, self._next = 0, 0
        for turn in (0, 1):
            number, data = unwrap(self._folder.read(self._name + "." + str(turn), MOST + 10))
            if data is not None and number > self._number:
                newest, self._number, self._next = data, number, 1 - turn
        return newest

    def save(self, data: bytes) -> None:
        """Another value; call `load` once before.

        Raises:
            OSError: the file system is full or broken; the value of before is kept.
            ValueError: longer than MOST.
        """
        if len(data) > MOST:
            raise ValueError("record")
        self._folder.write(self._name + "." + str(self._next), wrap(self._number + 1, data))
        self._number += 1
        self._next = 1 - self._next

    def remove(self) -> None:
        """No value any more."""
        for turn in (0, 1):
            self._folder.remove(self._name + "." + str(turn))
        self._number, self._next = 0, 0


def wrap(number: int, data: bytes) -> bytes:
    """The octets of one file."""
    whole = struct.pack(">IH", number & 0xFFFFFFFF, len(data)) + data
    return whole + struct.pack(">I", crc32(whole) & 0xFFFFFFFF)


def unwrap(whole: "bytes | None") -> "tuple[int, bytes | None]":
    """`(number, data)` of one file; `(0, None)` when it is not whole."""
    if whole is None or len(whole) < 10:
        return 0, None
    number, length = struct.unpack(">IH", whole[:6])
    if len(whole) != 10 + length or struct.unpack(">I", whole[-4:])[0] != crc32(whole[:-4]) & 0xFFFFFFFF:
        return 0, None
    return number, whole[6:-4]
