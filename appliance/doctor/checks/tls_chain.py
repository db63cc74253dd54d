"""Is the server's certificate from the collector's own CA, the pinned one?

Rules of this file: one function.
"""

from __future__ import annotations

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, failed, ok


def check(patient: Patient) -> Result:
    """TLS 1.3 with each collector, its name not looked at."""
    if not patient.folder.ca_path.exists() and not patient.config.collector.ca_pin:
        return failed("[collector] ca_pin: none came", "set it to what `vedette-collector init` printed")
    for url in patient.urls:
        patient.handshake(url, name=False)
    return ok(f"{len(patient.urls)} of {len(patient.urls)} collectors are certified by the pinned CA")
