"""Debian 13's EST programs in a folder of their own, and the way to run one there.

Rules of this file: the folder is made once by mmdebstrap from this machine's own mirror and kept outside the tree.
Nothing is skipped: a program that cannot be had is a `ConformanceError`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = "strongswan-pki,libest-utils,ca-certificates"
RELEASE = "trixie"
TIMEOUT_S = 120


class ConformanceError(Exception):
    """Somebody did not get what they must get; says what."""


def inside(root: Path, folder: Path, *argv: str, **environment: str) -> list[str]:
    """The command that runs a program of `root` with `folder` as its working directory."""
    settings = [f"{name}={value}" for name, value in environment.items()]
    return ["chroot", str(root), "/usr/bin/env", f"--chdir=/{folder.relative_to(root)}", *settings, *argv]


def ensure(root: Path) -> None:
    """Make the folder with the programs, if it is not there.

    Raises:
        ConformanceError: we are not root, or it cannot be made.
    """
    if os.geteuid() != 0:
        raise ConformanceError("needs root, for chroot")
    if (root / "usr/bin/estclient").exists() and (root / "usr/bin/pki").exists():
        return
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    mirrors = subprocess.run(targets, capture_output=True, text=True, check=True, timeout=TIMEOUT_S).stdout.split()
    if not mirrors or shutil.which("mmdebstrap") is None:
        raise ConformanceError("needs mmdebstrap and a Debian mirror in apt's configuration")
    root.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    print(f"making {root} with Debian {RELEASE}'s EST clients, once", file=sys.stderr)
    command = ["mmdebstrap", "--variant=essential", f"--include={PACKAGES}", RELEASE, str(root), sorted(mirrors)[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise ConformanceError(f"mmdebstrap ended with {done.returncode}: {done.stderr[-1000:]}")
