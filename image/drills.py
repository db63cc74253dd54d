"""What a machine with the image must do: each drill is one function that raises when it does not.

Rules of this file: a drill tells its stages with their times; it asserts on what the console says, never on times.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from image.build import Plan
from image.errors import InputError
from image.keys import Keys
from image.layout import IMAGE_ID, MIB
from image.machine import Machine, processor_s
from image.tools import Tools

Tell = Callable[[str], None]

DISK_MIB = 3072
_GIVEN_UP = r"VEDETTE (unhealthy|emergency.*restarting)|No bootable option|Kernel panic"


def boot(tools: Tools, keys: Keys, plan: Plan, tell: Tell, *, timeout_s: float) -> None:
    """First boot of a disk with the image: Secure Boot, verified root, /var made and sealed, healthy.

    Raises:
        DrillError: it did not get there.
    """
    machine = Machine(tools, tools.cache.folder / "machines" / "boot")
    machine.prepare(keys)
    machine.disks = (internal_disk(image_of(plan), machine.folder / "disk.raw"),)
    run_to_healthy(machine, tell, timeout_s=timeout_s)


def run_to_healthy(machine: Machine, tell: Tell, *, timeout_s: float) -> None:
    """Power on, wait for the health check's word, power off.

    Raises:
        DrillError: it did not come.
    """
    before_s = processor_s()
    machine.start()
    try:
        for name, pattern in (
            ("firmware starts the boot loader", r"BdsDxe: starting Boot"),
            ("interfaces named", r"VEDETTE interface"),
            ("healthy", r"VEDETTE healthy (?P<what>.*)"),
        ):
            match = machine.wait_for(pattern, timeout_s=timeout_s, refused=_GIVEN_UP)
            tell(f"{machine.elapsed_s():7.1f} s  {name} {match.groupdict().get('what', '')}".rstrip())
    finally:
        machine.stop()
    tell(f"{processor_s() - before_s:7.1f} s of processor time")


def image_of(plan: Plan) -> Path:
    """The disk image that was made.

    Raises:
        InputError: it was not.
    """
    path = plan.target / f"{IMAGE_ID}_{plan.version}.raw"
    if not path.is_file():
        raise InputError(f"{path} is missing", advice="Make it: make image")
    return path


def internal_disk(image: Path, target: Path) -> Path:
    """A disk of a box, larger than the image, with the image at its start; holes stay holes."""
    shutil.copyfile(image, target)
    with target.open("r+b") as file:
        file.truncate(DISK_MIB * MIB)
    return target
