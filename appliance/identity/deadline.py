"""A whole answer against one deadline, however it dribbles: what a socket's own timeout cannot say.

Rules of this file: a socket's timeout begins anew with every byte, so a peer that sends one now and then, or one
interim answer after another (RFC 9110 section 15.2), would hold a thread for ever. Here every read waits only for what
is left. No HTTP.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from typing import Any


class Deadline:
    """Ends `timeout_s` after it was made or last `start`ed."""

    def __init__(self, timeout_s: float, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self.start(timeout_s)

    def start(self, timeout_s: float) -> None:
        """Count anew from now."""
        self._at_s = self._monotonic_s() + timeout_s

    def left_s(self) -> float:
        """Seconds that are left.

        Raises:
            TimeoutError: none.
        """
        left_s = self._at_s - self._monotonic_s()
        if left_s <= 0:
            raise TimeoutError("timed out")
        return left_s


class TimedSocket:
    """What `http.client` wants of a socket to read an answer from it: a file, whose reads obey `deadline`."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        """`mode` is "rb"."""
        if mode != "rb":
            raise ValueError(f"mode {mode!r} came, 'rb' was allowed")
        return io.BufferedReader(_TimedReader(self._sock, self._deadline))


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        # Holds the socket open until this reader is closed, as the file of any socket does.
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._sock.settimeout(self._deadline.left_s())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
