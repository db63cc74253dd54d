"""Are the interfaces that are to be watched there, up, and may we watch them?

Rules of this file: one function. A raw socket is opened and bound as the engine does (packet(7)), and read from never.
"""

from __future__ import annotations

import os
import socket

import psutil

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, failed, ok

_ETH_P_ALL = 0x0003


def check(patient: Patient) -> Result:
    """Each interface, or each file."""
    section = patient.config.capture
    for name in section.files:
        if not os.access(name, os.R_OK):
            why = "cannot be read" if os.path.exists(name) else "no such file"
            return failed(f"{name}: {why}", "check [capture] files")
    if section.files:
        return ok(f"{len(section.files)} files can be read")
    if not section.interfaces:
        return failed("[capture]: neither interfaces nor files came", "name what is to be watched, e.g. eth1")
    stats = psutil.net_if_stats()
    for name in section.interfaces:
        if name not in stats:
            return failed(f"{name}: no such interface; there are {', '.join(stats)}", "check [capture] interfaces")
        if not stats[name].isup:
            return failed(f"{name}: down", f"ip link set {name} up; check the mirror port's cable")
        try:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as probe:
                probe.bind((name, _ETH_P_ALL))
        except OSError as error:
            return failed(f"{name}: {error.strerror}", "run as root, or give CAP_NET_RAW (the unit file does)")
    return ok(f"{', '.join(section.interfaces)} can be watched")
