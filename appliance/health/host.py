"""The machine's own numbers: processor, memory, disk, temperature, load.

Rules of this file: the only place that asks psutil and the kernel about the host. What a machine does not tell is left
out, never guessed; one missing sensor never costs the rest.
"""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from appliance.wire.heartbeat import HostHealth


def host_health(spool_folder: Path) -> HostHealth:
    """A snapshot; `spool_folder` tells which disk. Processor use is since the call before (0 at the first)."""
    try:
        disk = psutil.disk_usage(str(spool_folder))
        disk_percent, disk_free = disk.percent, disk.free
    except OSError:
        # A disk that does not answer has no room for us.
        disk_percent, disk_free = 100.0, 0
    return HostHealth(
        cpu_percent=psutil.cpu_percent(interval=None),
        load_1m=os.getloadavg()[0],
        memory_percent=psutil.virtual_memory().percent,
        disk_percent=disk_percent,
        disk_free_bytes=disk_free,
        temperature_c=_temperature_c(),
    )


def _temperature_c() -> float | None:
    """The hottest sensor; None where there is none (a virtual machine, a container)."""
    try:
        groups = psutil.sensors_temperatures().values()
    except (AttributeError, OSError, RuntimeError):
        return None
    # Broken sensors report values far outside; the wire allows -273.2 to 1000.
    read = [reading.current for group in groups for reading in group if -50 < (reading.current or -99) < 200]
    return max(read, default=None)
