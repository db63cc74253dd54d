"""The kernel files on the ESP: listed, added, renamed, removed.

Rules of this file: I/O only. A file gets the name under which the boot loader finds it when it is whole and on the
disk, by a rename; until then it has a name that the boot loader passes over. No other file of the ESP is touched.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from appliance.files import fsync_folder
from appliance.update.entries import Entry, parse_entry
from appliance.update.errors import DiskFault

FOLDER = Path("EFI/Linux")
UNFINISHED = ".new"
_READ_BYTES = 1024 * 1024


class Esp:
    """A mounted ESP."""

    def __init__(self, mounted: Path, *, on_write: Callable[[], None] = lambda: None) -> None:
        """`on_write` is called before each change: tests cut the power there."""
        self._folder = mounted / FOLDER
        self._on_write = on_write

    def entries(self) -> tuple[Entry, ...]:
        """The kernel files of ours.

        Raises:
            DiskFault: the folder cannot be read.
        """
        try:
            names = sorted(os.listdir(self._folder))
        except OSError as error:
            raise DiskFault(f"{self._folder}: {error.strerror}", advice="Is the ESP mounted?") from error
        return tuple(entry for entry in map(parse_entry, names) if entry is not None)

    def remove(self, entry: Entry) -> None:
        """Take a kernel file away; the boot loader does not know its version any more.

        Raises:
            DiskFault: it cannot be removed.
        """
        self._change(lambda: (self._folder / entry.name).unlink(missing_ok=True))

    def rename(self, old: Entry, new: Entry) -> None:
        """Give a kernel file other tries.

        Raises:
            DiskFault: it cannot be renamed.
        """
        self._move(self._folder / old.name, self._folder / new.name)

    def clean(self) -> None:
        """Remove what an update that was cut off has left.

        Raises:
            DiskFault: it cannot be removed.
        """
        for path in list(self._folder.glob(f"*{UNFINISHED}")):
            self._change(path.unlink)

    def put(self, entry: Entry, pieces: Iterable[bytes], sha256: str) -> None:
        """Write a kernel file beside its place; `finish` gives it its name.

        Raises:
            DiskFault: there is no room, or the disk gives back other bytes.
        """
        path = self._unfinished(entry)
        try:
            with path.open("wb") as file:
                for piece in pieces:
                    self._on_write()
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while piece := file.read(_READ_BYTES):
                    digest.update(piece)
        except OSError as error:
            raise DiskFault(f"{path}: {error.strerror}") from error
        if digest.hexdigest() != sha256:
            raise DiskFault(f"{path}: the disk gives back other bytes than were written", advice="Exchange the disk.")

    def finish(self, entry: Entry) -> None:
        """Give a kernel file that was `put` its name.

        Raises:
            DiskFault: it cannot be renamed.
        """
        self._move(self._unfinished(entry), self._folder / entry.name)

    def _unfinished(self, entry: Entry) -> Path:
        return self._folder / f"{entry.name}{UNFINISHED}"

    def _move(self, old: Path, new: Path) -> None:
        def move() -> None:
            with old.open("rb") as file:
                os.rename(old, new)
                # Linux's vfat gives a renamed file an entry of no length and no place, and fills these in when the
                # file itself is next written: half a minute later, without this.
                os.fsync(file.fileno())

        self._change(move)

    def _change(self, change: Callable[[], None]) -> None:
        self._on_write()
        try:
            change()
            fsync_folder(self._folder)
        except OSError as error:
            raise DiskFault(f"{self._folder}: {error.strerror}") from error
