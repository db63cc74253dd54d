"""Packages from PyPI, pinned by hash, each list in a folder of the cache: nothing is added to the tree's environment.

Rules of this file: pip installs them, without what they name besides; a folder that was begun and not finished is made
anew.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from firmware.uf2.errors import HostError

FROZEN = Path(__file__).with_name("senml.txt")
"""What is frozen besides this tree and MicroPython's own."""
TIMEOUT_S = 600


def ensure(cache: Path, requirements: Path) -> Path:
    """The folder that a list is installed in, made when it is not there or the pins have changed.

    Raises:
        HostError: pip cannot bring them.
    """
    pins = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    folder = cache / f"{requirements.stem}-{sys.implementation.cache_tag}-{pins}"
    whole = folder / "whole"
    if whole.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
    ]
    pinned = ["--only-binary", ":all:", "--require-hashes", "--target", str(folder), "--requirement", str(requirements)]
    try:
        done = subprocess.run([*pip, *pinned], capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"{requirements.name}: {error}") from error
    if done.returncode:
        raise HostError(f"{requirements.name}: pip ended with {done.returncode}: {done.stderr.strip()[-800:]}")
    whole.touch()
    return folder
