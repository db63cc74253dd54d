"""A local socket for the owner alone: made where an older one lay, never open to others even for a moment.

Rules of this file: bind, accept, close; what is said over the socket is its callers'.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from appliance.errors import EnvironmentFault

MAX_SOCKET_PATH = 107
"""sun_path of sockaddr_un holds 108 bytes with its terminator (unix(7))."""


class PrivateSocket:
    """A listening stream socket at a path, 0600, until it is closed from another thread."""

    def __init__(self, path: Path) -> None:
        """Bind it.

        Raises:
            EnvironmentFault: it cannot be made there.
        """
        self._path = path
        self._closing = False
        self._listener = _listen(path)

    def callers(self) -> Iterator[socket.socket]:
        """Whoever connects, one after the other; ends when the socket is closed."""
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            yield connection

    def close(self) -> None:
        """Take no more callers: the thread that waits for one goes on."""
        self._closing = True
        # Wakes the thread that waits in accept, which close alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def remove(self) -> None:
        """Take the path away."""
        self._path.unlink(missing_ok=True)


def _listen(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise EnvironmentFault(
            f"{path}: {len(os.fsencode(path))} bytes of path came, {MAX_SOCKET_PATH} were allowed for a socket",
            advice="Choose a shorter [sensor] state_dir.",
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(8)
    except OSError as error:
        listener.close()
        raise EnvironmentFault(f"socket {path}: {error.strerror or error}") from error
    return listener
