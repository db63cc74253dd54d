"""What a box with the image must do: each drill is one function that raises when it does not.

Rules of this file: a drill tells its stages with their times; it asserts on what the console, the collector and the
stick say, never on times. Here are the drills of installing and starting, and the list of all.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime

from appliance.wire.bundle import IMAGE_ID
from image import faults, guard, lives, measure, sticks, swtpm, updates
from image.bench import (
    GIVEN_UP,
    LOADER,
    Bench,
    blank_disk,
    first_alert,
    internal_disk,
    to_alert,
    to_enrolled,
    to_healthy,
)
from image.errors import DrillError
from image.fat import LABEL, add_file, make_fat, partition_offset, read_file
from image.frames import Cable, management_arguments
from image.keys import Keys, make_development_keys
from image.last_resort import recovery_system
from image.machine import processor_s
from image.pkcs11 import pkcs11
from image.provider import Provider
from image.support import support
from image.uki import sign


def boot(bench: Bench) -> None:
    """First boot of a disk with the image: Secure Boot, verified root, /var made and sealed, healthy.

    Raises:
        DrillError: it did not get there.
    """
    machine = bench.machine("boot")
    machine.disks = (internal_disk(bench.image, machine.folder / "disk.raw"),)
    machine.start()
    try:
        to_healthy(bench, machine)
    finally:
        machine.stop()


def enroll(bench: Bench) -> None:
    """A box with the image on its disk and a stick with settings only: from power-on to an alert at the collector.

    Raises:
        DrillError: it did not get there.
    """
    machine = bench.machine("enroll")
    machine.disks = (internal_disk(bench.image, machine.folder / "disk.raw"),)
    provider, cable = Provider(machine.folder / "provider", swtpm.roots(machine.maker)), Cable()
    machine.network = (*management_arguments(), *cable.arguments())
    provider.start()
    try:
        setup = provider.write_setup_file(machine.folder / "stick-files")
        machine.stick = machine.folder / "stick.fat"
        make_fat(bench.tools, machine.stick, [setup])
        machine.start()
        to_healthy(bench, machine)
        to_alert(bench, machine, provider, cable)
        if "[used]" not in read_file(bench.tools, machine.stick, setup.name):
            raise DrillError("the token on the stick was not wiped")
        bench.tell("           the token on the stick is wiped")
    finally:
        machine.stop()
        provider.stop()
        cable.close()


def install(bench: Bench) -> None:
    """A blank box and a stick: keys enrolled, installed, started from its disk, enrolled, an alert; nothing is typed.

    Raises:
        DrillError: it did not get there.
    """
    machine = bench.machine("install", setup_mode=True)
    machine.disks = (blank_disk(machine.folder / "disk.raw"),)
    provider, cable = Provider(machine.folder / "provider", swtpm.roots(machine.maker)), Cable()
    machine.network = (*management_arguments(), *cable.arguments())
    provider.start()
    try:
        setup = provider.write_setup_file(machine.folder / "stick-files", "--install", "unattended")
        machine.stick = machine.folder / "stick.raw"
        shutil.copyfile(bench.stick, machine.stick)
        offset = partition_offset(bench.tools, machine.stick, LABEL)
        add_file(bench.tools, machine.stick, setup, offset=offset)
        machine.start()
        refused = GIVEN_UP + "|REFUSED"
        bench.stage(machine, "firmware starts the stick", LOADER, refused=refused)
        bench.stage(machine, "installer writes the disk", r"VEDETTE install: writing", refused=refused)
        bench.stage(machine, "installed", r"VEDETTE install: done", refused=refused)
        machine.forget()
        to_healthy(bench, machine)
        to_enrolled(bench, machine, provider)
        if "[used]" not in read_file(bench.tools, machine.stick, setup.name, offset=offset):
            raise DrillError("the token on the stick was not wiped")
        bench.tell("           the token on the stick is wiped")
        # It has the same root as the box by now: pulling it out shows which of the two the box runs from.
        machine.pull_stick()
        bench.reached(machine, "stick pulled out")
        first_alert(bench, machine, provider, cable)
    finally:
        machine.stop()
        provider.stop()
        cable.close()


def tampered(bench: Bench) -> None:
    """A kernel file without a signature, and one of another's keys: refused by the firmware, and nothing else starts.

    Raises:
        DrillError: it was started.
    """
    machine = bench.machine("tampered")
    disk = machine.folder / "disk.raw"
    machine.disks = (internal_disk(bench.image, disk),)
    offset = partition_offset(bench.tools, disk, "ESP")
    name = f"::/EFI/Linux/{IMAGE_ID}_{bench.plan.version}.efi"
    unsigned, other = machine.folder / "unsigned.efi", machine.folder / "other.efi"
    bench.tools.run("mcopy", "-i", f"{disk}@@{offset}", name, unsigned)
    bench.tools.run("sbattach", "--remove", unsigned)
    stranger = Keys(machine.folder / "stranger")
    make_development_keys(bench.tools, stranger.folder)
    sign(bench.tools, stranger, unsigned, other)
    for what, file in (("unsigned", unsigned), ("signed by a stranger", other)):
        bench.tools.run("mcopy", "-o", "-i", f"{disk}@@{offset}", file, name)
        machine.start()
        try:
            bench.stage(
                machine, f"{what}: refused", r"Access denied|Security violation", refused=r"VEDETTE|Linux version"
            )
        finally:
            machine.stop()


def flipped(bench: Bench) -> None:
    """One bit of the root's partition is flipped: the hash tree refuses the block, and the box never says healthy.

    Raises:
        DrillError: it did.
    """
    machine = bench.machine("flipped")
    disk = machine.folder / "disk.raw"
    machine.disks = (internal_disk(bench.image, disk),)
    # The erofs superblock is read first, so that the fault is met at once.
    place = partition_offset(bench.tools, disk, f"{IMAGE_ID}_{bench.plan.version}") + 1024 + 64
    with disk.open("r+b") as file:
        file.seek(place)
        (octet,) = file.read(1)
        file.seek(place)
        file.write(bytes([octet ^ 1]))
    machine.start()
    try:
        bench.stage(machine, "boot loader", LOADER)
        machine.forget()
        bench.stage(machine, "refused, and started again", LOADER, refused=r"VEDETTE healthy")
    finally:
        machine.stop()


def every(bench: Bench) -> None:
    """All drills, one after another; each has its own box.

    Raises:
        DrillError: one did not hold.
    """
    for name in DRILLS:
        if name != "drills":
            run(bench, name)


def run(bench: Bench, name: str) -> None:
    """Run one drill and keep its times beside the image's folder, in OUT-drills.json.

    Raises:
        DrillError: it did not hold.
    """
    if name == "drills":
        every(bench)
        return
    drill = DRILLS[name]
    bench.tell(f"drill {name}: {(drill.__doc__ or '').partition(chr(10))[0]}")
    bench.stages.clear()
    at, start_s, before_s = datetime.now(UTC), time.monotonic(), processor_s()
    held = False
    try:
        drill(bench)
        held = True
    finally:
        kept = {
            "held": held,
            "begun": at.isoformat(timespec="seconds"),
            "wall_s": round(time.monotonic() - start_s, 1),
            "processor_s": round(processor_s() - before_s, 1),
            "stages_s": bench.stages,
        }
        path = bench.plan.target.with_name(f"{bench.plan.target.name}-drills.json")
        known = json.loads(path.read_text(encoding="ascii")) if path.exists() else {}
        path.write_text(json.dumps({**known, name: kept}, indent=1) + "\n", encoding="ascii")
    bench.tell(f"drill {name}: holds, in {kept['wall_s']} s ({kept['processor_s']} s of processor time)")


DRILLS: dict[str, Callable[[Bench], None]] = {
    "boot": boot,
    "enroll": enroll,
    "install": install,
    "tampered": tampered,
    "flipped": flipped,
    "pkcs11": pkcs11,
    "half-done": lives.half_done,
    "watchdog": faults.watchdog,
    "crash": faults.crash,
    "first-process": faults.first_process,
    "disk-full": faults.disk_full,
    "recovery": lives.recovery,
    "recovery-system": recovery_system,
    "dbx": lives.dbx,
    "tpm-cleared": lives.tpm_cleared,
    "factory-reset": lives.factory_reset,
    "support": support,
    "supervisor": guard.supervisor,
    "supervisor-install": guard.supervisor_install,
    "live": sticks.live,
    "seat": sticks.seat,
    "update-stick": updates.update_stick,
    "update-collector": updates.update_collector,
    "update-broken": updates.update_broken,
    "update-late": updates.update_late,
    "update-refused": updates.update_refused,
    "update-power": updates.update_power,
    "measure": measure.measure,
    "drills": every,
}
