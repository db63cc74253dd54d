"""The host's end of a drill image's ear: commands in, what they said out (`image/drill`, the other end).

Rules of this file: the socket and the form of a line; what to ask is the drills' business. An image without the ear
never answers, which ends in a named error.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

from image.errors import DrillError

NAME = "vedette.drill"


def arguments(path: Path) -> tuple[str, ...]:
    """QEMU's arguments for the port."""
    return (
        *("-device", "virtio-serial-pci", "-chardev", f"socket,id=drill,path={path},server=on,wait=off"),
        *("-device", f"virtserialport,chardev=drill,name={NAME}"),
    )


def ask(path: Path, *argv: str, stdin: str = "", timeout_s: float = 120, code: int | None = 0) -> str:
    """Run a program in the box; returns what it said.

    Raises:
        DrillError: it did not answer in time, or ended with another code than `code` (None: any).
    """
    answer = json.loads(_talk(path, json.dumps({"argv": argv, "input": stdin}).encode() + b"\n", timeout_s))
    if code is not None and answer["code"] != code:
        raise DrillError(f"in the box, {' '.join(argv)}: exit {answer['code']}, {code} was allowed\n{answer['said']}")
    return str(answer["said"])


def order(path: Path, *argv: str) -> None:
    """Run a program in the box that does not live to answer."""
    with _connected(path, 10) as sock:
        sock.sendall(json.dumps({"argv": argv}).encode() + b"\n")


def _talk(path: Path, line: bytes, timeout_s: float) -> bytes:
    data = b""
    try:
        with _connected(path, timeout_s) as sock:
            sock.sendall(line)
            while not data.endswith(b"\n"):
                more = sock.recv(65536)
                if not more:
                    raise DrillError(f"the box ended while it was asked {line.decode()}")
                data += more
    except TimeoutError as error:
        raise DrillError(f"the box did not answer {line.decode()} in {timeout_s:.0f} s") from error
    return data


def _connected(path: Path, timeout_s: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout_s)
    try:
        sock.connect(str(path))
    except OSError as error:
        sock.close()
        raise DrillError(f"{path}: {error.strerror or error}") from error
    return sock
