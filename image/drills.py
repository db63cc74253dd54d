"""What a box with the image must do: each drill is one function that raises when it does not.

Rules of this file: a drill tells its stages with their times; it asserts on what the console, the collector and the
stick say, never on times.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from image import swtpm
from image.build import Plan
from image.cache import TREE
from image.errors import DrillError, InputError
from image.fat import LABEL, add_file, make_fat, partition_offset, read_file
from image.frames import Cable, frames, management_arguments
from image.keys import Keys, make_development_keys
from image.layout import IMAGE_ID, MIB
from image.machine import Machine, processor_s
from image.provider import Provider
from image.tools import Tools
from image.uki import sign

Tell = Callable[[str], None]

DISK_MIB = 4096
# Recorded traffic with an alert whatever the home network is.
TRAFFIC = TREE / "tests" / "traffic" / "pcaps"
_GIVEN_UP = r"VEDETTE (unhealthy|emergency.*restarting)|No bootable option|Kernel panic"


@dataclass(frozen=True, slots=True)
class Bench:
    """What every drill needs."""

    tools: Tools
    keys: Keys
    plan: Plan
    tell: Tell
    timeout_s: float

    def machine(self, name: str, *, setup_mode: bool = False) -> Machine:
        """A new box, still without a disk.

        Raises:
            StepError: its TPM or its firmware could not be made.
        """
        machine = Machine(self.tools, self.tools.cache.folder / "machines" / name, setup_mode=setup_mode)
        machine.prepare(self.keys)
        return machine

    @property
    def image(self) -> Path:
        """The disk image that was made.

        Raises:
            InputError: it was not.
        """
        return self._made(IMAGE_ID)

    @property
    def stick(self) -> Path:
        """The stick that was made.

        Raises:
            InputError: it was not.
        """
        return self._made(f"{IMAGE_ID}-install")

    def _made(self, name: str) -> Path:
        path = self.plan.target / f"{name}_{self.plan.version}.raw"
        if not path.is_file():
            raise InputError(f"{path} is missing", advice="Make it: make image")
        return path

    def stage(self, machine: Machine, name: str, *patterns: str, refused: str = _GIVEN_UP) -> str:
        """Wait for a line of the console and tell when it came; returns it.

        Raises:
            DrillError: it did not come.
        """
        match = machine.wait_for(*patterns, timeout_s=self.timeout_s, refused=refused)
        self.tell(f"{machine.elapsed_s():7.1f} s  {name}")
        return match.string


def boot(bench: Bench) -> None:
    """First boot of a disk with the image: Secure Boot, verified root, /var made and sealed, healthy.

    Raises:
        DrillError: it did not get there.
    """
    machine = bench.machine("boot")
    machine.disks = (internal_disk(bench.image, machine.folder / "disk.raw"),)
    before_s = processor_s()
    machine.start()
    try:
        to_healthy(bench, machine)
    finally:
        machine.stop()
    bench.tell(f"{processor_s() - before_s:7.1f} s of processor time")


def to_healthy(bench: Bench, machine: Machine) -> None:
    """From power-on to the health check's word.

    Raises:
        DrillError: it did not come.
    """
    bench.stage(machine, "firmware starts the boot loader", r"BdsDxe: starting Boot")
    bench.stage(machine, "interfaces named", r"VEDETTE interface mgmt0")
    line = bench.stage(machine, "healthy", r"VEDETTE healthy")
    bench.tell(f"           {line.partition('VEDETTE ')[2]}")


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


def to_alert(bench: Bench, machine: Machine, provider: Provider, cable: Cable) -> None:
    """From a healthy box to recorded traffic's alert in the collector's store.

    Raises:
        DrillError: it did not come.
    """
    bench.stage(machine, "enrolled", r"VEDETTE setup: set up as")

    def on_time() -> bool:
        machine.read_on()
        return any(sensor["state"] == "on time" for sensor in provider.sensors())

    provider.wait("a sensor is on time", on_time, timeout_s=bench.timeout_s)
    (sensor,) = provider.sensors()
    if sensor["assurance"] != "tpm":
        raise DrillError(f"the collector says of the sensor's key {sensor['assurance']!r}, 'tpm' was allowed")
    bench.tell(f"{machine.elapsed_s():7.1f} s  on time at the collector, assurance {sensor['assurance']}")
    sent = 0
    for path in sorted(TRAFFIC.glob("*.pcap")):
        for frame in frames(path.read_bytes()):
            cable.send(frame)
            sent += 1
    bench.tell(f"{machine.elapsed_s():7.1f} s  {sent} frames of recorded traffic on the tap")

    def arrived() -> bool:
        machine.read_on()
        return bool(provider.alerts())

    provider.wait("an alert is in the store", arrived, timeout_s=bench.timeout_s)
    bench.tell(
        f"{machine.elapsed_s():7.1f} s  first alert at the collector: {provider.alerts()[0].get('signature', '')}"
    )


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
        refused = _GIVEN_UP + "|REFUSED"
        bench.stage(machine, "firmware starts the stick", r"BdsDxe: starting Boot", refused=refused)
        bench.stage(machine, "installer writes the disk", r"VEDETTE install: writing", refused=refused)
        bench.stage(machine, "installed", r"VEDETTE install: done", refused=refused)
        machine.forget()
        to_healthy(bench, machine)
        to_alert(bench, machine, provider, cable)
        if "[used]" not in read_file(bench.tools, machine.stick, setup.name, offset=offset):
            raise DrillError("the token on the stick was not wiped")
        bench.tell("           the token on the stick is wiped")
    finally:
        machine.stop()
        provider.stop()
        cable.close()


def blank_disk(target: Path) -> Path:
    """A disk of a box that nobody has used."""
    with target.open("wb") as file:
        file.truncate(DISK_MIB * MIB)
    return target


def internal_disk(image: Path, target: Path) -> Path:
    """A disk of a box, larger than the image, with the image at its start; holes stay holes."""
    shutil.copyfile(image, target)
    with target.open("r+b") as file:
        file.truncate(DISK_MIB * MIB)
    return target


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
        bench.stage(machine, "boot loader", r"BdsDxe: starting Boot")
        machine.forget()
        bench.stage(machine, "refused, and started again", r"BdsDxe: starting Boot", refused=r"VEDETTE healthy")
    finally:
        machine.stop()


def every(bench: Bench) -> None:
    """All drills, one after another; each has its own box.

    Raises:
        DrillError: one did not hold.
    """
    for name, drill in DRILLS.items():
        if drill is not every:
            bench.tell(f"drill {name}: {(drill.__doc__ or '').partition(chr(10))[0]}")
            drill(bench)


DRILLS: dict[str, Callable[[Bench], None]] = {
    "boot": boot,
    "enroll": enroll,
    "install": install,
    "tampered": tampered,
    "flipped": flipped,
    "drills": every,
}
