"""One segment file: what is in it, read back with every damaged byte named.

Rules of this file: reads only; `store.py` is the one writer. A segment holds records of one epoch in rising sequence;
a sound record that breaks this is damage too (it is an old block that a failing disk gave back).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance.files import open_to_read
from appliance.spool.errors import SpoolError
from appliance.spool.losses import subtract
from appliance.spool.record import MAX_FRAGMENT_BYTES, OVERHEAD_BYTES, Damage, Found, Record, scan

PREFIX = b"VEDETTE-SPOOL\0\0\1"
SUFFIX = ".seg"
# One append is written as one piece, even when it is longer than a segment should be.
MAX_GROUP_BYTES = 32 << 20
MAX_SEGMENT_BYTES = 64 << 20
MIN_SEGMENT_BYTES = 4096
# Read at once; what is lost with one unreadable sector is at most this much.
_BLOCK_BYTES = 64 * 1024
assert MAX_GROUP_BYTES > MAX_FRAGMENT_BYTES + OVERHEAD_BYTES  # noqa: S101 - a relation of constants, true or a bug


@dataclass(slots=True)
class Segment:
    """A segment file as the spool knows it; `size` counts its durable bytes only."""

    index: int
    path: Path
    epoch: int = 0
    first_seq: int = 0
    last_seq: int = 0
    last_ordinal: int = 0
    size: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """No whole record in it."""
        return self.last_seq == 0

    def note(self, record: Record) -> None:
        """Count a record in."""
        if self.empty:
            self.epoch, self.first_seq = record.epoch, record.seq
        elif record.seq > self.last_seq + 1:
            self.missing.append((self.last_seq + 1, record.seq - 1))
        self.last_seq, self.last_ordinal = record.seq, record.ordinal

    def forget(self, first_seq: int, last_seq: int) -> None:
        """Records that are not there any more: their numbers count as missing, or the segment ends before them."""
        first, last = max(first_seq, self.first_seq), min(last_seq, self.last_seq)
        if self.empty or first > last:
            return
        if last == self.last_seq:
            self.last_seq = first - 1 if first > self.first_seq else 0
        else:
            self.missing = sorted([*self.missing, *subtract(first, last, self.missing)])

    def count_after(self, seq: int) -> int:
        """How many records have a sequence number above `seq`."""
        if self.empty or seq >= self.last_seq:
            return 0
        first = max(self.first_seq, seq + 1)
        gone = sum(last - max(begin, first) + 1 for begin, last in self.missing if last >= first)
        return self.last_seq - first + 1 - gone


def segment_name(index: int) -> str:
    """File names sort as they were made."""
    return f"{index:016x}{SUFFIX}"


def list_segments(folder: Path) -> list[tuple[int, Path]]:
    """(index, path) of every segment file, oldest first; other names are left alone.

    Raises:
        SpoolError: the folder cannot be read.
    """
    found = []
    try:
        for path in folder.iterdir():
            stem = path.name.removesuffix(SUFFIX)
            if len(stem) == 16 and stem != path.name and not set(stem) - set("0123456789abcdef"):
                found.append((int(stem, 16), path))
    except OSError as exc:
        raise SpoolError(f"{folder}: cannot list: {exc.strerror}", advice="check the folder and its owner") from exc
    return sorted(found)


def read_records(segment: Segment, *, after_seq: int, from_offset: int = 0) -> Iterator[Found | Damage]:
    """Records above `after_seq` within the durable part of a segment, and the damage met on the way.

    `from_offset` is 0 or the end of a record; the offsets that come out count from there.

    Raises:
        SpoolError: the file cannot be read.
    """
    seq = after_seq
    for item in _items(bytes_of(segment.path, from_offset, segment.size), whole=from_offset == 0):
        if isinstance(item, Damage):
            yield item
        elif item.record.epoch == segment.epoch and item.record.seq > seq:
            seq = item.record.seq
            yield item


def inspect(index: int, path: Path) -> Segment:
    """Read a whole segment file: its range, what is missing inside, and its damage.

    Raises:
        SpoolError: the file cannot be read.
    """
    try:
        on_disk = path.stat().st_size
    except OSError as exc:
        raise SpoolError(f"{path}: cannot read: {exc.strerror}", advice="check the disk") from exc
    segment = Segment(index, path, size=min(on_disk, MAX_SEGMENT_BYTES))
    for item in _items(bytes_of(path, 0, segment.size), whole=True):
        if isinstance(item, Damage):
            segment.damages.append(item)
        elif not segment.empty and (item.record.epoch != segment.epoch or item.record.seq <= segment.last_seq):
            what = f"record {item.record.seq} of epoch {item.record.epoch} stands after {segment.last_seq}"
            segment.damages.append(Damage(item.offset, item.end - item.offset, what))
        else:
            segment.note(item.record)
    if on_disk > MAX_SEGMENT_BYTES:
        segment.damages.append(Damage(segment.size, on_disk - segment.size, "beyond the largest segment"))
    return segment


def _items(data: bytes, *, whole: bool) -> Iterator[Found | Damage]:
    # A spoiled prefix costs no record: the scan finds the first marker behind it.
    return scan(data, len(PREFIX) if whole and data.startswith(PREFIX) else 0)


def bytes_of(path: Path, start: int, end: int, *, pread: Callable[[int, int, int], bytes] = os.pread) -> bytes:
    """The bytes from `start` to `end` or the end of the file.

    What the disk cannot read comes as zeros, so that a rotten block costs the records in it and not the whole spool:
    the scan names it as damage.

    Raises:
        SpoolError: the file cannot be opened.
    """
    try:
        fd = open_to_read(path)
    except OSError as exc:
        raise SpoolError(f"{path}: cannot read: {exc.strerror}", advice="check the disk") from exc
    parts: list[bytes] = []
    try:
        end = min(end, os.fstat(fd).st_size)
        while start < end:
            wanted = min(_BLOCK_BYTES - start % _BLOCK_BYTES, end - start)
            try:
                part = pread(fd, wanted, start)
            except OSError:
                part = bytes(wanted)
            if not part:
                break
            parts.append(part)
            start += len(part)
    finally:
        os.close(fd)
    return b"".join(parts)
