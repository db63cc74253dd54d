"""Screen and keyboard of a virtual machine (QEMU Machine Protocol): keys are pressed, the screen is kept as a picture.

Rules of this file: one connection for one task. The keyboard is a USB one, as a field engineer brings it; it needs the
bus that the machine's stick is on.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from image.errors import DrillError

_TIMEOUT_S = 20.0
_KEYS = {"\n": "ret", " ": "spc"}


def arguments(path: Path) -> list[str]:
    """QEMU's arguments for the seat; `path` is its socket."""
    return [
        *("-device", "VGA,romfile=", "-device", "usb-kbd,bus=usb.0"),
        *("-qmp", f"unix:{path},server=on,wait=off"),
    ]


def keys(text: str) -> list[list[str]]:
    """Each letter's keys, pressed together, by QEMU's names."""
    return [["shift", letter.lower()] if letter.isupper() else [_KEYS.get(letter, letter)] for letter in text]


def press(path: Path, text: str) -> None:
    """Type a text: letters, digits, space, Enter.

    Raises:
        DrillError: the machine does not take it.
    """
    held = [[{"type": "qcode", "data": name} for name in together] for together in keys(text)]
    _tell(path, [("send-key", {"keys": together, "hold-time": 50}) for together in held])


def picture(path: Path, target: Path) -> int:
    """Keep the screen (PPM); returns how many of its pixels are not black.

    Raises:
        DrillError: the machine does not give it.
    """
    _tell(path, [("screendump", {"filename": str(target)})])
    return lit(target.read_bytes())


def lit(ppm: bytes) -> int:
    """Pixels that are not black in a binary PPM of 8 bits as QEMU writes it.

    Raises:
        DrillError: it is another format.
    """
    fields = ppm.split(maxsplit=4)
    if len(fields) != 5 or fields[0] != b"P6" or not (fields[1] + fields[2]).isdigit() or fields[3] != b"255":
        raise DrillError(f"a picture that begins with {ppm[:16]!r} came, binary PPM of 8 bits was allowed")
    start = len(ppm) - int(fields[1]) * int(fields[2]) * 3
    return sum(any(ppm[at : at + 3]) for at in range(start, len(ppm), 3))


def _tell(path: Path, commands: list[tuple[str, dict[str, Any]]]) -> None:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(path))
            with connection.makefile("rwb") as stream:
                stream.readline()
                for name, values in [("qmp_capabilities", {}), *commands]:
                    stream.write(json.dumps({"execute": name, "arguments": values}).encode() + b"\n")
                    stream.flush()
                    answer = json.loads(stream.readline())
                    while "return" not in answer:
                        if "error" in answer:
                            raise DrillError(f"{name}: {answer['error']}")
                        # An event that came between.
                        answer = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise DrillError(f"{path}: the machine does not answer: {error}") from error
