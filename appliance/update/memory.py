"""Where the record is kept: read, and replaced whole.

Rules of this file: I/O only. One lock for everybody who changes the record, so that an update and a health check do not
undo each other's word. The file is for all to read: the daemon, which is not root, tells the collector what is in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from appliance.files import replace_file
from appliance.update.errors import DiskFault
from appliance.update.record import Record, RecordError

RECORD = "record.json"
_LOCK = ".lock"


class Memory:
    """The folder with the record."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def path(self) -> Path:
        """The record's file."""
        return self._folder / RECORD

    def read(self) -> Record:
        """The record; a new one where there is none, and one that says so where it is damaged.

        Raises:
            DiskFault: the file cannot be read.
        """
        try:
            return Record.from_json(self.path.read_bytes())
        except FileNotFoundError:
            return Record()
        except RecordError as error:
            return Record(reason=f"the record of before was damaged: {error}"[:200])
        except OSError as error:
            raise DiskFault(f"{self.path}: {error.strerror}") from error

    def write(self, record: Record) -> None:
        """Replace the record; on the disk when this returns.

        Raises:
            DiskFault: it cannot be written; the old one is there.
        """
        try:
            replace_file(self.path, record.to_json(), mode=0o644)
        except OSError as error:
            raise DiskFault(f"{self.path}: {error.strerror}") from error

    @contextlib.contextmanager
    def alone(self, name: str = _LOCK, *, wait: bool = True) -> Iterator[bool]:
        """Whether this process has the lock of that name; with `wait` it always has.

        Raises:
            DiskFault: the folder cannot be written.
        """
        try:
            descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DiskFault(f"{self._folder}: {error.strerror}", advice="Updates are root's business.") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)
