"""A folder with Debian 13 and named packages, to run programs of it by chroot: made once, kept outside the tree.

Rules of this file: mmdebstrap makes it from this machine's own mirror; one that is half made, or has other packages, is
made anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

RELEASE = "trixie"
TIMEOUT_S = 1800
_STAMP = "vedette-packages"


class DebianError(Exception):
    """It cannot be made; says what is missing or what mmdebstrap said."""


def cache() -> Path:
    """Where such folders are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vedette"


def ensure(root: Path, packages: str) -> None:
    """Make the folder if it is not there; `packages` is a list with commas.

    Raises:
        DebianError: we are not root, or it cannot be made.
    """
    if os.geteuid() != 0:
        raise DebianError("needs root, for chroot")
    stamp = root / _STAMP
    if stamp.is_file() and stamp.read_text(encoding="ascii") == packages:
        return
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    said = subprocess.run([*targets, "Label: Debian"], capture_output=True, text=True, check=True, timeout=120)
    mirrors = said.stdout.split()
    if not mirrors or shutil.which("mmdebstrap") is None:
        raise DebianError("needs mmdebstrap and a Debian mirror in apt's configuration")
    root.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    print(f"making {root} with Debian {RELEASE}'s {packages}, once", file=sys.stderr)
    command = ["mmdebstrap", "--variant=essential", f"--include={packages}", RELEASE, str(root), sorted(mirrors)[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    if done.returncode:
        raise DebianError(f"mmdebstrap ended with {done.returncode}: {done.stderr[-1000:]}")
    stamp.write_text(packages, encoding="ascii")


def inside(root: Path, folder: Path, *argv: str, **environment: str) -> list[str]:
    """The command that runs a program of `root` with `folder`, which is in it, as its working directory."""
    settings = [f"{name}={value}" for name, value in environment.items()]
    return ["chroot", str(root), "/usr/bin/env", f"--chdir=/{folder.relative_to(root)}", *settings, *argv]
