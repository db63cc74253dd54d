"""The partition table at the head of an image (UEFI 2.10, 5.3): which partition is where.

Rules of this file: pure; the first bytes of a disk in, partitions or `ImageRefusedError` out. Both sums are checked,
and nothing points outside of the image, so that whoever writes into a partition stays in it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from image.flash.disk import SECTOR_BYTES
from image.flash.errors import ImageRefusedError

HEAD_BYTES = 1024 * 1024
"""Partitions begin here at the earliest; the table is before it."""

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_SIGNATURE = b"EFI PART"
_ENTRY_BYTES, _MOST_ENTRIES = 128, 256
_NO_IMAGE = "is this the image of a stick, and whole?"


@dataclass(frozen=True)
class Area:
    """One partition, in bytes from the start of the disk."""

    label: str
    offset_bytes: int
    size_bytes: int

    @property
    def end_bytes(self) -> int:
        """The first byte after it."""
        return self.offset_bytes + self.size_bytes


@dataclass(frozen=True)
class Table:
    """What the table says; `disk_bytes` is the size of the disk it was made for."""

    disk_bytes: int
    areas: tuple[Area, ...]

    def area(self, label: str) -> Area | None:
        """The partition of that label."""
        return next((area for area in self.areas if area.label == label), None)

    def at(self, offset_bytes: int) -> str:
        """What lies there, in words."""
        for area in self.areas:
            if area.offset_bytes <= offset_bytes < area.end_bytes:
                return f"partition {area.label}"
        return "the partition table" if offset_bytes < HEAD_BYTES else "between partitions"


def parse_table(head: bytes) -> Table:
    """Read the first `HEAD_BYTES` of a disk.

    Raises:
        ImageRefusedError: they hold no such table, or one that contradicts itself.
    """
    raw = head[SECTOR_BYTES : SECTOR_BYTES + _HEADER.size]
    if len(raw) < _HEADER.size or raw[:8] != _SIGNATURE:
        raise ImageRefusedError("no GPT partition table came", advice=_NO_IMAGE)
    fields = _HEADER.unpack(raw)
    (_, _, size, crc, _, own, backup, first, last, _, table_lba, count, entry, table_crc) = fields
    if size != _HEADER.size or zlib.crc32(raw[:16] + bytes(4) + raw[20:]) != crc or own != 1:
        raise ImageRefusedError("the head of its partition table is damaged", advice=_NO_IMAGE)
    start = table_lba * SECTOR_BYTES
    if entry != _ENTRY_BYTES or not 0 < count <= _MOST_ENTRIES or start + count * entry > len(head):
        raise ImageRefusedError(
            f"a table of {count} entries of {entry} bytes came, at most {_MOST_ENTRIES} of {_ENTRY_BYTES} were allowed",
            advice=_NO_IMAGE,
        )
    table = head[start : start + count * entry]
    if zlib.crc32(table) != table_crc:
        raise ImageRefusedError("its partition table is damaged", advice=_NO_IMAGE)
    areas = []
    for at in range(0, len(table), entry):
        row = table[at : at + entry]
        if row[:16] == bytes(16):
            continue
        begin, end = struct.unpack_from("<QQ", row, 32)
        if not first <= begin <= end <= last or begin * SECTOR_BYTES < HEAD_BYTES:
            raise ImageRefusedError(f"a partition from sector {begin} to {end} came", advice=_NO_IMAGE)
        label = row[56:].decode("utf-16-le", errors="replace").partition("\0")[0]
        areas.append(Area(label, begin * SECTOR_BYTES, (end - begin + 1) * SECTOR_BYTES))
    areas.sort(key=lambda area: area.offset_bytes)
    if any(one.end_bytes > other.offset_bytes for one, other in zip(areas, areas[1:])):
        raise ImageRefusedError("partitions that overlap came", advice=_NO_IMAGE)
    return Table((backup + 1) * SECTOR_BYTES, tuple(areas))
