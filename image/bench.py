"""What every drill works with: images, machines, the times of stages, and a box that is enrolled already.

Rules of this file: nothing is claimed here about a box but that it got as far as it was asked to. The enrolled box is
made once for an image and copied for each drill, so that a drill is one boot where it can be.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from appliance.wire.bundle import IMAGE_ID
from image import swtpm
from image.build import Plan
from image.cache import TREE
from image.errors import DrillError, InputError
from image.fat import make_fat
from image.frames import Cable, frames, management_arguments
from image.keys import Keys
from image.layout import MIB
from image.machine import Machine
from image.provider import Provider
from image.tools import Tools

Tell = Callable[[str], None]

DISK_MIB = 4096
# Recorded traffic with an alert whatever the home network is.
TRAFFIC = TREE / "tests" / "traffic" / "pcaps"
# The kernel's own line, not what the next boot says of it.
GIVEN_UP = r"VEDETTE (unhealthy|emergency.*restarting)|No bootable option|\] Kernel panic"
LOADER = r"BdsDxe: starting Boot"
HEALTHY = r"VEDETTE healthy"


@dataclass(frozen=True, slots=True)
class Bench:
    """What every drill needs."""

    tools: Tools
    keys: Keys
    plan: Plan
    tell: Tell
    timeout_s: float
    count: int = 3
    """How often, for drills that cut the power."""
    starts: int = 1
    """How many of the cuts of an update are also started."""
    seed: int = 1
    stages: list[tuple[str, float]] = field(default_factory=list)
    """Of the drill that runs: name, seconds since its machine was switched on."""

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
        return self._made(self.plan.target, IMAGE_ID, "image")

    @property
    def stick(self) -> Path:
        """The stick that was made.

        Raises:
            InputError: it was not.
        """
        return self._made(self.plan.target, f"{IMAGE_ID}-install", "image")

    @property
    def drill_image(self) -> Path:
        """The disk image that takes commands; the same but for that.

        Raises:
            InputError: it was not made.
        """
        return self._made(self.plan.target.with_name(f"{self.plan.target.name}-drill"), IMAGE_ID, "image-drill")

    def _made(self, folder: Path, name: str, goal: str) -> Path:
        path = folder / f"{name}_{self.plan.version}.raw"
        if not path.is_file():
            raise InputError(f"{path} is missing", advice=f"Make it: make {goal}")
        return path

    def stage(self, machine: Machine, name: str, *patterns: str, refused: str = GIVEN_UP) -> str:
        """Wait for a line of the console and tell when it came; returns it.

        Raises:
            DrillError: it did not come.
        """
        match = machine.wait_for(*patterns, timeout_s=self.timeout_s, refused=refused)
        self.reached(machine, name)
        return match.string

    def reached(self, machine: Machine, name: str) -> None:
        """Tell and keep the time of a stage."""
        at_s = machine.elapsed_s()
        self.stages.append((name, round(at_s, 1)))
        self.tell(f"{at_s:7.1f} s  {name}")

    @contextmanager
    def enrolled_box(self, name: str) -> Iterator[Box]:
        """A box of its own with the drill image, enrolled at a collector that listens; switched off.

        Raises:
            DrillError: it could not be enrolled.
        """
        master = self.enrolled()
        folder = master.with_name(name)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["cp", "--archive", "--sparse=always", str(master), str(folder)], check=True)
        machine = Machine(self.tools, folder, disks=(folder / "disk.raw",), drill=True)
        provider, cable = Provider(folder / "provider", swtpm.roots(machine.maker)), Cable()
        machine.network = (*management_arguments(), *cable.arguments())
        provider.resume()
        try:
            yield Box(self, machine, provider, cable)
        finally:
            machine.stop()
            provider.stop()
            cable.close()

    def enrolled(self) -> Path:
        """The folder of the box that others are copies of, made when it is not there for this image.

        Raises:
            DrillError: it could not be enrolled.
        """
        master = self.tools.cache.folder / "machines" / "enrolled"
        stamp = f"{self.drill_image.stat().st_mtime_ns}\n"
        if not (master / "whole").exists() or (master / "whole").read_text(encoding="ascii") != stamp:
            self.tell("           making an enrolled box, once for this image")
            self._make_enrolled()
            (master / "whole").write_text(stamp, encoding="ascii")
        return master

    def _make_enrolled(self) -> None:
        machine = self.machine("enrolled")
        machine.drill = True
        machine.disks = (internal_disk(self.drill_image, machine.folder / "disk.raw"),)
        provider = Provider(machine.folder / "provider", swtpm.roots(machine.maker))
        provider.start()
        try:
            machine.stick = machine.folder / "stick.fat"
            make_fat(self.tools, machine.stick, [provider.write_setup_file(machine.folder / "stick-files")])
            machine.start()
            to_healthy(self, machine)
            to_enrolled(self, machine, provider)

            def escrowed() -> bool:
                machine.read_on()
                return any((provider.store / "recovery").glob("*.json"))

            provider.wait("the collector has the recovery key of /var", escrowed, timeout_s=self.timeout_s)
            self.reached(machine, "the collector has the recovery key of /var")
            machine.order("systemctl", "poweroff")
            machine.wait_end(timeout_s=self.timeout_s)
        finally:
            machine.stop()
            provider.stop()


@dataclass(frozen=True, slots=True)
class Box:
    """An enrolled box, its provider, and the far end of its tap."""

    bench: Bench
    machine: Machine
    provider: Provider
    cable: Cable

    def boot(self) -> str:
        """Switch it on and wait until it is healthy; returns the health check's line.

        Raises:
            DrillError: it did not get there.
        """
        self.machine.start()
        return self.up()

    def up(self) -> str:
        """Wait until it is healthy and watches.

        Raises:
            DrillError: it did not get there.
        """
        self.bench.stage(self.machine, "firmware starts the boot loader", LOADER)
        return self.ready()

    def ready(self) -> str:
        """From the boot loader on: wait until it is healthy and watches. What was said before is of another boot.

        Raises:
            DrillError: it did not get there.
        """
        self.machine.forget()
        line = self.bench.stage(self.machine, "healthy", HEALTHY)
        if "state=watching" not in line:
            raise DrillError(f"an enrolled box said: {line}")
        return line

    def told(self, what: str, check: str, *words: str) -> str:
        """Wait for a heartbeat with such a finding of that check; returns the finding.

        Raises:
            DrillError: none came.
        """

        def found() -> str:
            self.machine.read_on()
            for sensor in self.provider.sensors():
                for finding in sensor["health"].get("findings", []):
                    text = f"{finding['severity']} {finding['text']}"
                    if finding["check"] == check and all(word in text for word in words):
                        return text
            return ""

        text = self.provider.wait(f"the collector is told {what}", found, timeout_s=self.bench.timeout_s)
        self.bench.reached(self.machine, f"the collector is told {what}")
        self.bench.tell(f"           {text}")
        return text

    def traffic(self) -> None:
        """Put recorded traffic on the tap and wait until the collector has more alerts than before.

        Raises:
            DrillError: it has not.
        """
        before = len(self.provider.alerts())
        play(self.cable)

        def more() -> bool:
            self.machine.read_on()
            return len(self.provider.alerts()) > before

        self.provider.wait("more alerts are in the store", more, timeout_s=self.bench.timeout_s)
        self.bench.reached(self.machine, f"alerts at the collector (before: {before})")


def to_healthy(bench: Bench, machine: Machine) -> None:
    """From power-on to the health check's word.

    Raises:
        DrillError: it did not come.
    """
    bench.stage(machine, "firmware starts the boot loader", LOADER)
    bench.stage(machine, "interfaces named", r"VEDETTE interface mgmt0")
    line = bench.stage(machine, "healthy", HEALTHY)
    bench.tell(f"           {line.partition('VEDETTE ')[2]}")


def to_enrolled(bench: Bench, machine: Machine, provider: Provider) -> None:
    """From a healthy box to one that the collector hears.

    Raises:
        DrillError: it did not come to that.
    """
    bench.stage(machine, "enrolled", r"VEDETTE setup: set up as")

    def on_time() -> bool:
        machine.read_on()
        return any(sensor["state"] == "on time" for sensor in provider.sensors())

    provider.wait("a sensor is on time", on_time, timeout_s=bench.timeout_s)
    (sensor,) = provider.sensors()
    if sensor["assurance"] != "tpm":
        raise DrillError(f"the collector says of the sensor's key {sensor['assurance']!r}, 'tpm' was allowed")
    bench.reached(machine, "on time at the collector, its key in the TPM")


def to_alert(bench: Bench, machine: Machine, provider: Provider, cable: Cable) -> None:
    """From a healthy box to recorded traffic's alert in the collector's store.

    Raises:
        DrillError: it did not come.
    """
    to_enrolled(bench, machine, provider)
    first_alert(bench, machine, provider, cable)


def first_alert(bench: Bench, machine: Machine, provider: Provider, cable: Cable) -> None:
    """From recorded traffic on an enrolled box's tap to its alert in the collector's store.

    Raises:
        DrillError: it did not come.
    """
    sent = play(cable)
    bench.reached(machine, f"{sent} frames of recorded traffic on the tap")

    def arrived() -> bool:
        machine.read_on()
        return bool(provider.alerts())

    provider.wait("an alert is in the store", arrived, timeout_s=bench.timeout_s)
    bench.reached(machine, "first alert at the collector")
    alert = provider.alerts()[0]
    bench.tell(f"           {alert['sid']}: {alert['msg']}")


def play(cable: Cable) -> int:
    """All recorded traffic, once; how many frames."""
    sent = 0
    for path in sorted(TRAFFIC.glob("*.pcap")):
        for frame in frames(path.read_bytes()):
            cable.send(frame)
            sent += 1
    return sent


def blank_disk(target: Path) -> Path:
    """A disk of a box that nobody has used."""
    with target.open("wb") as file:
        file.truncate(DISK_MIB * MIB)
    return target


def internal_disk(image: Path, target: Path) -> Path:
    """A disk of a box, larger than the image, with the image at its start; holes stay holes."""
    subprocess.run(["cp", "--sparse=always", str(image), str(target)], check=True)
    with target.open("r+b") as file:
        file.truncate(DISK_MIB * MIB)
    return target
