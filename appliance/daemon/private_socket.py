"""A local socket for the owner alone: made where an older one lay, never open to others even for a moment.

Rules of this file: one function; what is said over the socket is its callers'.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from appliance.errors import EnvironmentFault

MAX_SOCKET_PATH = 107
"""sun_path of sockaddr_un holds 108 bytes with its terminator (unix(7))."""


def listen(path: Path) -> socket.socket:
    """A listening stream socket at `path`, 0600.

    Raises:
        EnvironmentFault: it cannot be made there.
    """
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
