"""Drills of a box's ends and new beginnings: a first boot cut off, keys that change, a TPM that forgets, a reset.

Rules of this file: power is cut by killing the machine, so what its disk was told is kept; a real disk's own cache is
not tried here. Random moments come from a seed that is told.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import time
from pathlib import Path

from image.bench import LOADER, Bench, Box, internal_disk, to_healthy
from image.errors import DrillError
from image.fat import LABEL, add_file, partition_offset
from image.machine import Machine
from image.stick import VARIABLE_GUIDS

# From the first write of a first boot to the last, and from the boot loader to a second boot's services (emulated).
FIRST_WINDOW_S, LATER_WINDOW_S = 25.0, 90.0


def half_done(bench: Bench) -> None:
    """The power goes several times during the first boot of one disk: the next boot goes on, and is healthy.

    Raises:
        DrillError: it did not get there.
    """
    chance = random.Random(bench.seed)  # noqa: S311  moments, not secrets
    machine = bench.machine("half-done")
    disk = internal_disk(bench.image, machine.folder / "disk.raw")
    machine.disks = (disk,)
    size = bench.image.stat().st_size
    bench.tell(f"           seed {bench.seed}, {bench.count} cuts")
    for turn in range(1, bench.count + 1):
        machine.start()
        try:
            bench.stage(machine, f"cut {turn}: boot loader", LOADER)
            if not written_past(disk, size):
                wait_written(bench, machine, disk, size)
                bench.reached(machine, f"cut {turn}: first write of the first boot")
                pass_time(machine, chance.uniform(0, FIRST_WINDOW_S))
            else:
                pass_time(machine, chance.uniform(20, LATER_WINDOW_S))
            bench.reached(machine, f"cut {turn}: power gone")
        finally:
            machine.stop()
        said = [line.text for line in machine.lines if "VEDETTE" in line.text]
        bench.tell(f"           the box's last word: {said[-1] if said else 'none'}")
    machine.start()
    try:
        to_healthy(bench, machine)
    finally:
        machine.stop()


def written_past(disk: Path, size_bytes: int) -> bool:
    """Whether anything was ever written behind the image on a disk whose holes are holes."""
    with disk.open("rb") as file:
        try:
            os.lseek(file.fileno(), size_bytes, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return False
            raise
    return True


def wait_written(bench: Bench, machine: Machine, disk: Path, size_bytes: int) -> None:
    """Until the box writes behind the image.

    Raises:
        DrillError: it does not.
    """
    until_s = time.monotonic() + bench.timeout_s
    while not written_past(disk, size_bytes):
        if time.monotonic() > until_s or machine.ended:
            raise DrillError(f"nothing was written behind the image\n{machine.said()}")
        pass_time(machine, 0.1)


def pass_time(machine: Machine, seconds: float) -> None:
    """Let the machine run on."""
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0 and not machine.ended:
        time.sleep(min(left_s, 0.1))
        machine.read_on()


def dbx(bench: Bench) -> None:
    """The firmware's list of forbidden programs is renewed (PCR 7 changes): /var opens all the same, nothing is lost.

    Raises:
        DrillError: the box could not open it.
    """
    with bench.enrolled_box("dbx") as box:
        box.boot()
        machine = box.machine
        before = machine.ask("cat", "/sys/class/tpm/tpm0/pcr-sha256/7").strip()
        machine.order("systemctl", "poweroff")
        machine.wait_end(timeout_s=bench.timeout_s)
        machine.stop()
        forbid(bench, machine)
        box.boot()
        after = machine.ask("cat", "/sys/class/tpm/tpm0/pcr-sha256/7").strip()
        if before == after:
            raise DrillError(f"PCR 7 is still {after}: the list was not renewed")
        bench.tell(f"           PCR 7 was {before[:16]}..., is {after[:16]}...")
        box.told("that it was restarted in order", "start", "box: planned")
        box.traffic()


def recovery(bench: Bench) -> None:
    """The recovery key of /var: shown once by the collector, opens the disk without the TPM; nothing else does later.

    Raises:
        DrillError: it is not there, does not open the disk, or the TPM opens it for a program of the box.
    """
    with bench.enrolled_box("recovery") as box:
        (sensor,) = box.provider.sensors()
        argv = ("recovery-key", str(box.provider.store), sensor["sensor_id"])
        key = box.provider.ask(*argv).strip()
        try:
            box.provider.ask(*argv)
        except DrillError:
            bench.tell("           the collector has shown the key, and does not a second time")
        else:
            raise DrillError("the collector showed the key twice")
        machine = box.machine
        offset = partition_offset(bench.tools, machine.disks[0], "var")
        header = machine.folder / "var.head"
        # 32 MiB: the LUKS header with its slots and the first data, enough for a try without device mapper.
        bench.tools.run("dd", f"if={machine.disks[0]}", f"of={header}", "bs=1M", f"skip={offset >> 20}", "count=32")
        test = ("cryptsetup", "open", "--test-passphrase", "--key-file=-", header)
        bench.tools.run(*test, stdin=key.encode())
        bench.tell("           the key opens the disk on another machine, without the TPM")
        box.boot()
        # What the box itself did at its first boot, before its services; the same program must fail now.
        again = ("systemd-cryptenroll", "--unlock-tpm2-device=auto", "--recovery-key", "/dev/disk/by-partlabel/var")
        said = machine.ask("sh", "-c", f"{' '.join(again)}; echo exit $?", code=None, timeout_s=300).strip()
        if said.endswith("exit 0"):
            raise DrillError("the TPM opened /var for a program of the running box")
        bench.tell(
            f"           the TPM does not open it for a program of the running box: {said.splitlines()[0][:150]}"
        )


def forbid(bench: Bench, machine: Machine) -> None:
    """Put an entry into the firmware's dbx, signed by our KEK: the hash of some program that is none of ours.

    Raises:
        StepError: a program failed.
    """
    other, plain, signed = (machine.folder / name for name in ("other.efi", "dbx.esl", "dbx.auth"))
    stub = "/usr/lib/systemd/boot/efi/addon" + ("x64" if bench.plan.architecture == "amd64" else "aa64") + ".efi.stub"
    tools = bench.tools
    tools.run("cp", stub, other)
    tools.run("hash-to-efi-sig-list", other, plain)
    tools.run(
        *("sign-efi-sig-list", "-g", VARIABLE_GUIDS["db"], "-k", bench.keys.private("KEK")),
        *("-c", bench.keys.certificate("KEK"), "dbx", plain, signed),
    )
    tools.run("virt-fw-vars", "--inplace", machine.folder / "firmware.fd", "--set-dbx", signed)


def tpm_cleared(bench: Bench) -> None:
    """The TPM is cleared: the box says so and asks for its stick, never for a password; the stick makes it whole again.

    Raises:
        DrillError: it did not.
    """
    with bench.enrolled_box("tpm-cleared") as box:
        box.boot()
        machine = box.machine
        machine.ask("tpm2_clear", "-c", "lockout")
        machine.forget()
        machine.order("systemctl", "reboot")
        refused = r"VEDETTE healthy|Please enter|assphrase for|press Enter|login:"
        bench.stage(machine, "firmware starts the boot loader", LOADER, refused=refused)
        bench.stage(machine, "the box says what is wrong", r"VEDETTE emergency.*cryptsetup", refused=refused)
        bench.tell("           " + bench.stage(machine, "and what to do", r"VEDETTE advice", refused=refused))
        machine.forget()
        bench.stage(machine, "and starts again", LOADER, refused=refused)
        machine.stop()
        reinstalled(box)


def factory_reset(bench: Bench) -> None:
    """An installed, enrolled box and its stick with a new token: installed anew, nothing kept, the same sensor goes on.

    Raises:
        DrillError: it did not.
    """
    with bench.enrolled_box("factory-reset") as box:
        box.boot()
        box.machine.ask("touch", "/var/lib/vedette/old")
        box.machine.order("systemctl", "poweroff")
        box.machine.wait_end(timeout_s=bench.timeout_s)
        box.machine.stop()
        before = var_header(bench, box.machine.disks[0])
        reinstalled(box)
        if before == var_header(bench, box.machine.disks[0]):
            raise DrillError("/var has the key slots of before: it was not made anew")


def var_header(bench: Bench, disk: Path) -> bytes:
    """The first bytes of /var's LUKS header, its identity among them."""
    with disk.open("rb") as file:
        file.seek(partition_offset(bench.tools, disk, "var"))
        return file.read(4096)


