"""FAT file systems as files, made and read without mounting: what is on a provider's stick.

Rules of this file: mtools in the tools tree does the work; names are those of a stick's first folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from image.errors import StepError
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


def add_file(tools: Tools, fat: Path, file: Path, *, offset: int = 0) -> None:
    """Put a file into a FAT file system that begins at `offset` bytes.

    Raises:
        StepError: there is no room.
    """
    tools.run("mcopy", "-o", "-i", f"{fat}@@{offset}", file, "::/")


def partition_offset(tools: Tools, disk: Path, label: str) -> int:
    """Where the partition of that label begins, in bytes.

    Raises:
        StepError: there is none.
    """
    table = json.loads(tools.run("sfdisk", "--json", disk))["partitiontable"]
    for partition in table["partitions"]:
        if partition.get("name") == label:
            return int(partition["start"]) * int(table["sectorsize"])
    raise StepError(f"{disk}: no partition {label}")
