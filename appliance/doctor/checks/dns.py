"""Do the names that this box must look up have addresses?

Rules of this file: one function. Through a proxy the collector's name is the proxy's to look up.
"""

from __future__ import annotations

import socket

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, failed, ok


def check(patient: Patient) -> Result:
    """Each target's name is looked up."""
    told = []
    for host, port in patient.targets:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "no host name"
            return failed(f"{host}: {why}", "check the name, and the name server: cat /etc/resolv.conf")
        told.append(f"{host} is {found[0][4][0]}")
    return ok(", ".join(told))
