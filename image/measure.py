"""Where the time of a boot goes, and how exposed each unit of ours is: told and kept, for the README's figures.

Rules of this file: it measures an enrolled box of the drill image and judges nothing. Times are of an emulated machine.
"""

from __future__ import annotations

import json
import re

from image.bench import Bench, Box

QUESTIONS = {
    "time": ("systemd-analyze", "--no-pager", "time"),
    "blame": ("systemd-analyze", "--no-pager", "blame"),
    "chain": ("systemd-analyze", "--no-pager", "critical-chain", "vedette.service"),
    "exposure": ("systemd-analyze", "--no-pager", "security"),
    "failed": ("systemctl", "--no-pager", "--failed", "--plain", "--no-legend"),
    "watchdog": ("wdctl",),
    "listening": ("sh", "-c", "cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6"),
}


def measure(bench: Bench) -> None:
    """A boot of an enrolled box in its parts (systemd-analyze), and each unit's exposure; answers in machines/measure.

    Raises:
        DrillError: the box did not get there.
    """
    with bench.enrolled_box("measure") as box:
        box.boot()
        capturing_s = moment_s(box, "vedette.service")
        told = {name: box.machine.ask(*argv, code=None) for name, argv in QUESTIONS.items()}
        told["capturing_s"] = f"{capturing_s:.1f}"
        (box.machine.folder / "measure.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
        bench.tell(told["time"])
        bench.tell(f"capturing (vedette.service ready) {capturing_s:.1f} s after the kernel's start")
        bench.tell("\n".join(told["blame"].splitlines()[:15]))
        bench.tell(told["chain"])
        bench.tell("\n".join(line for line in told["exposure"].splitlines() if re.search(r"vedette|EXPOSURE", line)))
        bench.tell(f"failed units: {told['failed'].strip() or 'none'}")
        box.told("how it was started", "start")


def moment_s(box: Box, unit: str) -> float:
    """When a unit became active, in seconds since the kernel's start."""
    argv = ("systemctl", "show", "--property", "ActiveEnterTimestampMonotonic", "--value", unit)
    return int(box.machine.ask(*argv).strip() or 0) / 1e6
