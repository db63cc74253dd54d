"""Where the time of a boot goes, and how exposed each unit of ours is: told and kept, for the README's figures.

Rules of this file: it measures an enrolled box of the drill image and judges nothing but
that no unit has failed. Times are of an emulated machine.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

from image.bench import Bench, Box
from image.errors import DrillError

UNITS = " ".join(f"vedette-{name}" for name in "interfaces capture setup enroll escrow recovery start health".split())
UNITS += " vedette"
# The same work on the host and in the machine says how much slower an emulated processor is.
WORK = "import time; t = time.perf_counter(); sum(i * i for i in range(10**6)); print(time.perf_counter() - t)"
QUESTIONS = {
    "time": ("systemd-analyze", "--no-pager", "time"),
    "blame": ("systemd-analyze", "--no-pager", "blame"),
    "chain": ("systemd-analyze", "--no-pager", "critical-chain", "vedette.service"),
    "exposure": ("sh", "-c", f"systemd-analyze --no-pager security {UNITS}"),
    "failed": ("systemctl", "--no-pager", "--failed", "--plain", "--no-legend"),
    "watchdog": ("wdctl",),
    "listening": ("sh", "-c", "cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6"),
}


def measure(bench: Bench) -> None:
    """A boot of an enrolled box in its parts (systemd-analyze), and each unit's exposure; answers in machines/measure.

    Raises:
        DrillError: the box did not get there, or a unit has failed.
    """
    with bench.enrolled_box("measure") as box:
        box.boot()
        capturing_s = moment_s(box, "vedette.service")
        told = {name: box.machine.ask(*argv, code=None) for name, argv in QUESTIONS.items()}
        told["capturing_s"] = f"{capturing_s:.1f}"
        here_s, there_s = (float(said) for said in (host_work(), box.machine.ask("python3", "-c", WORK)))
        told["slower_by"] = f"{there_s / here_s:.1f}"
        (box.machine.folder / "measure.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
        bench.tell(told["time"])
        bench.tell(
            f"the same loop: {here_s:.3f} s on this host, {there_s:.3f} s in the machine: {told['slower_by']} times"
        )
        bench.tell(f"capturing (vedette.service ready) {capturing_s:.1f} s after the kernel's start")
        bench.tell("\n".join(told["blame"].splitlines()[:15]))
        bench.tell(told["chain"])
        bench.tell("\n".join(re.findall(r"Overall exposure level for (.*)", told["exposure"])))
        if told["failed"].strip():
            raise DrillError(f"units have failed:\n{told['failed']}")
        bench.tell("no unit has failed")
        box.told("how it was started", "start")


def host_work() -> str:
    """What the loop takes here."""
    return subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True).stdout


def moment_s(box: Box, unit: str) -> float:
    """When a unit became active, in seconds since the kernel's start."""
    argv = ("systemctl", "show", "--property", "ActiveEnterTimestampMonotonic", "--value", unit)
    return int(box.machine.ask(*argv).strip() or 0) / 1e6
