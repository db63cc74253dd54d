"""A bundle on a USB stick: found, and lent for as long as the stick is in.

Rules of this file: mounting and looking, read-only; what a bundle is worth is judged like any other's. A stick with no
bundle is nothing to tell.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.errors import EnvironmentFault

MOUNT = Path("/run/vedette/update-stick")
LOCK = Path("/run/vedette/stick.lock")
"""Of all programs of the box that look at sticks: the kernel refuses a second mount with other options."""
PATTERN = "vedette-update_*.bundle"
_OPTIONS = "ro,nosuid,nodev,noexec,umask=0077"


def file_systems(listed: str) -> list[str]:
    """FAT file systems on USB disks, from `lsblk --json -o NAME,PATH,FSTYPE,TRAN`."""
    found = []
    for disk in json.loads(listed).get("blockdevices", []):
        if disk.get("tran") == "usb":
            parts = disk.get("children") or [disk]
            found += [str(part["path"]) for part in parts if part.get("fstype") == "vfat"]
    return found


@contextmanager
def bundle_on_stick() -> Iterator[Path | None]:
    """The last bundle by name on the first stick that has one, for as long as it is needed.

    Raises:
        EnvironmentFault: this machine cannot be asked for its sticks.
    """
    listed = _run("lsblk", "--json", "-o", "NAME,PATH,FSTYPE,TRAN")
    if listed.returncode != 0:
        raise EnvironmentFault(f"lsblk: {listed.stderr.strip()}")
    MOUNT.mkdir(parents=True, exist_ok=True)
    with LOCK.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield from _first_bundle(file_systems(listed.stdout or "{}"))


def _first_bundle(devices: list[str]) -> Iterator[Path | None]:
    for device in devices:
        if _run("mount", "-t", "vfat", "-o", _OPTIONS, device, str(MOUNT)).returncode != 0:
            continue
        try:
            if found := sorted(MOUNT.glob(PATTERN)):
                yield found[-1]
                return
        finally:
            _run("umount", str(MOUNT))
    yield None


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
