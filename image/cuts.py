"""The drill of power that goes while an update is written.

Rules of this file: a moment of a standing machine is a power cut in which the disk keeps all that it was told. A disk
whose own cache loses what it had taken is not tried here: the box flushes after every step for that.
"""

from __future__ import annotations

import random
import re
import subprocess
import time
from pathlib import Path

from image.bench import LOADER, Bench
from image.errors import DrillError
from image.layout import MIB
from image.machine import Machine
from image.standstill import Standstill
from image.updates import NEXT, bundle_of, healthy_as, manifest_of, put_on_stick, settled, version_of

BOOTED_CUTS = 1


def update_power(bench: Bench) -> None:
    """Power goes at random moments while an update is written: what is on the disk then is whole, and starts.

    One box writes one update. At `--count` random moments it is made to stand still, and its disk is looked at as
    firmware, boot loader and kernel would after a power cut then; one of these disks is started for good, with the
    same box's TPM, and must get to the new version by itself.

    Raises:
        DrillError: something that would be started is not whole, or a disk did not get there.
    """
    chance = random.Random(bench.seed)  # noqa: S311  moments, not secrets
    old, new = bench.plan.version, version_of(bench, NEXT)
    bundle = bundle_of(bench, NEXT)
    total = sum(part["size_bytes"] for part in manifest_of(bundle)["parts"])
    # One in three in the last twentieth, where the kernel file is written and names are given.
    marks = sorted(
        chance.uniform(0.95, 1.0) if number % 3 == 0 else chance.uniform(0.0, 0.95) for number in range(bench.count)
    )
    kept = set(chance.sample(range(bench.count), min(BOOTED_CUTS, bench.count)))
    bench.tell(
        f"           seed {bench.seed}: {bench.count} cuts in {total / MIB:.0f} MiB, {len(kept)} of them started"
    )
    with bench.enrolled_box("update-power") as box:
        machine = box.machine
        put_on_stick(bench, box, bundle)
        machine.start()
        healthy_as(bench, box, old, f"version {old} runs, a stick is in")
        begin = machine.written_bytes()
        found: list[str] = []
        for number, mark in enumerate(marks):
            wait_written(bench, machine, begin + int(mark * total))
            with machine.standing_still():
                if number in kept:
                    keep_disk(machine, machine.folder / f"cut{number}.raw")
                still = Standstill(bench.tools, bench.keys, machine.disks[0], machine.folder / "standstill")
                found.append(still.starts())
                at_mib = (machine.written_bytes() - begin) / MIB
            bench.reached(machine, f"cut {number + 1} after {at_mib:.1f} MiB: {found[-1]} would start, whole")
        if set(found) - {old, new} or sorted(found) != found:
            raise DrillError(f"the cuts would start {found}")
        machine.forget()
        healthy_as(bench, box, new, f"and without a cut, version {new} is healthy")
        settled(box)
        machine.stop()
        for number in sorted(kept):
            (machine.folder / f"cut{number}.raw").replace(machine.disks[0])
            machine.start()
            first = bench.stage(
                machine, f"cut {number + 1}, started for good", rf"VEDETTE healthy version=({old}|{new}) "
            )
            if f"version={old} " in first:
                machine.forget()
                healthy_as(bench, box, new, f"cut {number + 1}: version {new} in the end")
            settled(box)
            machine.stop()


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
