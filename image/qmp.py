"""What a virtual machine's host asks of it: how much its disk has been told to write (QEMU Machine Protocol).

Rules of this file: one connection for one question, so that a machine that is gone costs nothing.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from image.errors import DrillError

_TIMEOUT_S = 20.0


def arguments(path: Path) -> list[str]:
    """QEMU's arguments for the socket."""
    return ["-qmp", f"unix:{path},server=on,wait=off"]


def written_bytes(path: Path, drive: str) -> int:
    """Bytes that the guest has written to a drive since power-on.

    Raises:
        DrillError: the machine does not answer, or has no such drive.
    """
    try:
        for entry in _ask(path, "query-blockstats"):
            if entry.get("device") == drive:
                return int(entry["stats"]["wr_bytes"])
    except (OSError, ValueError, KeyError) as error:
        raise DrillError(f"the machine does not answer: {error}") from error
    raise DrillError(f"the machine has no drive {drive}")


def tell(path: Path, command: str) -> None:
    """Have the machine do something: `stop` (processors stand still, what was written is written), or `cont`.

    Raises:
        DrillError: it does not.
    """
    try:
        _ask(path, command)
    except (OSError, ValueError) as error:
        raise DrillError(f"{command}: the machine does not: {error}") from error


def _ask(path: Path, command: str) -> Any:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_TIMEOUT_S)
        connection.connect(str(path))
        with connection.makefile("rwb") as stream:
            stream.readline()
            for name in ("qmp_capabilities", command):
                stream.write(json.dumps({"execute": name}).encode() + b"\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "return" not in answer:
                    if "error" in answer:
                        raise ValueError(answer["error"])
                    # An event that came between.
                    answer = json.loads(stream.readline())
    return answer["return"]
