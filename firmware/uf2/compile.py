"""The programs of a build and their arguments: mpy-cross for this machine, then one image for each board.

Rules of this file: what a program is told is here. Paths are mapped away and the time is the commit's, so that where
and when it was built is not in the image.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from firmware import vfw
from firmware.uf2 import manifest
from firmware.uf2.boards import Board
from firmware.uf2.sources import MICROPYTHON_TAG
from firmware.uf2.stage import Stage


def environment(epoch: int, version: str) -> dict[str, str]:
    """What every program of the build finds."""
    return {
        "SOURCE_DATE_EPOCH": str(epoch),
        "MICROPY_GIT_TAG": manifest.tag(MICROPYTHON_TAG, version),
        "MICROPY_GIT_HASH": "",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def jobs() -> str:
    """As many compilers as processors."""
    return f"-j{len(os.sched_getaffinity(0))}"


def cross_compiler(stage: Stage, epoch: int, version: str) -> None:
    """Build mpy-cross, which turns our modules into bytecode.

    Raises:
        StepError: it did not build.
    """
    debian = stage.debian
    folder = stage.micropython / "mpy-cross"
    told = {**environment(epoch, version), "MICROPY_GIT_TAG": MICROPYTHON_TAG}
    debian.run("mpy-cross", folder, "make", jobs(), environment=told, log=stage.logs / "mpy-cross")


def image(stage: Stage, board: Board, epoch: int, version: str) -> Path:
    """Build one board's image; returns the UF2 file.

    Raises:
        StepError: it did not build.
    """
    debian = stage.debian
    target = stage.folder / f"build-{board.name}"
    target.mkdir()
    # By environment: as an option they would take the place of the SDK's own flags, which name the processor.
    mapped = dict.fromkeys(("CFLAGS", "CXXFLAGS", "ASMFLAGS"), f"-ffile-prefix-map={debian.seen(stage.folder)}=.")
    told = {**environment(epoch, version), **mapped, "MICROPY_MPYCROSS": debian.seen(stage.cross_compiler)}
    options = {
        "MICROPY_BOARD": board.micropython,
        "MICROPY_FROZEN_MANIFEST": debian.seen(stage.manifest(board.name)),
        "MICROPY_LIB_DIR": debian.seen(stage.library),
        "PICO_BUILD_DOCS": "0",
    }
    settings = [f"-D{name}={value}" for name, value in options.items()]
    port, seen = stage.micropython / "ports/rp2", debian.seen(target)
    configure = ("cmake", "-S", ".", "-B", seen, *settings)
    debian.run(f"{board.name}: configure", port, *configure, environment=told, log=stage.logs / f"{board.name}-cmake")
    build = ("make", "-C", seen, jobs())
    debian.run(f"{board.name}: compile", port, *build, environment=told, log=stage.logs / f"{board.name}-make")
    return target / "firmware.uf2"


def slot_files(stage: Stage, board: Board, epoch: int, version: str) -> dict[str, bytes]:
    """The bytecode of what an upgrade over the link holds: name in the slot -> octets.

    Raises:
        StepError: it did not compile.
    """
    debian = stage.debian
    target = stage.folder / f"slot-{board.name}"
    # Of the build's own copy: the tree may change while compilers are at work.
    sources = vfw.sources(manifest.numbers(version), board.name, stage.tree)
    lines = []
    for name, octets in sorted(sources.items()):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(octets)
        lines.append(shlex.join(["-s", name, name]))
    (target / "arguments").write_text("\n".join(lines) + "\n", encoding="utf-8")
    every = ("xargs", "-a", "arguments", "-L", "1", debian.seen(stage.cross_compiler))
    log = stage.logs / f"{board.name}-slot"
    debian.run(f"{board.name}: upgrade", target, *every, environment=environment(epoch, version), log=log)
    compiled = [name.removesuffix(".py") + ".mpy" for name in sources]
    return {name: (target / name).read_bytes() for name in compiled}
