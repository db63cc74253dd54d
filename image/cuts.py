"""Power that goes while a box writes an update, as moments in which the box stands still.

Rules of this file: a moment of a standing machine is a power cut in which the disk keeps all that it was told. A disk
whose own cache loses what it had taken is not tried here: the box flushes after every step for that.
"""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections.abc import Set
from pathlib import Path

from image.bench import LOADER, Bench
from image.errors import DrillError
from image.layout import MIB
from image.machine import Machine
from image.standstill import Standstill


def marks(chance: random.Random, count: int) -> list[float]:
    """Shares of the data after which the power goes, ascending: one in three in the last twentieth, where names are
    given and the kernel file is written.
    """
    return sorted(
        chance.uniform(0.95, 1.0) if number % 3 == 0 else chance.uniform(0.0, 0.95) for number in range(count)
    )


def cut_through(
    bench: Bench, machine: Machine, total_bytes: int, shares: list[float], *, kept: Set[int] = frozenset()
) -> set[str]:
    """Look at a box's disk at moments of an update; returns the versions that would start. `kept`: disks to keep.

    Raises:
        DrillError: something that would be started is not whole, or the old version came back after the new one.
    """
    begin = machine.written_bytes()
    found: list[str] = []
    for number, share in enumerate(shares):
        wait_written(bench, machine, begin + int(share * total_bytes))
        with machine.standing_still():
            if number in kept:
                keep_disk(machine, kept_disk(machine, number))
            still = Standstill(bench.tools, bench.keys, machine.disks[0], machine.folder / "standstill")
            found.append(still.starts())
            at_mib = (machine.written_bytes() - begin) / MIB
        bench.reached(machine, f"cut {number + 1} after {at_mib:.1f} MiB: {found[-1]} would start, whole")
    if sorted(found) != found:
        raise DrillError(f"the cuts would start {found}")
    return set(found)


def kept_disk(machine: Machine, number: int) -> Path:
    """Where the disk of a cut is kept."""
    return machine.folder / f"cut{number}.raw"


def keep_disk(machine: Machine, target: Path) -> None:
    """A copy of a machine's first disk; holes stay holes."""
    subprocess.run(["cp", "--sparse=always", str(machine.disks[0]), str(target)], check=True)


def wait_written(bench: Bench, machine: Machine, wanted: int) -> None:
    """Until the box has written so many bytes, or has begun to start again.

    Raises:
        DrillError: it does not in time.
    """
    until_s = time.monotonic() + bench.timeout_s
    while machine.written_bytes() < wanted:
        machine.read_on()
        if any(re.search(LOADER, line.text) for line in machine.lines[-5:]):
            return
        if time.monotonic() > until_s or machine.ended:
            raise DrillError(f"{wanted / MIB:.0f} MiB were not written\n{machine.said()}")
        time.sleep(0.01)