def reinstalled(box: Box) -> None:
    """The provider's way back for a sensor: a stick with a token for its record; from power-on to an alert.

    Raises:
        DrillError: it did not get there.
    """
    box.machine.stick = new_token_stick(box)
    box.machine.start()
    installed_anew(box)


def new_token_stick(box: Box) -> Path:
    """The install stick with a new token for the same sensor.

    Raises:
        StepError: a program failed.
    """
    (sensor,) = box.provider.sensors()
    wanted = ("--for", sensor["sensor_id"], "--install", "unattended")
    setup = box.provider.write_setup_file(box.machine.folder / "new-files", *wanted, where=())
    stick = box.machine.folder / "stick.raw"
    shutil.copyfile(box.bench.stick, stick)
    add_file(box.bench.tools, stick, setup, offset=partition_offset(box.bench.tools, stick, LABEL))
    return stick


def installed_anew(box: Box) -> None:
    """From the start of such a stick to an alert of the same sensor.

    Raises:
        DrillError: it did not get there.
    """
    bench, machine = box.bench, box.machine
    (sensor,) = box.provider.sensors()
    bench.stage(machine, "installer writes the disk", r"VEDETTE install: writing", refused="REFUSED")
    bench.stage(machine, "installed", r"VEDETTE install: done", refused="REFUSED")
    machine.forget()
    to_healthy(bench, machine)
    bench.stage(machine, "enrolled", rf"VEDETTE setup: set up as {sensor['sensor_id']}")
    box.told("why it was started", "start", "box: first")
    box.traffic()
