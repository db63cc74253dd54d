"""A board at the other end of a real terminal device: a thread that hears octets and answers them.

Rules of this file: the line is the kernel's (a pty); the board is whatever has `hear(bytes) -> bytes`. Ends with its
`with`; `unplug` and `plug` are what a hand does.
"""

from __future__ import annotations

import contextlib
import os
import pty
import threading
import tty
from pathlib import Path
from types import TracebackType
from typing import Protocol


class Hears(Protocol):
    """A board, or a stand-in for one."""

    def hear(self, data: bytes) -> bytes:
        """What it answers."""


class SerialLine:
    """`path` is a link that a box may have in its configuration; it is there while the line is plugged."""

    def __init__(self, board: Hears, path: Path) -> None:
        self.board = board
        self.path = path
        self.lock = threading.Lock()
        """Held while the board hears, so that a test may look at it in between."""
        self._fd = self._ours = -1
        self._thread: threading.Thread | None = None

    def __enter__(self) -> SerialLine:
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.unplug()

    def plug(self) -> None:
        """The device appears."""
        self._fd, ours = pty.openpty()
        tty.setraw(self._fd)
        # Without somebody who has it open, the kernel tells the board's end that it was hung up.
        self._ours = ours
        self.path.symlink_to(os.ttyname(ours))
        self._thread = threading.Thread(target=self._serve, args=(self._fd,), daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """The device is gone."""
        self.path.unlink(missing_ok=True)
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        # Wakes the thread: it reads this and sees that the line has ended.
        with contextlib.suppress(OSError):
            os.write(self._ours, b"\0")
        os.close(self._ours)
        if self._thread is not None:
            self._thread.join(10)

    def say(self, data: bytes) -> None:
        """Octets that nobody has asked for."""
        with contextlib.suppress(OSError):
            os.write(self._fd, data)

    def _serve(self, fd: int) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(fd, 4096):
                with self.lock:
                    answer = self.board.hear(data)
                if self._fd != fd:
                    break
                while answer:
                    answer = answer[os.write(fd, answer) :]
        with contextlib.suppress(OSError):
            os.close(fd)
