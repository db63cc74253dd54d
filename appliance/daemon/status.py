"""The local status socket: whoever connects gets one JSON object and the end of the stream.

Rules of this file: nothing is read from the caller, so nothing can be asked for; the socket is for the owner alone
(0600); a caller that does not read is dropped after `SEND_TIMEOUT_S`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from appliance.daemon.private_socket import PrivateSocket
from appliance.errors import EnvironmentFault

log = logging.getLogger("vedette")

SEND_TIMEOUT_S = 2.0
MAX_STATUS_BYTES = 1 << 20


class StatusServer:
    """Answers each connection with what `status()` returns at that moment."""

    def __init__(self, path: Path, status: Callable[[], Mapping[str, Any]]) -> None:
        """Bind the socket.

        Raises:
            EnvironmentFault: the socket cannot be made there.
        """
        self._status = status
        self._socket = PrivateSocket(path)
        self._thread = threading.Thread(target=self._serve, name="status", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and remove the socket."""
        self._socket.close()
        if self._thread.is_alive():
            self._thread.join(SEND_TIMEOUT_S * 2)
        self._socket.remove()

    def _serve(self) -> None:
        for connection in self._socket.callers():
            with connection, contextlib.suppress(OSError):
                connection.settimeout(SEND_TIMEOUT_S)
                connection.sendall(json.dumps(self._answer()).encode())

    def _answer(self) -> Mapping[str, Any]:
        """The status; a fault in making it is told to this caller and must not end the answering."""
        try:
            return self._status()
        except Exception as error:
            log.exception("status could not be made")
            return {"error": f"{type(error).__name__}: {error}"}


def ask_status(path: Path, timeout_s: float = 5.0) -> dict[str, Any]:
    """What the daemon at this socket says of itself.

    Raises:
        EnvironmentFault: nobody answers there, or not with a status.
    """
    received = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            while (piece := connection.recv(65536)) and len(received) <= MAX_STATUS_BYTES:
                received += piece
        answer = json.loads(received)
    except (OSError, ValueError) as error:
        raise EnvironmentFault(
            f"status socket {path}: {error}", advice="Is `vedette run` running with this configuration?"
        ) from error
    if not isinstance(answer, dict):
        raise EnvironmentFault(f"status socket {path}: {type(answer).__name__} came, an object was allowed")
    return answer
