"""Drills of what goes wrong while a box runs: hangs, crashes, a full disk. Each begins with an enrolled box.

Rules of this file: a fault is brought about from inside, by the ear that only drill images have; what it comes to is
read from the console and at the collector.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from image.bench import LOADER, Bench, Box
from image.errors import DrillError

POLL_S = 2.0
SENSOR = "vedette.service"
CRASH = ("sh", "-c", "sync; echo c > /proc/sysrq-trigger")


def watchdog(bench: Bench) -> None:
    """The sensor hangs and is started again; the kernel hangs and the hardware resets the box; both are reported.

    Raises:
        DrillError: one of them did not happen.
    """
    with bench.enrolled_box("watchdog") as box:
        box.boot()
        machine = box.machine
        pid = show(box, "MainPID")
        machine.ask("kill", "-STOP", pid)
        bench.reached(machine, f"sensor (process {pid}) stopped in its tracks")
        until(box, "systemd starts it again", lambda: show(box, "NRestarts") == "1" and active(box))
        box.told("that the sensor's watchdog bit", "start", "sensor: watchdog")
        # The kernel would start again by itself after 10 s; here it must hang.
        machine.ask("sysctl", "-w", "kernel.panic=0")
        breaks(bench, box, CRASH, "kernel crashed, and hangs", "reset by i6300esb")
        box.told("why it was started", "start", "box: panic", "watchdog")
        box.traffic()


def crash(bench: Bench) -> None:
    """The kernel crashes and starts the box again by itself after 10 s; reported with the kernel's words.

    Raises:
        DrillError: it did not.
    """
    with bench.enrolled_box("crash") as box:
        box.boot()
        breaks(bench, box, CRASH, "kernel crashed", "started again")
        box.told("why it was started", "start", "box: panic")


def first_process(bench: Bench) -> None:
    """The first process (systemd) crashes: the box starts again instead of freezing, and says so.

    Raises:
        DrillError: it did not.
    """
    with bench.enrolled_box("first-process") as box:
        box.boot()
        breaks(bench, box, ("kill", "-SEGV", "1"), "first process crashed", "started again")
        box.told("that no orderly end was seen", "start", "box: power")
        box.traffic()


def disk_full(bench: Bench) -> None:
    """/var is filled to the last byte a sensor may have: it goes on, says so, starts with it, and recovers when freed.

    Raises:
        DrillError: it did not.
    """
    with bench.enrolled_box("disk-full") as box:
        box.boot()
        machine = box.machine
        # Most of it without writing it, which takes minutes on an emulated processor; the last byte by writing.
        free = "$(($(df --output=avail -B1 /var | tail -n1) - 16777216))"
        file = "/var/lib/vedette/filler"
        fill = f"fallocate -l {free} {file}; dd if=/dev/zero of={file} bs=64K oflag=append conv=notrunc 2>/dev/null"
        who = ("setpriv", "--reuid=vedette", "--regid=vedette", "--clear-groups")
        machine.ask(*who, "sh", "-c", fill, code=None, timeout_s=300)
        bench.reached(machine, "disk full")
        bench.tell("           " + machine.ask("df", "-h", "/var").splitlines()[-1])
        box.told("that the disk is full", "disk_space", "critical")
        if not active(box) or show(box, "NRestarts") != "0":
            raise DrillError(f"{SENSOR} did not go on: {machine.ask('systemctl', 'status', SENSOR, code=None)}")
        machine.forget()
        machine.order("systemctl", "reboot")
        box.up()
        box.told("that the disk is full, after a restart", "disk_space", "critical")
        machine.ask("rm", "/var/lib/vedette/filler")
        box.told("that there is room again", "disk_space", "ok")
        box.traffic()


def breaks(bench: Bench, box: Box, how: tuple[str, ...], broken: str, back: str) -> None:
    """Break the box from inside, and wait until it has started again and is ready.

    Raises:
        DrillError: it did not.
    """
    box.machine.forget()
    box.machine.order(*how)
    bench.reached(box.machine, broken)
    bench.stage(box.machine, back, LOADER, refused=r"VEDETTE unhealthy")
    box.ready()


def show(box: Box, name: str) -> str:
    """A property of the sensor's unit."""
    return box.machine.ask("systemctl", "show", "--property", name, "--value", SENSOR).strip()


def active(box: Box) -> bool:
    """Whether the sensor is at work."""
    return box.machine.ask("systemctl", "is-active", SENSOR, code=None).strip() == "active"


def until(box: Box, what: str, found: Callable[[], bool]) -> None:
    """Ask until it holds.

    Raises:
        DrillError: it did not come to that.
    """
    limit_s = time.monotonic() + box.bench.timeout_s
    while not found():
        if time.monotonic() > limit_s:
            raise DrillError(f"{what}: not in {box.bench.timeout_s:.0f} s\n{box.machine.said()}")
        time.sleep(POLL_S)
    box.bench.reached(box.machine, what)
