"""Does the sensor see what passes the tap?

Rules of this file: thresholds with their reason, one function. A detection that needs one lost packet is missed, so
even one in a thousand is worth a word; one in twenty means that reassembly fails for most large transfers.
"""

from __future__ import annotations

from appliance.health.check import CheckName, Facts, Finding, Severity

WARNING_SHARE = 0.001
CRITICAL_SHARE = 0.05
_ADVICE = "raise capture.threads or capture.ring_mib, narrow the rules, or mirror less traffic to this port"


def capture_drops(facts: Facts) -> Finding:
    """Judged over the time since the snapshot before."""
    packets, drops = facts.capture.packets, facts.capture.drops
    passed = packets + drops
    share = drops / passed if passed else 0.0
    text = f"{drops} of {passed} packets dropped ({share:.2%})"
    if share >= CRITICAL_SHARE:
        return Finding(CheckName.CAPTURE_DROPS, Severity.CRITICAL, text, _ADVICE)
    if share >= WARNING_SHARE:
        return Finding(CheckName.CAPTURE_DROPS, Severity.WARNING, text, _ADVICE)
    return Finding(CheckName.CAPTURE_DROPS, Severity.OK, text)
