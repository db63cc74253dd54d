"""The file that a running supervisor takes over the link: its modules as bytecode, for the spare slot.

    "VFW1", version of the bytecode, board, files 2; then each file: name length, name, size 4, octets; big endian

Rules of this file: names and octets in, one file out, the same for the same. `supervisor/upgrade.py` is the reader and
has the limits; what it would refuse is refused here. What stays frozen (loader, board, start) is never in it, so that
no upgrade can keep a board from choosing another.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from firmware.uf2.errors import ImageError

MAGIC = b"VFW1"
MOST_BYTES = 262_144
MOST_FILES = 64
MOST_NAME = 40
# MicroPython 1.25 writes and reads version 6 of its bytecode.
BYTECODE = 6
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_./")


def modules(tree: Path, generated: Path, libraries: Path) -> dict[str, Path]:
    """What an upgrade holds: name in the slot, without its suffix -> source.

    Args:
        tree: the root of our tree.
        generated: the folder with the module `release`.
        libraries: the folder with the package `senml`.
    """
    firmware, wire = tree / "firmware", tree / "appliance/wire"
    found = {f"supervisor/{path.stem}": path for path in (firmware / "supervisor").glob("*.py")}
    found |= {f"senml/{path.stem}": path for path in (libraries / "senml").glob("*.py")}
    found |= {f"appliance/wire/{name}": wire / f"{name}.py" for name in ("mcu_link", "mcu_words")}
    found |= {"cbor2": firmware / "lib/cbor2.py", "release": generated / "release.py"}
    return dict(sorted(found.items()))


def pack(board: int, files: Mapping[str, bytes], bytecode: int = BYTECODE) -> bytes:
    """The whole file.

    Args:
        board: its number in `mcu_words.BOARDS`.
        files: name in the slot -> octets.

    Raises:
        ImageError: the supervisor would refuse it.
    """
    if not 0 < len(files) <= MOST_FILES:
        raise ImageError(f"{len(files)} files came; 1 to {MOST_FILES} were allowed")
    out = bytearray(MAGIC + struct.pack(">BBH", bytecode, board, len(files)))
    for name, octets in sorted(files.items()):
        parts = name.split("/")
        if (
            not 0 < len(name) <= MOST_NAME
            or not set(name) <= _LETTERS
            or any(part in ("", ".", "..") for part in parts)
        ):
            raise ImageError(f"name {name!r} came; up to {MOST_NAME} small letters, digits, _ . / were allowed")
        if not name.endswith((".mpy", ".py")):
            raise ImageError(f"name {name!r} came; .mpy and .py were allowed")
        out += struct.pack(">B", len(name)) + name.encode("ascii") + struct.pack(">I", len(octets)) + octets
    if len(out) > MOST_BYTES:
        raise ImageError(f"{len(out)} octets came; {MOST_BYTES} were allowed")
    return bytes(out)
