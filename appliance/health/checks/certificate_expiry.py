"""How much of the certificate's life is left?

Rules of this file: one function. A new one is due after two thirds of the life and a little (`enroll.schedule`); at
five sixths renewal has failed for a while.
"""

from __future__ import annotations

from datetime import UTC, datetime

from appliance.health.check import CheckName, Facts, Finding, Severity

_ADVICE = "vedette doctor; vedette enroll --renew; if that is refused, enroll with a new token"
LATE = 5 / 6


def certificate_expiry(facts: Facts) -> Finding:
    """Judged by the wall clock; a wrong clock shows here first."""
    life = facts.certificate
    if life is None:
        return Finding(CheckName.CERTIFICATE_EXPIRY, Severity.CRITICAL, "not enrolled", "enroll: vedette enroll")
    state = life.state(facts.now_ns)
    until = datetime.fromtimestamp(life.not_after_ns // 1_000_000_000, UTC).isoformat(timespec="minutes")
    if state == "expired":
        text, severity = f"the certificate expired on {until}", Severity.CRITICAL
    elif state == "not yet valid":
        text = "the certificate is not valid yet: the clock is behind"
        return Finding(
            CheckName.CERTIFICATE_EXPIRY, Severity.CRITICAL, text, "set the clock; check that NTP is reachable"
        )
    elif facts.now_ns - life.not_before_ns > (life.not_after_ns - life.not_before_ns) * LATE:
        text, severity = f"the certificate is good until {until} and was not renewed in time", Severity.WARNING
    elif state == "renew":
        return Finding(
            CheckName.CERTIFICATE_EXPIRY, Severity.OK, f"the certificate is good until {until}, renewal is due"
        )
    else:
        return Finding(CheckName.CERTIFICATE_EXPIRY, Severity.OK, f"the certificate is good until {until}")
    return Finding(CheckName.CERTIFICATE_EXPIRY, severity, text, _ADVICE)
