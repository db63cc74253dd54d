"""The emulator's packages, pinned by hash, in a folder of the cache: nothing is added to the tree's own environment.

Rules of this file: pip installs them; a folder that was begun and not finished is made anew.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
TIMEOUT_S = 600


class PackagesError(Exception):
    """They cannot be had; the text says what pip said."""


def ensure(cache: Path) -> Path:
    """The folder to put on the module path, made when it is not there or the pins have changed.

    Raises:
        PackagesError: pip cannot bring them.
    """
    pins = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    folder = cache / f"emulator-{sys.implementation.cache_tag}-{pins}"
    whole = folder / "whole"
    if whole.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    pinned = ["--only-binary", ":all:", "--require-hashes", "--target", str(folder), "--requirement", str(REQUIREMENTS)]
    done = subprocess.run([*pip, *pinned], capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    if done.returncode:
        raise PackagesError(f"pip ended with {done.returncode}: {done.stderr.strip()[-800:]}")
    whole.touch()
    return folder
