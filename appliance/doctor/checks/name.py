"""Is the server's certificate for the name that we call it by?

Rules of this file: one function.
"""

from __future__ import annotations

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, ok


def check(patient: Patient) -> Result:
    """TLS 1.3 with each collector by its name."""
    for url in patient.urls:
        patient.handshake(url, name=True)
    return ok(", ".join(url.host for url in patient.urls))
