"""The spool's folder and the lock that keeps a second process out.

Rules of this file: the lock is the kernel's (`flock`), so it ends with the process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from appliance.spool.errors import SpoolError, SpoolLockedError
from appliance.spool.recovery import LOCK_NAME


def prepare(folder: Path) -> None:
    """Make the folder, readable by its owner only: alerts hold packets.

    Raises:
        SpoolError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise SpoolError(
            f"{folder}: cannot make the spool folder: {exc.strerror}", advice="check sensor.state_dir"
        ) from exc


class FolderLock:
    """Held from construction to `release`."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            SpoolLockedError: another process holds it.
            SpoolError: the lock file cannot be made.
        """
        path = folder / LOCK_NAME
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise SpoolError(
                f"{path}: cannot open: {exc.strerror}", advice="check the owner of the spool folder"
            ) from exc
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        except BlockingIOError as exc:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise SpoolLockedError(
                f"{folder}: process {holder} has the spool open",
                advice="stop that process first, or use its own commands",
            ) from exc
        except OSError:
            # The process number is a courtesy; on a full disk the lock holds without it.
            pass
        self._fd = fd

    def release(self) -> None:
        """Let the next one in."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
