"""Drills of what a stick does besides installing unattended: it is the sensor, or it asks at screen and keyboard.

Rules of this file: as in drills.py; the shipped stick is used, with settings on it as a provider writes them.
"""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

from image import swtpm
from image.bench import DISK_MIB, GIVEN_UP, HEALTHY, LOADER, Bench, blank_disk, to_alert, to_healthy
from image.errors import DrillError
from image.fat import LABEL, add_file, partition_offset, read_file
from image.frames import Cable, management_arguments
from image.layout import MIB
from image.machine import Machine
from image.provider import Provider

LIVE = r"VEDETTE install: starting as a live sensor"
REFUSED = GIVEN_UP + "|REFUSED"
# Fewer are a cursor; one line of text has some hundreds.
TEXT_PIXELS = 500


def live(bench: Bench) -> None:
    """A stick that says live in a box with a sensor on its disk: an alert, a power cut, no byte of that disk changes.

    Raises:
        DrillError: it did not get there, or the disk was written to.
    """
    machine = bench.machine("live", setup_mode=True)
    # Its partitions have the names of the stick's own, /var among them.
    foreign = machine.folder / "disk.raw"
    shutil.copyfile(bench.enrolled() / "disk.raw", foreign)
    machine.disks, before = (foreign,), digest(foreign)
    provider, cable = Provider(machine.folder / "provider", swtpm.roots(machine.maker)), Cable()
    machine.network = (*management_arguments(), *cable.arguments())
    provider.start()
    try:
        setup = provider.write_setup_file(machine.folder / "stick-files", "--install", "live")
        stick = machine.stick = given_stick(bench, machine)
        offset = partition_offset(bench.tools, stick, LABEL)
        add_file(bench.tools, stick, setup, offset=offset)
        start_live(bench, machine)
        to_alert(bench, machine, provider, cable)
        if "[used]" not in read_file(bench.tools, stick, setup.name, offset=offset):
            raise DrillError("the token on the stick was not wiped")
        bench.tell("           the token on the stick is wiped")
        machine.stop()
        line = start_live(bench, machine)
        if "state=watching" not in line:
            raise DrillError(f"after a power cut an enrolled stick said: {line}")
        if digest(foreign) != before:
            raise DrillError("the box's own disk was written to")
        bench.tell("           the box's own disk is as it was")
    finally:
        machine.stop()
        provider.stop()
        cable.close()


def seat(bench: Bench) -> None:
    """A stick without settings asks; the answer is typed at a USB keyboard, and the screen shows what the console says.

    Raises:
        DrillError: the screen stayed dark, or the answer was not heard.
    """
    machine = bench.machine("seat")
    machine.seat = True
    machine.disks = (blank_disk(machine.folder / "disk.raw"),)
    machine.stick = given_stick(bench, machine)
    machine.start()
    try:
        bench.stage(machine, "firmware starts the stick", LOADER)
        bench.stage(machine, "the installer asks", r"VEDETTE install: everything on .* will be lost", refused=REFUSED)
        machine.press("no\n")
        bench.stage(machine, "another word is a no", r"VEDETTE install: REFUSED: not confirmed")
        machine.forget()
        bench.stage(machine, "it asks again", r"VEDETTE install: everything on .* will be lost", refused=GIVEN_UP)
        pixels = machine.picture("asked")
        if pixels < TEXT_PIXELS:
            raise DrillError(f"{pixels} pixels of the screen are lit, at least {TEXT_PIXELS} are a text")
        bench.tell(f"           {pixels} pixels of the screen are lit")
        machine.press("INSTALL\n")
        bench.stage(machine, "the keyboard is heard", r"VEDETTE install: writing", refused=GIVEN_UP)
        bench.stage(machine, "installed", r"VEDETTE install: done", refused=REFUSED)
    finally:
        machine.stop()


def start_live(bench: Bench, machine: Machine) -> str:
    """From power-on by way of the installer to a healthy live sensor; returns the health check's line.

    Raises:
        DrillError: it did not get there.
    """
    machine.start()
    bench.stage(machine, "firmware starts the stick", LOADER, refused=REFUSED)
    bench.stage(machine, "the stick says live", LIVE, refused=REFUSED + "|VEDETTE install: writing")
    machine.forget()
    to_healthy(bench, machine)
    return next(line.text for line in reversed(machine.lines) if HEALTHY in line.text)


def given_stick(bench: Bench, machine: Machine) -> Path:
    """A stick larger than what was written to it."""
    stick = machine.folder / "stick.raw"
    shutil.copyfile(bench.stick, stick)
    with stick.open("r+b") as file:
        file.truncate(DISK_MIB * MIB)
    return stick


def digest(disk: Path) -> str:
    """SHA-256 of a whole disk."""
    total = sha256()
    with disk.open("rb") as file:
        while block := file.read(MIB):
            total.update(block)
    return total.hexdigest()
