"""Does somebody listen where the collector or the proxy should be?

Rules of this file: one function.
"""

from __future__ import annotations

import socket

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, failed, ok


def check(patient: Patient) -> Result:
    """Each target takes a connection."""
    for host, port in patient.targets:
        try:
            socket.create_connection((host, port), patient.timeout_s).close()
        except OSError as error:
            return failed(
                f"{host}:{port}: {error.strerror or error}",
                "is the collector running? does a firewall on the way let this port out?",
            )
    return ok(", ".join(f"{host}:{port}" for host, port in patient.targets))
