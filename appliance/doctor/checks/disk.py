"""Can the box keep what it finds?

Rules of this file: one function. A file is written and removed again, because free space alone says nothing of a
read-only file system.
"""

from __future__ import annotations

import errno
import tempfile

import psutil

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, State, failed, ok

MIB = 1024 * 1024
LEAST_MIB = 64
_PROBE = b"\0" * 4096


def check(patient: Patient) -> Result:
    """By writing, and by room for the spool's budget."""
    folder = patient.state_dir
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
            file.write(_PROBE)
            file.flush()
        free_mib = psutil.disk_usage(str(folder)).free // MIB
    except OSError as error:
        if error.errno == errno.ENOENT:
            return failed(f"{folder}: no such folder", "make it, or set [sensor] state_dir")
        return failed(f"{folder}: {error.strerror}", "free space; check its owner and that it is mounted for writing")
    if free_mib < LEAST_MIB:
        return failed(f"{free_mib} MiB free", f"free space: the oldest alerts are dropped below {LEAST_MIB} MiB")
    spool = folder / "spool"
    used_mib = sum(path.stat().st_size for path in spool.iterdir()) // MIB if spool.is_dir() else 0
    wanted_mib = max(0, patient.config.spool.max_mib - used_mib)
    if free_mib < wanted_mib:
        text = f"{free_mib} MiB free, the spool may still want {wanted_mib} MiB"
        return Result(State.WARNING, text, "free space, or set [spool] max_mib lower")
    return ok(f"{free_mib} MiB free")
