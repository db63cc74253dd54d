"""A small write to the spool's disk, again and again, in a thread of its own: a disk that hangs must hang nobody else.

Rules of this file: one block written in place and synchronised, so a full disk takes it once the file is there. The
answer is two numbers and a word; what they mean is `alive/spool.py`'s.
"""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

from appliance.clock import Clock

EVERY_S = 10.0
_BLOCK = b"vedette writes here to see that the disk takes it\n".ljust(512, b"\0")
# A restart makes no room; the spool and the check of the disk's space tell of it.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class DiskProbe:
    """`run` is the body of the thread; the rest may be asked from any."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._ended_s = clock.monotonic_s()
        self.fault = ""

    @property
    def still_s(self) -> float:
        """Seconds since a write last came to an end."""
        return self._clock.monotonic_s() - self._ended_s

    def once(self) -> None:
        """Write, and remember how it ended."""
        fault = ""
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(fd, _BLOCK, 0)
                os.fdatasync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                fault = f"{self._path}: {error.strerror}"
        self.fault = fault
        self._ended_s = self._clock.monotonic_s()

    def run(self, stop: threading.Event) -> None:
        """Write every `EVERY_S` until told to stop."""
        while True:
            self.once()
            if stop.wait(EVERY_S):
                return
