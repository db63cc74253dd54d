"""One new file in the first folder of a FAT16 file system, without mounting it (Microsoft, FAT specification 1.03).

Rules of this file: no I/O of its own; a function that reads goes in, writes come out as (offset, bytes) of whole
sectors, in the order in which a break leaves at worst lost clusters: data, tables, then the name. Our sticks' partition
is FAT16; everything else is refused by name. A small library for this would be one more thing for a field engineer to
install, and mounting needs rights and programs that differ on every system; one file into a fresh folder is this much.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from image.flash.errors import SettingsRefusedError

Read = Callable[[int, int], bytes]
"""(offset, size) in bytes from the start of the file system -> the bytes."""
DosTime = tuple[int, int, int, int, int, int]
"""Year, month, day, hour, minute, second: what the folder shows."""

_BOOT_BYTES, _ENTRY_BYTES, _SECTOR_BYTES = 512, 32, 512
_LONG_CHARACTERS = 13
_ATTRIBUTE, _LONG_NAME, _ARCHIVE, _VOLUME = 11, 0x0F, 0x20, 0x08
_FREE, _END_OF_CHAIN = 0xE5, 0xFFFF
# FAT16 by definition: the number of clusters decides, not the name in the boot sector.
_LEAST_CLUSTERS, _MOST_CLUSTERS = 4085, 65524


@dataclass(frozen=True)
class Volume:
    """The places in a file system, in bytes from its start."""

    cluster_bytes: int
    clusters: int
    fat_offsets: tuple[int, ...]
    fat_bytes: int
    root_offset: int
    root_bytes: int
    data_offset: int


def parse_boot_sector(boot: bytes, size_bytes: int) -> Volume:
    """The file system in a partition of that size, from its first sector.

    Raises:
        SettingsRefusedError: it is not FAT16, or one that does not fit into its partition.
    """
    if len(boot) < _BOOT_BYTES or boot[510:512] != b"\x55\xaa":
        raise SettingsRefusedError("no FAT file system in the partition for the settings")
    sector, spc, reserved, fats, entries, small, _, fat_sectors = struct.unpack_from("<HBHBHHBH", boot, 11)
    sectors = small or struct.unpack_from("<I", boot, 32)[0]
    root_sectors = entries * _ENTRY_BYTES // _SECTOR_BYTES
    data = reserved + fats * fat_sectors + root_sectors
    clusters = (sectors - data) // spc if spc and sectors > data else 0
    if (
        sector != _SECTOR_BYTES
        or spc not in (1, 2, 4, 8, 16, 32, 64)
        or not 1 <= fats <= 2
        or not reserved
        or entries * _ENTRY_BYTES % _SECTOR_BYTES
        or not entries
        or not _LEAST_CLUSTERS <= clusters <= _MOST_CLUSTERS
        or fat_sectors * _SECTOR_BYTES < (clusters + 2) * 2
        or sectors * _SECTOR_BYTES > size_bytes
    ):
        raise SettingsRefusedError(
            f"{sectors} sectors of {sector} bytes, {clusters} clusters came; FAT16 in {size_bytes} bytes was allowed",
            advice="is this the image of a stick, and whole?",
        )
    return Volume(
        cluster_bytes=spc * sector,
        clusters=clusters,
        fat_offsets=tuple((reserved + n * fat_sectors) * sector for n in range(fats)),
        fat_bytes=fat_sectors * sector,
        root_offset=(reserved + fats * fat_sectors) * sector,
        root_bytes=entries * _ENTRY_BYTES,
        data_offset=data * sector,
    )


def plan_file(read: Read, size_bytes: int, name: str, data: bytes, at: DosTime) -> list[tuple[int, bytes]]:
    """The writes that put `data` there as `name`.

    Raises:
        SettingsRefusedError: no FAT16, the name is taken, or there is no room.
    """
    volume = parse_boot_sector(read(0, _BOOT_BYTES), size_bytes)
    root = read(volume.root_offset, volume.root_bytes)
    if name.casefold() in (found.casefold() for found, _ in entries_of(root)):
        raise SettingsRefusedError(f"{name} is on the image already")
    table = read(volume.fat_offsets[0], volume.fat_bytes)
    wanted = -(-len(data) // volume.cluster_bytes)
    free = [n for n in range(2, volume.clusters + 2) if table[2 * n : 2 * n + 2] == b"\0\0"][:wanted]
    if len(free) < wanted:
        raise SettingsRefusedError(
            f"{len(data)} bytes came, there is room for {len(free) * volume.cluster_bytes} on the stick's partition"
        )
    changed = bytearray(table)
    for this, following in zip(free, [*free[1:], _END_OF_CHAIN]):
        struct.pack_into("<H", changed, 2 * this, following)
    writes = []
    for index, cluster in enumerate(free):
        piece = data[index * volume.cluster_bytes : (index + 1) * volume.cluster_bytes]
        where = volume.data_offset + (cluster - 2) * volume.cluster_bytes
        writes.append((where, piece.ljust(volume.cluster_bytes, b"\0")))
    for offset in volume.fat_offsets:
        writes += _sectors(offset, table, bytes(changed))
    named = _with_name(root, name, free[0] if free else 0, len(data), at)
    return writes + _sectors(volume.root_offset, root, named)


def read_file(read: Read, size_bytes: int, name: str) -> bytes:
    """A file of the first folder.

    Raises:
        SettingsRefusedError: it is not there, or its chain is broken.
    """
    volume = parse_boot_sector(read(0, _BOOT_BYTES), size_bytes)
    table = read(volume.fat_offsets[0], volume.fat_bytes)
    for found, entry in entries_of(read(volume.root_offset, volume.root_bytes)):
        if found.casefold() != name.casefold():
            continue
        cluster, size = struct.unpack_from("<HI", entry, 26)
        data = bytearray()
        # Each turn adds a cluster, so a chain that bites its tail ends as well.
        while len(data) < size and 2 <= cluster < volume.clusters + 2:
            data += read(volume.data_offset + (cluster - 2) * volume.cluster_bytes, volume.cluster_bytes)
            (cluster,) = struct.unpack_from("<H", table, 2 * cluster)
        if len(data) < size:
            raise SettingsRefusedError(f"{name}: {len(data)} of {size} bytes came from the stick")
        return bytes(data[:size])
    raise SettingsRefusedError(f"{name} is not on the stick")


def entries_of(root: bytes) -> list[tuple[str, bytes]]:
    """(name, short entry) of each file and folder, long names where there are any."""
    found, long = [], ""
    for at in range(0, len(root), _ENTRY_BYTES):
        entry = root[at : at + _ENTRY_BYTES]
        if entry[0] == 0:
            break
        if entry[0] == _FREE:
            long = ""
        elif entry[_ATTRIBUTE] & 0x3F == _LONG_NAME:
            part = (entry[1:11] + entry[14:26] + entry[28:32]).decode("utf-16-le", errors="replace")
            long = part.partition("\0")[0] + long
        else:
            if not entry[_ATTRIBUTE] & _VOLUME:
                stem, ending = entry[:8].decode("ascii", "replace"), entry[8:11].decode("ascii", "replace")
                found.append((long or f"{stem.rstrip()}.{ending.rstrip()}".rstrip("."), entry))
            long = ""
    return found


def _with_name(root: bytes, name: str, cluster: int, size: int, at: DosTime) -> bytes:
    short = _short_name(root, name)
    rows = _long_entries(name, short)
    year, month, day, hour, minute, second = at
    date = (max(year, 1980) - 1980) << 9 | month << 5 | day
    clock = hour << 11 | minute << 5 | second // 2
    rows.append(
        short
        + struct.pack("<BBBHHHHHHHI", _ARCHIVE, 0, 0, clock, date, date, 0, clock, date, cluster, size)
    )  # fmt: skip
    slots = len(root) // _ENTRY_BYTES
    end = next((n for n in range(slots) if root[n * _ENTRY_BYTES] == 0), slots)
    if end + len(rows) > slots:
        raise SettingsRefusedError(f"the stick's first folder is full: {slots} entries")
    changed = bytearray(root)
    changed[end * _ENTRY_BYTES : (end + len(rows)) * _ENTRY_BYTES] = b"".join(rows)
    if end + len(rows) < slots:
        # What is behind the old end was never said to be clean.
        changed[(end + len(rows)) * _ENTRY_BYTES] = 0
    return bytes(changed)


def _short_name(root: bytes, name: str) -> bytes:
    stem, _, ending = name.upper().rpartition(".")
    letters = "".join(c for c in stem if c.isalnum() and c.isascii())[:6]
    taken = {root[at : at + 11] for at in range(0, len(root), _ENTRY_BYTES)}
    for number in range(1, 10):
        short = f"{letters}~{number}".ljust(8).encode() + ending[:3].ljust(3).encode()
        if short not in taken:
            return short
    raise SettingsRefusedError(f"nine files with names like {name} are on the image already")


def _long_entries(name: str, short: bytes) -> list[bytes]:
    checksum = 0
    for octet in short:
        checksum = ((checksum & 1) << 7) + (checksum >> 1) + octet & 0xFF
    pieces = [name[at : at + _LONG_CHARACTERS] for at in range(0, len(name), _LONG_CHARACTERS)]
    rows = []
    for number, piece in enumerate(pieces, 1):
        # A name that does not fill its last entry ends in one zero, then ones.
        text = (piece + "\0" if len(piece) < _LONG_CHARACTERS else piece).encode("utf-16-le").ljust(26, b"\xff")
        order = number | (0x40 if number == len(pieces) else 0)
        rows.append(bytes([order]) + text[:10] + bytes([_LONG_NAME, 0, checksum]) + text[10:22] + b"\0\0" + text[22:26])
    return rows[::-1]


def _sectors(offset: int, before: bytes, after: bytes) -> list[tuple[int, bytes]]:
    """The sectors that differ; raw disks take nothing smaller."""
    return [
        (offset + at, after[at : at + _SECTOR_BYTES])
        for at in range(0, len(after), _SECTOR_BYTES)
        if after[at : at + _SECTOR_BYTES] != before[at : at + _SECTOR_BYTES]
    ]
