"""The three file-system idioms that durability needs.

Rules of this file: raises `OSError` as the kernel gave it; the callers name it.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def write_all(fd: int, data: bytes) -> None:
    """Write every byte: a nearly full disk takes a part and says so only at the next call."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def open_to_read(path: Path) -> int:
    """A descriptor of a regular file. A named pipe would hold whoever opens it until somebody writes.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file")
    return fd


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a new file's own fsync does not."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_file(path: Path, data: bytes, *, mode: int = 0o600, fsync: bool = True) -> None:
    """Put `data` in the place of `path`: whoever reads sees the old bytes or the new ones, before and after a crash."""
    temporary = path.with_name(path.name + ".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.fchmod(fd, mode)
        write_all(fd, data)
        if fsync:
            os.fsync(fd)
    except OSError:
        os.close(fd)
        temporary.unlink(missing_ok=True)
        raise
    os.close(fd)
    temporary.rename(path)
    if fsync:
        fsync_folder(path.parent)
