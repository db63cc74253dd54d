"""The stick as bytes at offsets, to the medium itself and not into a cache.

Rules of this file: the only place that writes. Every failure of the medium becomes `StickFault` with the place it
happened at; a write that takes less than it was given goes on or fails, it is never counted as done.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from types import TracebackType

from image.flash.errors import HostError, StickFault
from image.flash.linux_ioctl import forget_cached, read_table_anew

_BINARY = getattr(os, "O_BINARY", 0)
_EXCLUSIVE = getattr(os, "O_EXCL", 0) if sys.platform == "linux" else 0
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)

_SAID = {
    errno.ENOSPC: ("is full, although it says that it is larger", "sticks with a false size exist; take another one"),
    errno.EROFS: ("is write-protected", "is there a switch on it?"),
    errno.EIO: ("stopped taking or giving data", "plug it in directly, without a hub, or take another one"),
    errno.ENXIO: ("is gone", "was it pulled out? plug it in and start again"),
    errno.ENODEV: ("is gone", "was it pulled out? plug it in and start again"),
}


class Medium:
    """An opened disk; a context manager."""

    def __init__(self, path: str, size_bytes: int, *, write: bool) -> None:
        """Open it; on Linux for us alone, so that nothing of it can be mounted meanwhile.

        Raises:
            HostError: no right to, or it is in use.
            StickFault: it is not there, or has another size than it was listed with.
        """
        self.path = path
        self.size_bytes = size_bytes
        try:
            self._fd = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | _EXCLUSIVE | _BINARY | _CLOEXEC)
        except PermissionError as error:
            raise HostError(f"{path}: {error.strerror}", advice=_ADVICE_RIGHTS) from error
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise HostError(f"{path}: in use", advice="unmount it, close what looks at it, start again") from error
            raise _fault(path, "opening it", error) from error
        if sys.platform == "linux":
            found = os.lseek(self._fd, 0, os.SEEK_END)
            if found != size_bytes:
                os.close(self._fd)
                raise StickFault(
                    f"{path}: {found} bytes came, it was listed with {size_bytes}", advice="was it changed for another?"
                )

    def __enter__(self) -> Medium:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # Linux tells of a lost write at the latest here, but `sync` has asked before.
        with contextlib.suppress(OSError):
            os.close(self._fd)

    def write(self, offset: int, data: bytes) -> None:
        """All of `data`, at `offset`.

        Raises:
            StickFault: the medium did not take it.
        """
        done = 0
        try:
            os.lseek(self._fd, offset, os.SEEK_SET)
            while done < len(data):
                taken = os.write(self._fd, data[done:] if done else data)
                if taken <= 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                done += taken
        except OSError as error:
            raise _fault(self.path, f"writing at byte {offset + done}", error) from error

    def read(self, offset: int, size: int) -> bytes:
        """As many bytes as were asked for.

        Raises:
            StickFault: the medium did not give them.
        """
        found = bytearray()
        try:
            os.lseek(self._fd, offset, os.SEEK_SET)
            while len(found) < size:
                piece = os.read(self._fd, size - len(found))
                if not piece:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                found += piece
        except OSError as error:
            raise _fault(self.path, f"reading at byte {offset + len(found)}", error) from error
        return bytes(found)

    def sync(self) -> None:
        """Everything written is on the medium when this returns.

        Raises:
            StickFault: it is not.
        """
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise _fault(self.path, "writing", error) from error

    def forget(self) -> None:
        """What is read from now on comes from the medium, not from what was written to it.

        (macOS' raw disks and Windows' physical ones have no cache in between.)

        Raises:
            StickFault: it could not be written out.
        """
        self.sync()
        if sys.platform == "linux":
            try:
                os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
                if stat.S_ISBLK(os.fstat(self._fd).st_mode):
                    forget_cached(self._fd)
            except OSError as error:
                raise _fault(self.path, "writing", error) from error

    def announce(self) -> None:
        """Let the kernel look at the partitions anew; where it cannot, it does so at the next plugging in."""
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                read_table_anew(self._fd)


_ADVICE_RIGHTS = (
    "run the terminal as administrator and start again" if sys.platform == "win32" else "start it with sudo in front"
)


def _fault(path: str, doing: str, error: OSError) -> StickFault:
    words, advice = _SAID.get(error.errno or 0, (error.strerror or str(error), "plug it in again, or take another one"))
    return StickFault(f"{path}: {words} ({doing}: {error.strerror or error})", advice=advice)
