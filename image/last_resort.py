"""The drill of a box on which no system starts well: it says so, tries again, and lets itself be installed anew.

Rules of this file: as in drills.py; that no tries are left is written on the disk of a box that is off, as three bad
starts of each version would have left it.
"""

from __future__ import annotations

from image.bench import HEALTHY, LOADER, Bench, Box
from image.fat import partition_offset
from image.lives import installed_anew, new_token_stick

RECOVERY = r"VEDETTE recovery: no system"
KERNEL_FILES = "::/EFI/Linux"


def recovery_system(bench: Bench) -> None:
    """No version has tries left: a system of its own says so, tries the newest again, and starts a stick that comes.

    Raises:
        DrillError: it did not.
    """
    with bench.enrolled_box("recovery-system") as box:
        machine = box.machine
        spend_all(bench, box)
        machine.start()
        bench.stage(machine, "firmware starts the boot loader", LOADER)
        bench.stage(machine, "the recovery system says what is wrong", RECOVERY, refused=HEALTHY)
        machine.forget()
        bench.stage(machine, "the newest system is tried again", LOADER)
        box.ready()
        box.traffic()
        machine.order("systemctl", "poweroff")
        machine.wait_end(timeout_s=bench.timeout_s)
        machine.stop()
        spend_all(bench, box)
        stick = new_token_stick(box)
        machine.start()
        bench.stage(machine, "no tries again: the recovery system", RECOVERY, refused=HEALTHY)
        machine.plug_stick(stick)
        bench.stage(machine, "it starts from the stick that was put in", r"VEDETTE recovery: starting from the stick")
        installed_anew(box)


def spend_all(bench: Bench, box: Box) -> None:
    """Take all tries off every kernel file of a box that is off.

    Raises:
        StepError: a program failed.
    """
    esp = f"{box.machine.disks[0]}@@{partition_offset(bench.tools, box.machine.disks[0], 'ESP')}"
    for path in bench.tools.run("mdir", "-b", "-i", esp, KERNEL_FILES).split():
        name = path.rpartition("/")[2].removesuffix(".efi").partition("+")[0]
        bench.tools.run("mren", "-i", esp, path, f"{KERNEL_FILES}/{name}+0-3.efi")
