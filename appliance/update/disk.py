"""The box's disk as an update sees it: its partition table, and partitions that are written from end to end.

Rules of this file: I/O only. Everything is on the disk before the next step begins. The table is written backup first
(see gpt.py). Only partitions that the caller names are written, within their bounds. What was written is not read
back: the hash tree is held against every block when it is used, and a block that is bad then makes the box fall back.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

from appliance.update.errors import DiskFault
from appliance.update.gpt import HEADER_LBA, Copy, GptError, Header, Partition, Table

_BLKSSZGET = 0x1268
_SECTOR_BYTES = 512
_FLUSH_BYTES = 16 * 1024 * 1024


class Disk:
    """A disk, or a file that holds one. Close it, or use it with `with`."""

    def __init__(self, path: Path, *, on_write: Callable[[], None] = lambda: None) -> None:
        """`on_write` is called before each write reaches the disk: tests cut the power there.

        Raises:
            DiskFault: it cannot be opened.
        """
        self._path = path
        self._on_write = on_write
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            self._size = os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError as error:
            raise DiskFault(f"{path}: {error.strerror}") from error
        self._sector_bytes = _sector_bytes(self._descriptor)

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def size_bytes(self, partition: Partition) -> int:
        """How much fits into a partition."""
        return (partition.last_lba - partition.first_lba + 1) * self._sector_bytes

    def table(self) -> Table:
        """The partition table; from its backup when the first copy is damaged.

        Raises:
            DiskFault: neither copy is whole.
        """
        reasons = []
        for lba in (HEADER_LBA, self._size // self._sector_bytes - 1):
            try:
                header = Header.parse(self._read(lba, self._sector_bytes), lba)
                return Table.parse(header, self._read(header.entries_lba, header.entries_bytes))
            except GptError as error:
                reasons.append(str(error))
        raise DiskFault(f"{self._path}: no partition table ({'; '.join(reasons)})")

    def write_table(self, table: Table) -> None:
        """Put a table on the disk.

        Raises:
            DiskFault: it cannot be written; one whole copy is there then, the old or the new.
        """
        try:
            backup, primary = table.copies(self._sector_bytes)
            copies = [backup, primary]
            if table.header.my_lba != HEADER_LBA:
                # Read from the backup, as the first copy is damaged: never touch the only whole one first.
                copies.reverse()
            for copy in copies:
                self._write_copy(copy)
        except GptError as error:
            raise DiskFault(f"{self._path}: {error}") from error

    def write(self, partition: Partition, pieces: Iterable[bytes]) -> None:
        """Fill a partition from its start.

        Raises:
            DiskFault: it is too small, or cannot be written.
        """
        start, most = partition.first_lba * self._sector_bytes, self.size_bytes(partition)
        done, flushed = 0, 0
        for piece in pieces:
            if done + len(piece) > most:
                raise DiskFault(f"{self._path}: partition {partition.number} has room for {most} bytes, more came")
            self._pwrite(piece, start + done)
            done += len(piece)
            if done - flushed >= _FLUSH_BYTES:
                # Little is ever waiting in memory, of which a box has not much.
                self._flush()
                os.posix_fadvise(self._descriptor, start + flushed, done - flushed, os.POSIX_FADV_DONTNEED)
                flushed = done
        self._flush()

    def _write_copy(self, copy: Copy) -> None:
        for lba, data in ((copy.entries_lba, copy.entries), (copy.header_lba, copy.header)):
            self._pwrite(data, lba * self._sector_bytes)
            self._flush()

    def _read(self, lba: int, size: int) -> bytes:
        try:
            return os.pread(self._descriptor, size, lba * self._sector_bytes)
        except (OSError, OverflowError) as error:
            raise GptError(f"sector {lba}: {error}") from error

    def _pwrite(self, data: bytes, at: int) -> None:
        self._on_write()
        view = memoryview(data)
        try:
            while view:
                written = os.pwrite(self._descriptor, view, at)
                view, at = view[written:], at + written
        except OSError as error:
            raise DiskFault(f"{self._path}: {error.strerror}") from error

    def _flush(self) -> None:
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise DiskFault(f"{self._path}: {error.strerror}") from error


def _sector_bytes(descriptor: int) -> int:
    if not stat.S_ISBLK(os.fstat(descriptor).st_mode):
        return _SECTOR_BYTES
    told = fcntl.ioctl(descriptor, _BLKSSZGET, bytes(4))
    return int(struct.unpack("i", told)[0])
