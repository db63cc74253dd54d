"""The drill of the support bundle: a stick with a folder `vedette-support` comes into a box and goes with its logs.

Rules of this file: what is looked at is what is on the stick afterwards.
"""

from __future__ import annotations

import tarfile

from image.bench import Bench, internal_disk, to_healthy
from image.errors import DrillError
from image.fat import make_fat

FOLDER = "vedette-support"
WANTED = ("manifest.json", "versions.json", "journal/kernel.txt", "system/disk.txt")


def support(bench: Bench) -> None:
    """A stick that asks for a support bundle gets one from a box on which nobody can log in.

    Raises:
        DrillError: it did not, or the bundle lacks what support looks at first.
    """
    machine = bench.machine("support")
    machine.disks = (internal_disk(bench.image, machine.folder / "disk.raw"),)
    machine.stick = machine.folder / "stick.fat"
    make_fat(bench.tools, machine.stick)
    bench.tools.run("mmd", "-i", machine.stick, f"::/{FOLDER}")
    machine.start()
    try:
        bench.stage(machine, "bundle written", r"VEDETTE support: done", refused=r"VEDETTE support: not done")
        to_healthy(bench, machine)
    finally:
        machine.stop()
    target = machine.folder / "bundle.tar.gz"
    target.unlink(missing_ok=True)
    bench.tools.run("mcopy", "-i", machine.stick, f"::/{FOLDER}/*.tar.gz", target)
    with tarfile.open(target, "r:gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    if missing := [name for name in WANTED if name not in names]:
        raise DrillError(f"the bundle lacks {', '.join(missing)}; it has {', '.join(sorted(names))}")
    bench.tell(f"           {len(names)} pieces, {target.stat().st_size} bytes")
