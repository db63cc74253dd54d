"""FAT file systems as files, made and read without mounting: what is on a provider's stick.

Rules of this file: mtools in the tools tree does the work; names are those of a stick's first folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from image.layout import MIB
from image.tools import Tools

SETUP_MIB = 64
LABEL = "VEDETTE"


def make_fat(tools: Tools, target: Path, files: Iterable[Path] = (), *, mib: int = SETUP_MIB) -> None:
    """A FAT file system with these files in its first folder.

    Raises:
        StepError: a program failed.
    """
    target.unlink(missing_ok=True)
    with target.open("wb") as file:
        file.truncate(mib * MIB)
    tools.run("mkfs.fat", "-n", LABEL, "-i", "56454445", "--invariant", target)
    names = list(files)
    if names:
        tools.run("mcopy", "-i", target, *names, "::/")


def read_file(tools: Tools, fat: Path, name: str, *, offset: int = 0) -> str:
    """A file of a FAT file system that begins at `offset` bytes.

    Raises:
        StepError: it is not there.
    """
    return tools.run("mtype", "-i", f"{fat}@@{offset}", f"::/{name}")
