"""The folder that one build happens in: MicroPython's tree made whole, our tree beside it, a manifest for each board.

Rules of this file: made anew for each build, from archives whose sums have been checked.
Debian's MicroPython has its submodules' folders empty; what our boards link is put there from Debian's own packages.
"""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from firmware.uf2 import manifest
from firmware.uf2.boards import BOARDS
from firmware.uf2.debian import Debian
from firmware.uf2.errors import HostError
from firmware.uf2.sources import MBEDTLS, MICROPYTHON

# In Debian 13: the packages pico-sdk-source and tinyusb-source.
LINKS = {"lib/pico-sdk": "/usr/src/pico-sdk", "lib/tinyusb": "/usr/src/tinyusb"}
# What is frozen comes from here, at the places that `firmware/manifest.py` knows.
OURS = ("firmware", "appliance/__init__.py", "appliance/wire")
_NOT_OURS = shutil.ignore_patterns("__pycache__", "*.pyc", "uf2")


@dataclass(frozen=True, slots=True)
class Stage:
    """A folder that is ready to build in."""

    debian: Debian
    folder: Path

    @property
    def micropython(self) -> Path:
        """MicroPython's tree."""
        return self.folder / "micropython"

    @property
    def cross_compiler(self) -> Path:
        """Where mpy-cross is, once it has been built."""
        return self.micropython / "mpy-cross/build/mpy-cross"

    @property
    def logs(self) -> Path:
        """What the programs said, a file for each step."""
        return self.folder / "logs"

    @property
    def library(self) -> Path:
        """In place of micropython-lib, which Debian does not have: a folder without a package in it."""
        return self.folder / "micropython-lib"

    @property
    def tree(self) -> Path:
        """Our tree, as far as it is frozen."""
        return self.folder / "tree"

    @property
    def libraries(self) -> Path:
        """What is frozen and comes from PyPI."""
        return self.folder / "libraries"

    def generated(self, board: str) -> Path:
        """What the build writes for one board: its module `release` and its manifest."""
        return self.folder / "generated" / board

    def manifest(self, board: str) -> Path:
        """The manifest of one board."""
        return self.generated(board) / "manifest.py"


def _unpack(archive: Path, target: Path) -> None:
    """Unpack an upstream archive without its one folder at the top."""
    with tarfile.open(archive) as packed:
        scratch = target.with_name(f"{target.name}.unpacking")
        packed.extractall(scratch, filter="data")
    (top,) = scratch.iterdir()
    top.rename(target)
    scratch.rmdir()


def prepare(debian: Debian, name: str, archives: Path, senml: Path, tree: Path, version: str) -> Stage:
    """Make the folder of one build.

    Args:
        name: of the folder; two builds of a comparison have two.
        archives: where the source archives are, checked.
        senml: where the package `senml` is.
        tree: the root of our tree.
        version: the product's.

    Raises:
        HostError: the tree has no such board, or the version is not one.
    """
    stage = Stage(debian, debian.root / "firmware-build" / name)
    shutil.rmtree(stage.folder, ignore_errors=True)
    stage.folder.mkdir(parents=True)
    for source, target in ((MICROPYTHON, stage.micropython), (MBEDTLS, stage.folder / "mbedtls")):
        _unpack(archives / source.archive, target)
    for place, aim in {**LINKS, "lib/mbedtls": debian.seen(stage.folder / "mbedtls")}.items():
        empty = stage.micropython / place
        empty.rmdir()
        empty.symlink_to(aim)
    stage.library.mkdir()
    (stage.library / "README.md").write_text("Nothing is taken from micropython-lib.\n", encoding="ascii")
    for part in OURS:
        target = stage.tree / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (tree / part).is_file():
            shutil.copyfile(tree / part, target)
        else:
            shutil.copytree(tree / part, target, ignore=_NOT_OURS)
    shutil.copytree(senml / "senml", stage.libraries / "senml", ignore=_NOT_OURS)
    for board in BOARDS:
        if not (tree / "firmware/board" / board.name).is_dir():
            raise HostError(f"{tree / 'firmware/board' / board.name} is not there; each board has its folder")
        generated = stage.generated(board.name)
        generated.mkdir(parents=True)
        (generated / manifest.RELEASE_MODULE).write_bytes(manifest.release_module(version, board))
        ours, made, libraries = (debian.seen(folder) for folder in (stage.tree, generated, stage.libraries))
        text = manifest.board_manifest(ours, made, libraries, board)
        stage.manifest(board.name).write_text(text, encoding="utf-8")
    return stage
