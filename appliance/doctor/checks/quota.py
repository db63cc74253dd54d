"""Has the collector room for us now?

Rules of this file: one function; it reads the answer that the certificate's check got.
"""

from __future__ import annotations

from appliance.doctor.checks.certificate import refusal_of
from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, failed, ok, skipped


def check(patient: Patient) -> Result:
    """By each collector's answer to us."""
    identity = patient.identity()
    if identity is None:
        return skipped("not enrolled yet")
    for url in patient.urls:
        refusal = refusal_of(patient.own_answer(url, identity))
        if refusal is not None and refusal.status == 429:
            wait = f"; again in {refusal.retry_after_s} s" if refusal.retry_after_s else ""
            return failed(
                f"{url}: {refusal.code}: {refusal.came}; allowed: {refusal.allowed}{wait}",
                "alerts wait on the disk; quiet the noisiest rules, or ask the operator for a larger [quota]",
            )
    return ok("not used up")
