"""The disk's partition table (GPT, UEFI 2.10 section 5.3): read, and given other names and identifiers.

Rules of this file: pure; bytes in, bytes out. Only the label, the identifier and the attributes of a partition are
ever changed, never where it lies. The table stands on the disk twice; who writes it writes the backup first and has it
on the disk before the other, so that one of the two is whole at any moment: firmware puts the other right from it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_SIGNATURE = b"EFI PART"
HEADER_LBA = 1
MAX_ENTRIES_BYTES = 128 * 1024


class GptError(Exception):
    """The bytes are no valid partition table."""


class Partition(NamedTuple):
    """One used entry; `number` counts from 1, `last_lba` belongs to it."""

    number: int
    type: UUID
    uuid: UUID
    first_lba: int
    last_lba: int
    attributes: int
    label: str


class Naming(NamedTuple):
    """What an entry is to be called."""

    uuid: UUID
    label: str
    attributes: int


class Copy(NamedTuple):
    """One of the two copies as it goes to the disk: entries first, then the header that vouches for them."""

    entries_lba: int
    entries: bytes
    header_lba: int
    header: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of one header that are of use."""

    my_lba: int
    other_lba: int
    entries_lba: int
    count: int
    entry_bytes: int
    entries_crc: int
    raw: bytes

    @staticmethod
    def parse(sector: bytes, lba: int) -> Header:
        """The header in the sector at `lba`.

        Raises:
            GptError: it is none, or damaged.
        """
        if len(sector) < _HEADER.size:
            raise GptError(f"header of {len(sector)} bytes")
        signature, _, size, crc, _, my, other, _, _, _, at, count, each, entries_crc = _HEADER.unpack_from(sector)
        if signature != _SIGNATURE or not _HEADER.size <= size <= len(sector):
            raise GptError("no header of a partition table")
        raw = sector[:size]
        if crc32(raw[:16] + bytes(4) + raw[20:]) != crc or my != lba:
            raise GptError("the header's checksum does not hold")
        if each < _ENTRY.size or each % _ENTRY.size or not 1 <= count * each <= MAX_ENTRIES_BYTES:
            raise GptError(f"{count} entries of {each} bytes")
        return Header(my, other, at, count, each, entries_crc, sector)

    @property
    def entries_bytes(self) -> int:
        """Size of the array of entries."""
        return self.count * self.entry_bytes


@dataclass(frozen=True, slots=True)
class Table:
    """A header and its entries, which fit together."""

    header: Header
    entries: bytes

    @staticmethod
    def parse(header: Header, entries: bytes) -> Table:
        """Put them together.

        Raises:
            GptError: they do not fit.
        """
        if len(entries) != header.entries_bytes or crc32(entries) != header.entries_crc:
            raise GptError("the entries' checksum does not hold")
        return Table(header, entries)

    def partitions(self) -> tuple[Partition, ...]:
        """The entries in use."""
        found = []
        for number in range(self.header.count):
            kind, uuid, first, last, attributes, label = _ENTRY.unpack_from(
                self.entries, number * self.header.entry_bytes
            )
            if kind != bytes(16):
                text = label.decode("utf-16-le", errors="replace").partition("\0")[0]
                place = (UUID(bytes_le=kind), UUID(bytes_le=uuid), first, last, attributes, text)
                found.append(Partition(number + 1, *place))
        return tuple(found)

    def renamed(self, names: Mapping[int, Naming]) -> Table:
        """The table with other names for some numbers.

        Raises:
            GptError: a number is not in use, or a label is too long.
        """
        used = {p.number: p for p in self.partitions()}
        entries = bytearray(self.entries)
        for number, name in names.items():
            label = name.label.encode("utf-16-le")
            if number not in used or len(label) > 72:
                raise GptError(f"partition {number} cannot be called {name.label!r}")
            old = used[number]
            place = (number - 1) * self.header.entry_bytes
            bounds = (old.first_lba, old.last_lba, name.attributes)
            _ENTRY.pack_into(entries, place, old.type.bytes_le, name.uuid.bytes_le, *bounds, label)
        return Table(self.header, bytes(entries))

    def copies(self, sector_bytes: int) -> tuple[Copy, Copy]:
        """Backup and primary, in the order in which they are to be written."""
        first, second = self.header.my_lba, self.header.other_lba
        primary, backup = min(first, second), max(first, second)
        entries_sectors = -(-self.header.entries_bytes // sector_bytes)
        primary_entries = self.header.entries_lba if first == primary else HEADER_LBA + 1
        # By the specification the backup's entries end where its header begins.
        backup_entries = self.header.entries_lba if first == backup else backup - entries_sectors
        return self._copy(backup, primary, backup_entries), self._copy(primary, backup, primary_entries)

    def _copy(self, my_lba: int, other_lba: int, entries_lba: int) -> Copy:
        fields = list(_HEADER.unpack_from(self.header.raw))
        size = fields[2]
        fields[3], fields[5], fields[6], fields[10], fields[13] = 0, my_lba, other_lba, entries_lba, crc32(self.entries)
        raw = bytearray(self.header.raw)
        _HEADER.pack_into(raw, 0, *fields)
        fields[3] = crc32(raw[:size])
        _HEADER.pack_into(raw, 0, *fields)
        return Copy(entries_lba, self.entries, my_lba, bytes(raw))
