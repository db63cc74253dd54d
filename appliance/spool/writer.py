"""The end of the spool that grows: one open segment file, written in whole groups of records.

Rules of this file: a group is durable as a whole or cut off again; when it cannot be cut off either, the writer refuses
all further work, because going on would put new events under numbers that may be on the disk already.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from appliance.files import fsync_folder, write_all
from appliance.spool.errors import SpoolError, SpoolFullError
from appliance.spool.segment import PREFIX, Segment, segment_name

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class SegmentWriter:
    """Appends to the newest segment. Not thread-safe by itself."""

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        self._folder = folder
        self._fsync = fsync
        self._fd = -1
        self._broken = ""
        self.segment: Segment | None = None

    @property
    def broken(self) -> str:
        """Why it refuses all further work; empty while it does not."""
        return self._broken

    def reopen(self, segment: Segment) -> None:
        """Go on in a segment that is there and sound to its end.

        Raises:
            SpoolError: the file cannot be opened.
        """
        try:
            self._fd = os.open(segment.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as exc:
            raise _named(segment.path, exc) from exc
        self.segment = segment

    def begin(self, index: int) -> Segment:
        """Close the segment and begin the next one.

        Raises:
            SpoolFullError: no room for a new file; none is left behind.
            SpoolError: the folder cannot be written.
        """
        self.seal()
        path = self._folder / segment_name(index)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise _named(path, exc) from exc
        try:
            write_all(fd, PREFIX)
            if self._fsync:
                os.fsync(fd)
                fsync_folder(self._folder)
        except OSError as exc:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise _named(path, exc) from exc
        self._fd = fd
        self.segment = Segment(index, path, size=len(PREFIX))
        return self.segment

    def write(self, group: bytes) -> None:
        """Make a group of records durable at the end of the segment; its `size` is left to the caller.

        Raises:
            SpoolFullError: no room; the segment is as it was before.
            SpoolError: the disk failed, now or at an earlier write that could not be undone.
        """
        if self.segment is None:
            raise SpoolError("no segment is open")
        if self._broken:
            raise SpoolError(f"the spool takes no more events: {self._broken}", advice="restart the service")
        try:
            write_all(self._fd, group)
            if self._fsync:
                os.fdatasync(self._fd)
        except OSError as exc:
            self.undo()
            raise _named(self.segment.path, exc) from exc

    def undo(self) -> None:
        """Cut the file back to the segment's known size."""
        if self.segment is None:
            return
        try:
            os.ftruncate(self._fd, self.segment.size)
            if self._fsync:
                os.fsync(self._fd)
        except OSError as exc:
            self._broken = f"{self.segment.path}: a failed write could not be cut off again: {exc.strerror}"

    def seal(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        self.segment = None


def _named(path: Path, exc: OSError) -> SpoolError:
    if exc.errno in _NO_ROOM:
        return SpoolFullError(
            f"{path}: no room: {exc.strerror}",
            advice="free space on this disk, or lower spool.max_mib below what it has",
        )
    return SpoolError(
        f"{path}: cannot write: {exc.strerror}", advice="check the disk and the owner of the spool folder"
    )
