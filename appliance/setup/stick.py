"""The setup file on a mounted stick: found, read, and wiped after use.

Rules of this file: the stick is a stranger's. One small regular file is read, by one name, and nothing is followed or
run; every way in which that fails has its name. What is overwritten is first compared with what was read. The secret is
overwritten where it stands, before the file is put in place anew with the remark: a file system like FAT would keep the
old bytes in the free blocks otherwise. (A flash chip may still hold them; the token is worth nothing by then.)
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from appliance.files import fsync_folder, write_all
from appliance.setup.errors import (
    NoSetupFileError,
    NotThatFileError,
    SetupFileInvalidError,
    SeveralSetupFilesError,
    StickChangedError,
    StickFullError,
    StickGoneError,
    StickReadOnlyError,
)
from appliance.wire.fields import plain
from appliance.wire.setup_file import MAX_SETUP_BYTES, SETUP_NAME, Setup, SetupFileError, parse_setup
from appliance.wire.setup_render import WIPE_WITH, with_remark

MAX_ENTRIES = 4096
"""Names looked at in the stick's first folder."""
ROOM_BYTES = 2 * MAX_SETUP_BYTES
_STEM = Path(SETUP_NAME).stem
_FRESH = SETUP_NAME + ".new"
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class StickFile:
    """A file that was read, and what it says; `data` is secret."""

    path: Path
    setup: Setup
    data: bytes = field(repr=False)

    def check_writable(self) -> None:
        """See that the token can be wiped later.

        Raises:
            StickReadOnlyError, StickFullError, StickGoneError: it could not.
        """
        with _named(self.path):
            os.close(_open(self.path, os.O_RDWR))
            room = os.statvfs(self.path.parent)
            if room.f_bavail * room.f_frsize < ROOM_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def mark_used(self, sensor_id: str, at: str) -> None:
        """Wipe the token and say who used it; may be done again after it was broken off.

        Raises:
            StickChangedError: the file is another one now; it was left alone.
            StickGoneError, StickReadOnlyError, StickFullError: the medium refuses.
        """
        with _named(self.path):
            data = wipe_secret(self.path, self.data, self.setup)
            remark = with_remark(data.decode("utf-8-sig"), sensor_id, at)
            _replace(self.path, remark.encode())


def read_stick(folder: Path) -> StickFile:
    """The setup file in the first folder of a stick.

    Raises:
        NoSetupFileError, SeveralSetupFilesError, NotThatFileError: it is not there, or not clearly.
        SetupFileInvalidError: it cannot be used; the message names line and key.
        StickGoneError: the stick cannot be read.
    """
    path = _find(folder)
    with _named(path):
        try:
            fd = _open(path, os.O_RDONLY)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EINVAL, errno.EISDIR):
                raise NotThatFileError(
                    f"{path}: {_kind(path)} came, a plain file was allowed", advice="copy the provider's file there"
                ) from error
            raise
        try:
            size = os.fstat(fd).st_size
            data = os.read(fd, MAX_SETUP_BYTES + 1) if size <= MAX_SETUP_BYTES else b""
        finally:
            os.close(fd)
    if size > MAX_SETUP_BYTES:
        raise SetupFileInvalidError(
            f"{path}: {size} bytes came, at most {MAX_SETUP_BYTES} were allowed", advice="is this the right file?"
        )
    try:
        return StickFile(path, parse_setup(data), data)
    except SetupFileError as error:
        raise SetupFileInvalidError(f"{path}: {error}", advice=error.advice) from error


def wipe_secret(path: Path, expected: bytes, setup: Setup) -> bytes:
    """Overwrite the token's secret wherever it stands in the file; returns what is in the file then.

    Raises:
        StickChangedError: the file holds other bytes than `expected`.
        OSError: as the kernel gave it.
    """
    fd = _open(path, os.O_RDWR)
    try:
        if os.pread(fd, MAX_SETUP_BYTES + 1, 0) != expected:
            raise StickChangedError(
                f"{path}: not the file that was read before; it was left as it is",
                advice="put the right stick in and type the command again",
            )
        if setup.token is None:
            return expected
        secret = setup.token.secret.encode()
        at = expected.find(secret)
        while at >= 0:
            os.lseek(fd, at, os.SEEK_SET)
            write_all(fd, WIPE_WITH * len(secret))
            at = expected.find(secret, at + len(secret))
        os.fsync(fd)
        return expected.replace(secret, WIPE_WITH * len(secret))
    finally:
        os.close(fd)


def _find(folder: Path) -> Path:
    with _named(folder):
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry in islice(entries, MAX_ENTRIES)]
        except NotADirectoryError as error:
            raise NotThatFileError(
                f"{folder}: a file came, the folder of a mounted stick was allowed",
                advice=f"name the folder that {SETUP_NAME} is in",
            ) from error
    # FAT keeps the case as typed; `._` names are what macOS puts beside each file.
    found = sorted(name for name in names if name.casefold().startswith(_STEM) and name != _FRESH)
    if len(found) > 1:
        shown = ", ".join(plain(name, 60) for name in found[:5])
        raise SeveralSetupFilesError(
            f"{folder}: {len(found)} setup files came ({shown}), one was allowed", advice="delete the others"
        )
    if not found:
        raise NoSetupFileError(
            f"{folder}: no {SETUP_NAME} in it",
            advice="the provider writes it: vedette-collector token new --stick; it belongs into no other folder",
        )
    if found[0].casefold() != SETUP_NAME:
        raise NotThatFileError(
            f"{folder}: {plain(found[0], 80)} came, the name {SETUP_NAME} was allowed",
            advice="rename it; Windows hides endings like .txt until View > File name extensions is on",
        )
    return folder / found[0]


def _open(path: Path, flags: int) -> int:
    """A descriptor of a regular file that is no link; a named pipe would hold whoever opens it."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file")
    return fd


def _kind(path: Path) -> str:
    mode = path.lstat().st_mode
    return "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "something that is no file"


def _replace(path: Path, data: bytes) -> None:
    """As `files.replace_file`, on a medium that may hold a trap under the new name and knows no file modes."""
    fresh = path.with_name(_FRESH)
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, data)
        os.fsync(fd)
    except OSError:
        os.close(fd)
        fresh.unlink(missing_ok=True)
        raise
    os.close(fd)
    fresh.rename(path)
    fsync_folder(path.parent)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """The kernel's errors by the stick's names."""
    try:
        yield
    except OSError as error:
        said = f"{path}: {error.strerror or error}"
        if error.errno in _READ_ONLY:
            raise StickReadOnlyError(
                said,
                advice="switch the stick's write protection off: the box wipes the token after use;"
                " or give --leave-stick",
            ) from error
        if error.errno in _FULL:
            raise StickFullError(said, advice="delete something from the stick and type the command again") from error
        raise StickGoneError(said, advice="is the stick in and mounted? put it back and type the command again") from (
            error
        )
