"""Makes a `.vfw` file: a firmware that goes over the link into a slot (`supervisor/upgrade.py` tells its form).

    python -m firmware.vfw --board rp2350 --release 0.2.0 --mpy-cross build/mpy-cross/mpy-cross
    python -m firmware.vfw --board simulated --release 0.2.0 --sources        # for tests: not compiled

Rules of this file: runs on a developer's machine, never on a board. The same tree makes the same octets: files in the
order of their names, no times. `loader/`, `board/` and `lib/` are left out: they are always the frozen ones.
"""

from __future__ import annotations

import argparse
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from appliance.wire import mcu_words

ROOT = Path(__file__).parents[1]
MAGIC = b"VFW1"
MPY = 6
"""The version of compiled modules that MicroPython 1.25 loads; the second octet of a `.mpy` file."""
WIRE = ("mcu_link.py", "mcu_words.py")


class VfwError(Exception):
    """Something that does not make a firmware."""


def release(text: str) -> tuple[int, int, int]:
    """Three numbers of an octet each.

    Raises:
        VfwError: other than that.
    """
    found = re.fullmatch(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})", text)
    if found is None or any(int(part) > 255 for part in found.groups()):
        raise VfwError(f"release {text!r} came; three numbers from 0 to 255 were allowed")
    major, minor, patch = (int(part) for part in found.groups())
    return major, minor, patch


def sources(numbers: tuple[int, int, int], board: str, root: Path = ROOT) -> dict[str, bytes]:
    """Name in the slot -> source of every module that a slot has, from the tree at `root`."""
    out = {f"supervisor/{path.name}": path.read_bytes() for path in (root / "firmware" / "supervisor").glob("*.py")}
    out |= {f"appliance/wire/{name}": (root / "appliance" / "wire" / name).read_bytes() for name in WIRE}
    version = ".".join(map(str, numbers))
    text = f'"""Which release this is."""\n\nVERSION = {version!r}\nNUMBERS = {numbers!r}\nBOARD = {board!r}\n'
    return out | {"release.py": text.encode()}


def compiled(modules: Mapping[str, bytes], mpy_cross: Path) -> dict[str, bytes]:
    """The modules by MicroPython's compiler.

    Raises:
        VfwError: it cannot be run, does not take a module, or makes another version of `.mpy`.
    """
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, source in modules.items():
            path = Path(folder) / "module.py"
            path.write_bytes(source)
            made = path.with_suffix(".mpy")
            # `-s` is the name that a traceback shows; without it, the folder's would be in the octets.
            command = [str(mpy_cross), "-s", name, "-o", str(made), str(path)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except OSError as error:
                raise VfwError(f"{mpy_cross}: {error.strerror}") from error
            if done.returncode != 0:
                raise VfwError(f"{name}: mpy-cross ended with {done.returncode}: {done.stderr.strip()}")
            octets = made.read_bytes()
            if octets[:1] != b"M" or octets[1] != MPY:
                raise VfwError(
                    f"{name}: .mpy version {octets[1]} came, {MPY} was allowed: another release of mpy-cross"
                )
            out[name.removesuffix(".py") + ".mpy"] = octets
    return out


def pack(board: int, files: Mapping[str, bytes]) -> bytes:
    """The octets of a `.vfw` file."""
    out = MAGIC + struct.pack(">BBH", MPY, board, len(files))
    for name in sorted(files):
        out += struct.pack(">B", len(name)) + name.encode("ascii") + struct.pack(">I", len(files[name])) + files[name]
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file; 0 when it is there."""
    parser = argparse.ArgumentParser(
        prog="python -m firmware.vfw", description="Make a firmware that goes over the link."
    )
    parser.add_argument("--board", choices=mcu_words.BOARDS, required=True)
    parser.add_argument("--release", required=True, metavar="X.Y.Z", help="what the firmware calls itself")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--mpy-cross", type=Path, metavar="PROGRAM", help="MicroPython's compiler, of the board's release")
    how.add_argument("--sources", action="store_true", help="leave the modules as they are (for tests)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: vedette-supervisor-BOARD-X.Y.Z.vfw")
    chosen = parser.parse_args(arguments)
    try:
        modules = sources(release(chosen.release), chosen.board)
        octets = pack(
            mcu_words.BOARDS.index(chosen.board), modules if chosen.sources else compiled(modules, chosen.mpy_cross)
        )
    except VfwError as error:
        print(f"vfw: {error}", file=sys.stderr)
        return 1
    out = chosen.out or Path(f"vedette-supervisor-{chosen.board}-{chosen.release}.vfw")
    out.write_bytes(octets)
    print(f"{out}: {len(octets)} bytes, {len(modules)} modules")
    return 0


if __name__ == "__main__":
    sys.exit(main())
