"""The local control socket: what a person may have the running daemon do with the supervisor, which has one port only.

    caller   one line of JSON: {"do": "hold", "seconds": 60, "reason": "service"}
             or {"do": "element", "call": "sign", "data": "<hex>"}, done with {"data": "<hex>"} or null
             or {"do": "update", "name": "...", "version": ""} with the open file beside it (SCM_RIGHTS, unix(7))
    daemon   lines of JSON: {"at": 160, "of": 5000} as it goes on, at last {"done": {...}} or {"error": "...", ...}

Rules of this file: the socket is for the owner alone (0600), and what can be asked for is this closed list. A caller
that says nothing, too much or anything else gets an error and no more of our time than `READ_TIMEOUT_S`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.daemon.private_socket import PrivateSocket
from appliance.errors import ApplianceError, EnvironmentFault, OperatorError
from appliance.mcu import LinkElement, Supervisor
from appliance.mcu.element import serve
from appliance.mcu.orders import hold, update
from appliance.mcu.upgrade import MAX_BYTES, Firmware

log = logging.getLogger("vedette")

CONTROL_SOCKET = "supervisor.sock"
READ_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 300.0
"""Of the caller: longer than one step of an update may take; each step is told."""
MAX_REQUEST_BYTES = 4096
MOST_CALLERS = 4


class ControlServer:
    """Carries out one caller's wish after the other's."""

    def __init__(self, path: Path, supervisor: Supervisor) -> None:
        """Bind the socket.

        Raises:
            EnvironmentFault: the socket cannot be made there.
        """
        self._supervisor = supervisor
        self._places = threading.Semaphore(MOST_CALLERS)
        self._updating = threading.Lock()
        self._socket = PrivateSocket(path)
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Take no more callers, and remove the socket."""
        self._socket.close()
        self._socket.remove()

    def _serve(self) -> None:
        for connection in self._socket.callers():
            if not self._places.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._caller, args=(connection,), name="caller", daemon=True).start()

    def _caller(self, connection: socket.socket) -> None:
        def say(**words: Any) -> None:
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps(words).encode() + b"\n")

        try:
            with connection:
                connection.settimeout(READ_TIMEOUT_S)
                try:
                    say(done=self._carry_out(*_request(connection), say))
                except ApplianceError as error:
                    say(error=str(error), advice=error.advice, exit_code=error.exit_code)
                except Exception as error:
                    log.exception("a caller of the control socket could not be served")
                    say(error=f"{type(error).__name__}: {error}", advice="report this: a fault of ours", exit_code=4)
        finally:
            self._places.release()

    def _carry_out(self, request: dict[str, Any], data: bytes, say: Callable[..., None]) -> dict[str, Any]:
        supervisor = self._supervisor
        match request:
            case {"do": "hold", "seconds": int(seconds), "reason": str(reason)}:
                return {"granted_s": hold(supervisor.ask, seconds, reason)}
            case {"do": "element", "call": str(call), "data": str(coded)}:
                try:
                    octets = bytes.fromhex(coded)
                except ValueError as error:
                    raise OperatorError("no hexadecimal digits came") from error
                came = serve(LinkElement(supervisor.ask), call, octets)
                return {"data": None if came is None else came.hex()}
            case {"do": "update", "name": str(name), "version": str(version)}:
                firmware = Firmware.parse(name, data, version)
                if not self._updating.acquire(blocking=False):
                    raise EnvironmentFault("another update of the supervisor is under way", advice="wait for its end")
                try:
                    update(supervisor.ask, supervisor.status(), firmware, lambda at, of: say(at=at, of=of))
                finally:
                    self._updating.release()
                return {"version": firmware.version_text}
        raise OperatorError("a request came that the daemon does not know")


def _request(connection: socket.socket) -> tuple[dict[str, Any], bytes]:
    """The line, and what is in the file that came with it.

    Raises:
        OperatorError: not one line of JSON in time.
    """
    line, files = b"", []
    try:
        while not line.endswith(b"\n") and len(line) <= MAX_REQUEST_BYTES:
            piece, came, _, _ = socket.recv_fds(connection, MAX_REQUEST_BYTES, 1)
            files += came
            if not piece:
                break
            line += piece
        request = json.loads(line)
        if not isinstance(request, dict):
            raise OperatorError("no JSON object came, one was allowed")
        data = os.pread(files[0], MAX_BYTES + 1, 0) if files else b""
    except (OSError, ValueError, RecursionError) as error:
        raise OperatorError(f"no request came that can be read: {error}") from error
    finally:
        for file in files:
            os.close(file)
    return request, data


def order(
    path: Path,
    request: dict[str, Any],
    file: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    within_s: float = ANSWER_TIMEOUT_S,
) -> dict[str, Any] | None:
    """Have the daemon at this socket do something; None when no daemon is there. `within_s`: between two words of its.

    Raises:
        ApplianceError: what the daemon said of its failure, as the kind of error that it was.
        EnvironmentFault: it broke off.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return None
        try:
            connection.settimeout(within_s)
            socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], [] if file is None else [file])
            with connection.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    said = json.loads(line)
                    if "done" in said:
                        return dict(said["done"])
                    if "error" in said:
                        raise told(said)
                    if on_progress is not None:
                        on_progress(said["at"], said["of"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EnvironmentFault(f"control socket {path}: {error}") from error
    raise EnvironmentFault(f"control socket {path}: the daemon broke off", advice="vedette status")


def told(said: dict[str, Any]) -> ApplianceError:
    """An error of the daemon's as one of ours, with its exit code."""
    error = EnvironmentFault(str(said["error"]), advice=str(said.get("advice", "")))
    error.exit_code = int(said.get("exit_code", 4))
    return error
