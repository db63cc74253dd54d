"""Screen and keyboard of a virtual machine: keys are pressed, the screen is kept as a picture.

Rules of this file: the machine hears of it by `qmp.py`. The keyboard is a USB one, as a field engineer brings it; it
needs the bus that the machine's stick is on.
"""

from __future__ import annotations

from pathlib import Path

from image import qmp
from image.errors import DrillError

_KEYS = {"\n": "ret", " ": "spc"}


def arguments() -> list[str]:
    """QEMU's arguments for the seat."""
    return ["-device", "VGA,romfile=", "-device", "usb-kbd,bus=usb.0"]


def keys(text: str) -> list[list[str]]:
    """Each letter's keys, pressed together, by QEMU's names."""
    return [["shift", letter.lower()] if letter.isupper() else [_KEYS.get(letter, letter)] for letter in text]


def press(path: Path, text: str) -> None:
    """Type a text: letters, digits, space, Enter.

    Raises:
        DrillError: the machine does not take it.
    """
    for together in keys(text):
        held = [{"type": "qcode", "data": name} for name in together]
        qmp.ask(path, "send-key", **{"keys": held, "hold-time": 50})


def picture(path: Path, target: Path) -> int:
    """Keep the screen (PPM); returns how many of its pixels are not black.

    Raises:
        DrillError: the machine does not give it.
    """
    qmp.ask(path, "screendump", filename=str(target))
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
