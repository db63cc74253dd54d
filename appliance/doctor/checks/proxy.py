"""Does the proxy connect us to the collector?

Rules of this file: one function. What the collector says behind it is other checks' business.
"""

from __future__ import annotations

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, failed, ok, skipped
from appliance.identity import LinkError, ProxyRefusedError


def check(patient: Patient) -> Result:
    """CONNECT to each collector."""
    if patient.proxy is None:
        return skipped("none is configured")
    for url in patient.urls:
        try:
            patient.ca_answer(url)
        except ProxyRefusedError as error:
            return failed(str(error), error.advice)
        except LinkError:
            continue
    return ok(f"{patient.proxy.host}:{patient.proxy.port} connects us")
