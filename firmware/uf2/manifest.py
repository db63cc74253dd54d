"""What is frozen into an image: the manifest that MicroPython's build reads, and a module that names the release.

Rules of this file: text from values. The modules themselves are listed in `firmware/manifest.py`; a board adds its own
folder. There is no `require()` here: what the stock manifest takes from micropython-lib (drivers) we do not use.
"""

from __future__ import annotations

import re

from firmware import vfw
from firmware.uf2.boards import Board
from firmware.uf2.errors import HostError

RELEASE_MODULE = "release.py"
_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:[.+-]?[a-z0-9.]{1,20})?")


def numbers(version: str) -> tuple[int, int, int]:
    """The three numbers of a version; what the product's version has behind them is left out.

    Raises:
        HostError: it has other than three numbers, or one over 255: the link carries an octet for each.
    """
    match = _VERSION.fullmatch(version)
    if match is None or any(int(part) > 255 for part in match.groups()):
        raise HostError(f"version {version!r} came; three numbers from 0 to 255 were allowed")
    major, minor, patch = (int(part) for part in match.groups())
    return major, minor, patch


def release_module(version: str, board: Board) -> bytes:
    """The source of the frozen module `release`, the same that an upgrade over the link brings.

    Raises:
        HostError: the version is not one.
    """
    return vfw.sources(numbers(version), board.name)[RELEASE_MODULE]


def board_manifest(tree: str, generated: str, senml: str, board: Board) -> str:
    """The whole manifest of one board.

    Args:
        tree: where our tree is, as the build sees it; holds `firmware/` and `appliance/wire/`.
        generated: the folder with the module `release`.
        senml: the folder with the package `senml`.
    """
    return (
        'freeze("$(PORT_DIR)/modules", ("_boot.py", "rp2.py"))\n'
        'include("$(MPY_DIR)/extmod/asyncio")\n'
        f'include("{tree}/firmware/manifest.py", senml="{senml}")\n'
        f'module("{RELEASE_MODULE}", base_path="{generated}")\n'
        f'freeze("{tree}/firmware/board/{board.name}")\n'
    )


def tag(micropython: str, version: str) -> str:
    """What the image calls itself in `sys.version` and to picotool: MicroPython's version and ours."""
    return f"{micropython}+vedette.{version}"
