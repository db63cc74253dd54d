"""The wire to a virtual machine's own controls (QEMU Machine Protocol): what its host asks and orders.

Rules of this file: one connection for one command, so that a machine that is gone costs nothing.
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
    for entry in ask(path, "query-blockstats"):
        if entry.get("device") == drive:
            return int(entry["stats"]["wr_bytes"])
    raise DrillError(f"the machine has no drive {drive}")


def ask(path: Path, command: str, **values: Any) -> Any:
    """Have the machine do one command; returns what it answers. `stop`: its processors stand still, `cont`: they go on.

    Raises:
        DrillError: it does not answer, or refuses.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(path))
            with connection.makefile("rwb") as stream:
                stream.readline()
                for name, given in (("qmp_capabilities", {}), (command, values)):
                    stream.write(json.dumps({"execute": name, "arguments": given}).encode() + b"\n")
                    stream.flush()
                    answer = json.loads(stream.readline())
                    while "return" not in answer:
                        if "error" in answer:
                            raise DrillError(f"{name}: the machine refuses: {answer['error']}")
                        # An event that came between.
                        answer = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise DrillError(f"{command}: the machine does not answer: {error}") from error
    return answer["return"]
